"""From contents to features: prepare, batch, infer, put back in order, set bad items aside."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serve_apps.prelabel.model import BatchBudget, Content, Encoder, Features, Inference, Prepared
from serve_apps.prelabel.triage import Failure, isolate, launched
from serve_apps.prelabel.turns import Turns

BATCHES_AHEAD = 1
"""Batches on the model while the features of the one before are waited for."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Features of contents, in their order; a failed content's row is zero."""

    features: Features
    failures: Mapping[int, Failure]


def encode(
    encoder: Encoder,
    contents: Sequence[Content],
    budget: BatchBudget,
    turns: Turns,
    *,
    urgent: bool,
) -> Encoded:
    """Encode contents in batches within a budget; no content raises.

    Only inference takes a turn on the model: others prepare theirs meanwhile.
    """
    prepared, failures = _prepare(encoder, contents)
    ready = sorted(prepared)
    features = np.zeros((len(contents), encoder.dimensions), dtype=np.float32)

    def launch(group: Sequence[int]) -> Inference:
        with turns.take(urgent=urgent):
            return encoder.launch([prepared[index] for index in group])

    sizes = [prepared[index].size for index in ready]
    batches = _within_turns(encoder, sizes, budget, turns)
    groups = ([ready[place] for place in batch] for batch in batches)
    for group, result in launched(groups, launch, BATCHES_AHEAD):
        if isinstance(result, Failure):
            failures[group[0]] = result
        else:
            features[group] = result
    return Encoded(features, failures)


def is_healthy(encoder: Encoder, turns: Turns) -> bool:
    """Tell whether an encoder handles its own sample."""
    alone = BatchBudget.fixed(1)
    return not encode(encoder, [encoder.sample], alone, turns, urgent=False).failures


def _within_turns(
    encoder: Encoder, sizes: Sequence[int], budget: BatchBudget, turns: Turns
) -> Iterator[list[int]]:
    """Yield batches, and smaller ones while urgent callers come, who wait for one at the most."""
    for batch in encoder.plan(sizes, budget.alone):
        if turns.pressed:
            pieces = encoder.plan([sizes[place] for place in batch], budget.shared)
            yield from ([batch[place] for place in piece] for piece in pieces)
        else:
            yield batch


def _prepare(
    encoder: Encoder, contents: Sequence[Content]
) -> tuple[dict[int, Prepared], dict[int, Failure]]:
    prepared: dict[int, Prepared] = {}
    failures: dict[int, Failure] = {}
    everything = range(len(contents))
    for group, result in isolate(
        everything, lambda group: encoder.prepare([contents[index] for index in group])
    ):
        if isinstance(result, Failure):
            failures[group[0]] = result
        else:
            prepared.update(zip(group, result, strict=True))
    return prepared, failures

"""From contents to features: prepare, batch, infer, put back in order, set bad items aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from serve_apps.prelabel.batching import plan_batches
from serve_apps.prelabel.model import Content, Encoder, Features, Prepared
from serve_apps.prelabel.triage import Failure, isolate, require_finite
from serve_apps.prelabel.turns import Turns


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Features of contents, in their order; a failed content's row is zero."""

    features: Features
    failures: Mapping[int, Failure]


def encode(
    encoder: Encoder, contents: Sequence[Content], budget: int, turns: Turns, *, urgent: bool
) -> Encoded:
    """Encode contents in batches of at most `budget` tokens or pixels; no content raises.

    Only inference takes a turn on the model: others prepare theirs meanwhile.
    """
    prepared, failures = _prepare(encoder, contents)
    ready = sorted(prepared)
    features = np.zeros((len(contents), encoder.dimensions), dtype=np.float32)

    def infer(group: Sequence[int]) -> Features:
        with turns.take(urgent=urgent):
            return require_finite(encoder.infer([prepared[index] for index in group]))

    for batch in plan_batches([prepared[index].size for index in ready], budget):
        for group, result in isolate([ready[place] for place in batch], infer):
            if isinstance(result, Failure):
                failures[group[0]] = result
            else:
                features[group] = result
    return Encoded(features, failures)


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

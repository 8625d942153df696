"""The figures of a run: pure functions from labels, gold and events to what the report shows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cluster.domain.jobs import JobState
from examples.demo.crowd import Codes, Deck, WorkerTraits, answers, rng_for
from examples.demo.run_data import Bought, FixedRedundancy, Part, ReliabilityBin, Span
from serve_apps.gateway.schemas.jobs import EventView

LEARNT_EVENT = "learn.done"
"""The kind of event that ends a round of training."""

STATE_PREFIX = "the job is "
"""How the message of a `state` event begins."""

RELIABILITY_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Bins that are finer where delivered probabilities crowd."""

RELIABILITY_ITEMS_MIN = 10


def share_right(labels: Mapping[str, str], gold: Mapping[str, str]) -> float | None:
    """Return the share of labels that equal the gold of their item; None where none has gold."""
    right = [gold[item] == label for item, label in labels.items() if item in gold]
    return sum(right) / len(right) if right else None


def part(labels: Mapping[str, str], gold: Mapping[str, str]) -> Part:
    """Return how many labels there are, and the share of them that is true."""
    return Part(items=len(labels), accuracy=share_right(labels, gold))


def reliability(
    probabilities: Sequence[float], right: Sequence[bool]
) -> tuple[ReliabilityBin, ...]:
    """Return the bins of a reliability diagram (DeGroot and Fienberg 1983).

    A bin with fewer than RELIABILITY_ITEMS_MIN labels joins the next higher one; the lowest begins
    at the least probability there is.
    """
    said, was = np.asarray(probabilities, np.float64), np.asarray(right, np.bool_)
    counts = np.histogram(said, RELIABILITY_EDGES)[0]
    edges, waiting = [RELIABILITY_EDGES[0]], 0
    for count, high in zip(counts.tolist(), RELIABILITY_EDGES[1:], strict=True):
        waiting += count
        if waiting >= RELIABILITY_ITEMS_MIN or high == RELIABILITY_EDGES[-1]:
            edges.append(high)
            waiting = 0
    which = np.clip(np.searchsorted(edges, said, side="right") - 1, 0, len(edges) - 2)
    return tuple(
        ReliabilityBin(
            low=max(edges[number], float(said.min())),
            high=edges[number + 1],
            items=int((which == number).sum()),
            mean_probability=float(said[which == number].mean()),
            accuracy=float(was[which == number].mean()),
        )
        for number in np.unique(which).tolist()
    )


def wilson_interval(right: float, total: int, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share at two-sided level z (Wilson 1927)."""
    if total == 0:
        return 0.0, 1.0
    share, weight = right / total, z * z / total
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * float(np.sqrt(share * (1 - share) / total + weight / (4 * total)))
    return max(0.0, centre - half), min(1.0, centre + half)


def stage_spans(
    states: Sequence[tuple[float, str]], items: int, answers_bought: int
) -> tuple[Span, ...]:
    """Return the stages of a job from the times at which it entered each state.

    Answers are shared among the job's asking stages by their length.
    """
    pairs = list(pairwise(states))
    asking_s = sum(end - start for (start, state), (end, _) in pairs if state == JobState.ASKING)
    spans = []
    for (start, state), (end, _) in pairs:
        if state == JobState.ASKING:
            work = round(answers_bought * (end - start) / max(asking_s, 1e-9))
            spans.append(Span(stage=state, start_s=start, end_s=end, work=work, unit="answers"))
        elif state == JobState.LEARNING:
            spans.append(Span(stage=state, start_s=start, end_s=end, work=1, unit="rounds"))
        else:
            spans.append(Span(stage=state, start_s=start, end_s=end, work=items, unit="items"))
    return tuple(spans)


def states_entered(
    events: Sequence[EventView], start: datetime
) -> tuple[tuple[float, JobState], ...]:
    """Return when a job entered which state, in seconds after `start`, from its event log."""
    entered = []
    for event in events:
        state = event.message.removeprefix(STATE_PREFIX)
        if event.kind == "state" and state in frozenset(JobState):
            entered.append((seconds_after(start, event.at), JobState(state)))
    return tuple(entered)


def promotions(events: Sequence[EventView]) -> int:
    """Return how often a newly trained model went live."""
    return sum(event.kind == LEARNT_EVENT and event.figures["promoted"] > 0 for event in events)


def pace(times_s: Sequence[float]) -> tuple[Bought, ...]:
    """Return how many answers there were at the end of each second that brought some."""
    whole_s = np.ceil(np.asarray(times_s, np.float64))
    seconds, counts = np.unique(whole_s, return_counts=True)
    return tuple(
        Bought(float(at_s), int(answers))
        for at_s, answers in zip(seconds, counts.cumsum(), strict=True)
    )


def seconds_after(start: datetime, at: datetime) -> float:
    """Return how long after `start` something happened."""
    return (at - start).total_seconds()


def simulated_votes(
    crowd: Sequence[WorkerTraits], deck: Deck, deck_number: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return what each worker who gives labels would say of every item: (workers, N) codes."""
    return np.stack(
        [
            answers(traits, deck, rng_for(seed, number, deck_number))
            for number, traits in enumerate(crowd)
            if traits.persona.labels
        ]
    )


def fixed_redundancy(
    votes: npt.NDArray[np.int64], truth: Codes, redundancy: int, price: float, seed: int
) -> FixedRedundancy:
    """Return what a majority of `redundancy` votes drawn at random for each item reaches.

    `votes` is (voters, N) label codes, -1 where a voter has none for the item; an item with fewer
    votes uses all it has. A tie counts as right in proportion, which is what random tie-breaking
    gets on average.
    """
    rng = np.random.default_rng([seed, redundancy])
    items = votes.shape[1]
    order = np.where(votes < 0, 1.0, rng.random(votes.shape)).argsort(axis=0)[:redundancy]
    given = np.take_along_axis(votes, order, axis=0)
    cast = given >= 0
    counts = np.zeros((items, int(max(votes.max(), truth.max())) + 1))
    item_of = np.broadcast_to(np.arange(items), given.shape)
    np.add.at(counts, (item_of[cast], given[cast]), 1)
    top = counts == counts.max(axis=1, keepdims=True)
    return FixedRedundancy(
        redundancy=redundancy,
        answers=int(cast.sum()),
        cost=float(cast.sum()) * price,
        accuracy=float((top[np.arange(items), truth] / top.sum(axis=1)).mean()),
    )

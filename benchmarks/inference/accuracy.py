"""How many known labels each method finds, of those that end in time."""

from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import fmean

import pandas as pd
from crowdkit.aggregation import GLAD, MACE, DawidSkene, MajorityVote
from rich.table import Table

from allocation.quality.methods import METHODS
from allocation.quality.votes import Codes, Votes
from benchmarks.figures import Figure, at_least, informing
from benchmarks.inference.recorded import RecordedCrowd

CROWDS = (
    "truth/bluebird",
    "truth/cf",
    "truth/d_possent",
    "truth/d_product",
    "truth/dog",
    "truth/s_adult",
    "truth/s_rel",
    "truth/snow_temp",
    "truth/sp_amt",
    "loop/sentiment_polarity",
)
"""The published crowds whose answers are classes."""

DEFAULT = "opinion-pool"
VOTE = "crowd-kit MV"
GAP_TO_VOTE_MIN = -0.005

PEERS: Mapping[str, Callable[[pd.DataFrame], "pd.Series[int]"]] = {
    VOTE: lambda answers: MajorityVote().fit_predict(answers),
    "crowd-kit DS": lambda answers: DawidSkene(n_iter=100).fit_predict(answers),
    "crowd-kit GLAD": lambda answers: GLAD().fit_predict(answers),
    "crowd-kit MACE": lambda answers: MACE(random_state=0).fit_predict(answers),
}

Scores = Mapping[str, Mapping[str, float]]
"""Accuracy by method and crowd; a method lacks the crowds it was too slow for."""


def accuracies(crowd: RecordedCrowd, limit_s: float) -> dict[str, float]:
    """Return how many known labels each method finds, of those that end in time."""
    found = {name: method(crowd.votes).labels() for name, method in METHODS.items()}
    for name in PEERS:
        labels = _within(limit_s, name, crowd.votes)
        if labels is not None:
            found[name] = labels
    scores = {name: crowd.truth.accuracy(labels) for name, labels in found.items()}
    return {name: score for name, score in scores.items() if score is not None}


def figures(scores: Scores) -> list[Figure]:
    """Return the means, and how far the default leads each method on the crowds both labelled."""
    default = scores[DEFAULT]
    means = [
        informing(f"{name}: mean", fmean(each.values()), "share")
        for name, each in scores.items()
        if len(each) == len(default)
    ]
    leads = [
        at_least(
            f"lead over {name} ({len(each)} crowds)",
            fmean(default[crowd] - accuracy for crowd, accuracy in each.items()),
            "share",
            0.0,
        )
        for name, each in scores.items()
        if name in PEERS and each
    ]
    gaps = [default[crowd] - vote for crowd, vote in scores[VOTE].items()]
    return [
        *means,
        *leads,
        at_least(f"worst lead over {VOTE}", min(gaps), "share", GAP_TO_VOTE_MIN),
    ]


def _within(limit_s: float, peer: str, votes: Votes) -> Codes | None:
    """Label by a peer in a process of its own, which is ended after `limit_s`: then None."""
    here, there = get_context("fork").Pipe(duplex=False)
    process = get_context("fork").Process(target=_label, args=(there, peer, votes))
    process.start()
    there.close()
    try:
        labels: Codes | None = here.recv() if here.poll(limit_s) else None
    finally:
        process.kill()
        process.join()
        here.close()
    return labels


def _label(connection: Connection, peer: str, votes: Votes) -> None:
    answers = pd.DataFrame({"task": votes.items, "worker": votes.workers, "label": votes.labels})
    labels = PEERS[peer](answers).reindex(range(votes.n_items)).fillna(-1)
    connection.send(labels.to_numpy("int64"))


def table(scores: Scores, crowds: Sequence[str]) -> Table:
    """Return accuracies, a method a row and a crowd a column."""
    drawn = Table(title="accuracy", title_justify="left")
    drawn.add_column("method")
    for crowd in crowds:
        drawn.add_column(crowd, justify="right")
    for name, each in scores.items():
        drawn.add_row(name, *(f"{each[crowd]:.3f}" if crowd in each else "–" for crowd in crowds))
    return drawn

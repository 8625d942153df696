"""`python -m benchmarks.predictions`: how sure one may be of workers, and what can be foretold.

*Intervals*: how often a 95 % interval holds a worker's accuracy, on simulated crowds and, with
`--data` (or MUSTER_DATA), on recorded ones that have reference labels. *Difficulty*: the sentences
of `loop/sentiment_polarity` are split at random; from the answers to seven in ten, and the model
trained on these, it is foretold how many answers to the others disagree with their consensus.
"""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean

import numpy as np
from rich.console import Console
from scipy.stats import spearmanr

from allocation.campaign import Consensus
from allocation.quality import dawid_skene, forecast, opinion_pool
from allocation.quality.forecast import Outcomes
from allocation.quality.reliability import Accuracies, accuracies, crowd_prior, evidence
from allocation.quality.votes import Floats, Votes
from benchmarks.figures import Figure, informing, present
from benchmarks.inference.recorded import RecordedCrowd, read
from serve_apps.backtest.run import Prepared, prepare

CROWDS = ("bluebird", "cf", "d_possent", "d_product", "dog", "snow_temp", "sp_amt")
KNOWN_ANSWERS_MIN = 20
"""A worker's accuracy counts as known from this many answers with a reference label on."""

SHARE_LEARNED = 0.7
GRADES = ("simple", "medium", "hard")


def simulated(rng: np.random.Generator, labels: int, answers: int) -> tuple[Votes, Floats]:
    """Return votes of 40 workers on 400 items, and the workers' accuracies."""
    items, workers = 400, 40
    accuracy, truth = rng.uniform(0.5, 0.95, workers), rng.integers(labels, size=items)
    who = rng.random((items, workers)).argsort(axis=1)[:, :answers].ravel()
    what = np.repeat(np.arange(items), answers)
    wrong = rng.random(len(who)) > accuracy[who]
    said = (truth[what] + wrong * rng.integers(1, labels, size=len(who))) % labels
    votes = Votes.of(what, who, said, n_items=items, n_workers=workers, n_labels=labels)
    return votes, accuracy


def judged(votes: Votes) -> Accuracies:
    """Return the workers' accuracies as `muster aggregate` judges them."""
    found = evidence(votes, dawid_skene.fit(votes, prior="pooled"))
    return accuracies(found, crowd_prior(found))


def held(found: Accuracies, truth: Floats) -> Floats:
    """Return 1 for each worker whose interval holds the truth."""
    return ((found.lower <= truth) & (truth <= found.upper)).astype(np.float64)


def simulated_intervals(seeds: int) -> Iterator[Figure]:
    """Yield how often intervals hold simulated accuracies."""
    for labels, answers in ((2, 3), (2, 5), (3, 3), (5, 5)):
        crowds = [simulated(np.random.default_rng(seed), labels, answers) for seed in range(seeds)]
        found = [(judged(votes), truth) for votes, truth in crowds]
        name = f"95 % intervals hold, {labels} classes, {answers} answers"
        yield informing(name, fmean(held(*each).mean() for each in found), "share")
        yield informing(f"their width, {labels} classes", _width([each for each, _ in found]), "")


def recorded_intervals(crowd: RecordedCrowd) -> Iterator[Figure]:
    """Yield how often intervals hold the share of right answers of workers known well."""
    votes, truth = crowd.votes, crowd.truth.codes
    known = truth[votes.items] >= 0
    right = (votes.labels == truth[votes.items]).astype(np.float64)
    answers = np.bincount(votes.workers[known], minlength=votes.n_workers)
    agreed = np.bincount(votes.workers[known], weights=right[known], minlength=votes.n_workers)
    share = agreed / np.maximum(answers, 1)
    well = (answers >= KNOWN_ANSWERS_MIN) & (answers == votes.answers_per_worker())
    found = judged(votes)
    name = f"{crowd.name}: 95 % intervals hold, {int(well.sum())} workers"
    yield informing(name, float(held(found, share)[well].mean()), "share")
    yield informing(
        f"{crowd.name}: accuracy over-estimated by", float((found.mean - share)[well].mean()), ""
    )


def foretold(prepared: Prepared, seed: int) -> Mapping[str, float]:
    """Return figures of a forecast on items held out at random.

    Gains are over the share of wrong answers among the items learned from, in nats an answer.
    """
    votes, learner = _votes(prepared), prepared.learner
    if learner is None:
        raise ValueError("the recording has no items")
    apart = np.random.default_rng(seed).random(votes.n_items) >= SHARE_LEARNED
    past = _learned(votes, ~apart)
    posterior = opinion_pool.fit(past).posterior
    model = learner.train(_consensus(past, posterior), seed)
    if model is None:
        raise ValueError("the recording teaches no model")
    outcomes = Outcomes.of(past, posterior.argmax(axis=1))
    near = forecast.neighbourhood(learner.features, outcomes)
    signals = {
        "zero-shot entropy": forecast.entropy(learner.zero_shot)[:, None],
        "entropy": forecast.entropy(model)[:, None],
        "neighbours": near[:, None],
        "both": np.stack([forecast.entropy(model), near], axis=1),
    }
    consensus = Outcomes.of(votes, opinion_pool.fit(votes).labels()).at(apart)
    reference = Outcomes.of(votes, prepared.recording.truth).at(apart)
    figures: dict[str, float] = {}
    for name, columns in signals.items():
        chance = forecast.learn(columns, outcomes).probability(columns)[apart]
        even = np.full(len(chance), outcomes.share)
        figures[f"log loss of {name} less constant"] = _loss(chance, consensus) - _loss(
            even, consensus
        )
        figures[f"Brier of {name} by constant"] = _brier(chance, consensus) / _brier(
            even, consensus
        )
        figures[f"rank correlation of {name}"] = _rank(chance, consensus)
    figures["rank correlation of both with wrong by the reference"] = _rank(chance, reference)
    figures["log loss of constant"], figures["Brier of constant"] = (
        _loss(even, consensus),
        _brier(even, consensus),
    )
    for code, grade in enumerate(GRADES):
        rows = forecast.graded(chance) == code
        some = consensus.at(rows)
        figures[f"{grade}: share of items"] = float(rows.mean())
        figures[f"{grade}: foretold"] = float(np.average(chance[rows], weights=some.answers))
        figures[f"{grade}: came true"] = float(some.wrong.sum() / some.answers.sum())
    return figures


def difficulty_figures(folder: Path, seeds: int) -> Iterator[Figure]:
    """Yield the means over random splits."""
    prepared = prepare(folder / "loop/sentiment_polarity")
    splits = [foretold(prepared, seed) for seed in range(seeds)]
    for name in splits[0]:
        values = [split[name] for split in splits]
        yield informing(f"difficulty, {name}", fmean(values), "")
        if name == "log loss of both less constant":
            yield informing(f"difficulty, {name}, worst split", max(values), "")


def _votes(prepared: Prepared) -> Votes:
    recording = prepared.recording
    return Votes.of(
        recording.items,
        recording.workers,
        recording.labels,
        n_items=len(recording.item_ids),
        n_workers=len(recording.worker_ids),
        n_labels=len(recording.label_set),
    )


def _learned(votes: Votes, items: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Votes:
    rows = items[votes.items]
    return Votes(
        items=votes.items[rows],
        workers=votes.workers[rows],
        labels=votes.labels[rows],
        n_items=votes.n_items,
        n_workers=votes.n_workers,
        n_labels=votes.n_labels,
    )


def _consensus(past: Votes, posterior: Floats) -> Consensus:
    answers, nothing = past.answers_per_item(), np.zeros(past.n_items, dtype=np.bool_)
    return Consensus(
        posterior=posterior,
        target=posterior,
        audit_posterior=posterior,
        answers=answers.astype(np.int32),
        audit=nothing,
        audited=nothing,
        trainable=answers > 0,
    )


def _loss(chance: Floats, outcomes: Outcomes) -> float:
    right = outcomes.answers - outcomes.wrong
    total = outcomes.wrong * np.log(chance) + right * np.log1p(-chance)
    return float(-total.sum() / outcomes.answers.sum())


def _brier(chance: Floats, outcomes: Outcomes) -> float:
    right = outcomes.answers - outcomes.wrong
    total = outcomes.wrong * (1.0 - chance) ** 2 + right * chance**2
    return float(total.sum() / outcomes.answers.sum())


def _rank(chance: Floats, outcomes: Outcomes) -> float:
    if np.ptp(chance) == 0.0:
        return 0.0
    return float(spearmanr(chance, outcomes.wrong / outcomes.answers).statistic)


def _width(found: list[Accuracies]) -> float:
    return fmean(float((each.upper - each.lower).mean()) for each in found)


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    folder = os.environ.get("MUSTER_DATA")
    parser.add_argument("--data", type=Path, default=folder, help="without it, simulations alone")
    parser.add_argument("--seeds", type=int, default=20)
    asked, console = parser.parse_args(), Console(width=160)
    found = list(simulated_intervals(asked.seeds))
    if asked.data is not None:
        for crowd in read(asked.data / "truth", CROWDS):
            found += recorded_intervals(crowd)
        found += difficulty_figures(asked.data, asked.seeds)
    present("predictions", found, console)


if __name__ == "__main__":
    main()

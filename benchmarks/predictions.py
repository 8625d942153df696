"""`python -m benchmarks.predictions`: how sure one may be of workers, and what can be foretold.

*Intervals*: how often a 95 % interval holds a worker's accuracy, on simulated crowds and, with
`--data` (or MUSTER_DATA), on recorded ones that have reference labels. *Difficulty*: the sentences
of `loop/sentiment_polarity` are split at random; from the answers to seven in ten, and the model
trained on these, it is foretold how many answers to the others disagree with their consensus.
*Ability*: of half the workers it is learned how accurate the other half are, by a rating that tells
in a simulation, and by the seconds that a second crowd took. *Affinity*: which sentences lie which
worker is learned from four answers in five, and foretold of the fifth.
"""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from rich.console import Console
from scipy.special import expit, logit
from scipy.stats import spearmanr

from allocation.conclusions import Consensus
from allocation.quality import (
    ability,
    affinity,
    dawid_skene,
    difficulty_prediction,
    opinion_pool,
)
from allocation.quality.ability import crowd_prior
from allocation.quality.difficulty_prediction import Outcomes
from allocation.quality.reliability import GRID, Accuracies, Evidence, accuracies, evidence
from allocation.quality.votes import Floats, Votes
from benchmarks.figures import Figure, informing, present
from benchmarks.inference.recorded import RecordedCrowd, read
from serve_apps.answer_tables import read_answers, read_truth
from serve_apps.backtest.run import Prepared, prepare

CROWDS = ("bluebird", "cf", "d_possent", "d_product", "dog", "snow_temp", "sp_amt")
SIMULATED = ((200, 2, 3), (200, 3, 3), (400, 2, 3), (400, 2, 5), (400, 3, 3), (400, 5, 5))
"""Items, classes, and answers an item."""

KNOWN_ANSWERS_MIN = 20
"""A worker's accuracy counts as known from this many answers with a reference label on."""

SHARE_LEARNED = 0.7
Bools = npt.NDArray[np.bool_]
GRADES = ("simple", "medium", "hard")


def simulated(
    rng: np.random.Generator, items: int, labels: int, answers: int
) -> tuple[Votes, Floats]:
    """Return votes of 40 workers, so many on each item, and the workers' accuracies."""
    workers = 40
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
    for items, labels, answers in SIMULATED:
        draws = [np.random.default_rng(seed) for seed in range(seeds)]
        crowds = [simulated(rng, items, labels, answers) for rng in draws]
        found = [(judged(votes), truth) for votes, truth in crowds]
        name = f"{items} items, {labels} classes, {answers} answers"
        yield informing(
            f"95 % intervals hold, {name}", fmean(held(*each).mean() for each in found), "share"
        )
        yield informing(f"their width, {name}", _width([each for each, _ in found]), "")


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
    """Return figures of what is predicted of items held out at random.

    Gains are over the share of wrong answers among the items learned from, in nats an answer.
    """
    votes, learner = _votes(prepared), prepared.learner
    if learner is None:
        raise ValueError("the recording has no items")
    apart = np.random.default_rng(seed).random(votes.n_items) >= SHARE_LEARNED
    past = _learned(votes, ~apart)
    posterior = opinion_pool.fit(past).posterior
    trained = learner.train(_consensus(past, posterior), 1, seed)
    if trained is None:
        raise ValueError("the recording teaches no model")
    model = trained.probabilities
    outcomes = Outcomes.of(past, posterior.argmax(axis=1))
    near = difficulty_prediction.neighbourhood(learner.features, outcomes)
    signals = {
        "zero-shot entropy": difficulty_prediction.entropy(learner.zero_shot)[:, None],
        "entropy": difficulty_prediction.entropy(model)[:, None],
        "neighbours": near[:, None],
        "both": np.stack([difficulty_prediction.entropy(model), near], axis=1),
    }
    consensus = Outcomes.of(votes, opinion_pool.fit(votes).labels()).at(apart)
    reference = Outcomes.of(votes, prepared.recording.truth).at(apart)
    figures: dict[str, float] = {}
    for name, columns in signals.items():
        chance = difficulty_prediction.learn(columns, outcomes).probability(columns)[apart]
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
        rows = difficulty_prediction.graded(chance) == code
        some = consensus.at(rows)
        figures[f"{grade}: share of items"] = float(rows.mean())
        figures[f"{grade}: foretold"] = float(np.average(chance[rows], weights=some.answers))
        figures[f"{grade}: came true"] = float(some.wrong.sum() / some.answers.sum())
    return figures


def difficulty_figures(prepared: Prepared, seeds: int) -> Iterator[Figure]:
    """Yield the means over random splits."""
    splits = [foretold(prepared, seed) for seed in range(seeds)]
    for name in splits[0]:
        values = [split[name] for split in splits]
        yield informing(f"difficulty, {name}", fmean(values), "")
        if name == "log loss of both less constant":
            yield informing(f"difficulty, {name}, worst split", max(values), "")


def ability_simulated(seeds: int) -> Iterator[Figure]:
    """Yield the error of foretold accuracies by that of the crowd's mean, after some answers."""
    errors: dict[int, list[float]] = {0: [], 1: [], 5: [], 25: []}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        lean = rng.normal(1.2, 0.9, 400)
        rating, useless = lean + rng.normal(0.0, 0.7, 400), rng.normal(size=400)
        features, accuracy = np.stack([rating, useless], axis=1), expit(lean)
        known = _evidence_of(rng, accuracy[:200], 20)
        learned = ability.learn(known, features[:200])
        for answers, found in errors.items():
            new = _evidence_of(rng, accuracy[200:], answers)
            informed, blind = (
                float(np.abs(accuracies(new, prior).mean - accuracy[200:]).mean())
                for prior in (learned.prior(features[200:]), crowd_prior(known))
            )
            found.append(informed / blind)
    for answers, found in errors.items():
        yield informing(
            f"ability, simulated: error by crowd's, {answers} answers", fmean(found), ""
        )


def ability_recorded(folder: Path, seeds: int) -> Iterator[Figure]:
    """Yield what seconds an answer foretell of a recorded crowd's workers."""
    path = folder / "loop/sentiment_polarity/answers_timed.parquet"
    table = read_answers(path)
    votes, truth = table.votes, read_truth(path.with_name("truth.parquet"), table).codes
    seconds = pq.read_table(path)["reaction_time_s"].to_numpy()
    right = (votes.labels == truth[votes.items]).astype(np.float64)
    answers = votes.answers_per_worker()
    share = np.bincount(votes.workers, weights=right, minlength=votes.n_workers) / answers
    taken = [np.log1p(seconds[votes.workers == worker]) for worker in range(votes.n_workers)]
    features = np.array([[np.median(each), np.quantile(each, 0.1), np.std(each)] for each in taken])
    found = evidence(votes, dawid_skene.fit(votes, prior="pooled"))
    used, ratios = [], []
    for seed in range(seeds):
        half = np.random.default_rng(seed).random(votes.n_workers) < 0.5
        known = Evidence(log_likelihood=found.log_likelihood[half], answers=found.answers[half])
        learned = ability.learn(known, features[half])
        others = ~half & (answers >= KNOWN_ANSWERS_MIN)
        informed, blind = (
            float(np.abs(prior.mean - share[others]).mean())
            for prior in (learned.prior(features[others]), crowd_prior(known))
        )
        used.append(float(learned.informed))
        ratios.append(informed / blind)
    yield informing("ability, seconds an answer: taken up in splits", fmean(used), "share")
    yield informing("ability, seconds an answer: error by crowd's", fmean(ratios), "")


def affinity_figures(prepared: Prepared, seeds: int) -> Iterator[Figure]:
    """Yield what affinity foretells of answers left out, in nats an answer."""
    votes, learner = _votes(prepared), prepared.learner
    if learner is None:
        raise ValueError("the recording has no items")
    gains, used = [], []
    for seed in range(seeds):
        out = np.random.default_rng(seed).random(len(votes)) < 0.2
        past = _rows(votes, ~out)
        fit = dawid_skene.fit(past, prior="pooled")
        right = (votes.labels == fit.labels()[votes.items]).astype(np.float64)
        outcomes = Outcomes.of(past, fit.labels())
        near = difficulty_prediction.neighbourhood(learner.features, outcomes)[:, None]
        wrong = logit(difficulty_prediction.learn(near, outcomes).probability(near))
        lean = logit(judged(past).mean)[votes.workers] - (wrong - wrong.mean())[votes.items]
        learned = affinity.learn(past, right[~out], expit(lean[~out]), learner.features)
        more = learned.log_odds(votes.workers[out], learner.features[votes.items[out]])
        gains.append(_bit_loss(right[out], lean[out]) - _bit_loss(right[out], lean[out] + more))
        used.append(float(learned.informed))
    yield informing("affinity: taken up in splits", fmean(used), "share")
    yield informing("affinity: gain", 1_000.0 * fmean(gains), "nats/1,000 answers")
    yield informing("affinity: gain, worst split", 1_000.0 * min(gains), "nats/1,000 answers")


def _evidence_of(rng: np.random.Generator, accuracy: Floats, answers: int) -> Evidence:
    """Return evidence of workers whose labels are known."""
    right = rng.binomial(answers, accuracy)[:, None].astype(np.float64)
    return Evidence(
        log_likelihood=right * np.log(GRID) + (answers - right) * np.log1p(-GRID),
        answers=np.full(len(accuracy), answers),
    )


def _bit_loss(right: Floats, lean: Floats) -> float:
    signed = np.where(right > 0.0, lean, -lean)
    return float(np.logaddexp(0.0, -signed).mean())


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


def _learned(votes: Votes, items: Bools) -> Votes:
    return _rows(votes, items[votes.items])


def _rows(votes: Votes, rows: Bools) -> Votes:
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
    parser.add_argument("--seeds", type=int, default=5)
    asked, console = parser.parse_args(), Console(width=160)
    found = [*simulated_intervals(asked.seeds), *ability_simulated(asked.seeds)]
    if asked.data is not None:
        for crowd in read(asked.data / "truth", CROWDS):
            found += recorded_intervals(crowd)
        prepared = prepare(asked.data / "loop/sentiment_polarity")
        found += difficulty_figures(prepared, asked.seeds)
        found += ability_recorded(asked.data, asked.seeds)
        found += affinity_figures(prepared, asked.seeds)
    present("predictions", found, console)


if __name__ == "__main__":
    main()

"""`python -m benchmarks.learning_choices`: two choices in how models learn, by measurement.

On `loop/sentiment_polarity`, with all answers and with fewer, `--seeds` times. *Annotators*: the
service learns in two steps, first what the crowd believes and then a head on these posteriors;
beside it one model of both, the head's class seen through a confusion of each worker, fitted to the
answers themselves (F. Rodrigues, F. Pereira: Deep Learning from Crowds, AAAI 2018), also with a
confusion all workers share beside their own (Z. Chu, J. Ma, H. Wang: Learning from Crowds by
Modeling Common Confusions, AAAI 2021). *Calibration*: cross-fitted predictions are mapped to what
the crowd believes by a temperature, by isotonic regression and by Venn-Abers predictors. All are
tested on sentences that nobody was ever asked about. See docs/training.md.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from rich.console import Console
from sklearn.isotonic import IsotonicRegression
from torch.nn import functional

from allocation.quality import opinion_pool
from allocation.quality.calibration import fit_temperature, scaled
from allocation.quality.votes import Codes, Floats, Votes
from benchmarks.figures import Figure, informing, present
from benchmarks.learning import CROWD, Unseen
from serve_apps.backtest.learner import Learner
from serve_apps.backtest.run import prepare
from training.step import fit

ANSWERS = (1, 2, 3, 10)
"""So many answers an item at most; ten are all there are."""

RIDGES = (1.0, 0.3, 0.1, 0.03, 0.01)
STEPS = 150
SCORES = 200
"""Venn-Abers predictions are made at so many scores, and interpolated between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How predictions (n, 2) did: share right, log loss in nats, and expected calibration error."""

    right: float
    log_loss: float
    calibration_error: float

    @classmethod
    def of(cls, probabilities: Floats, truth: Codes) -> "Score":
        """Compare predictions with the truth; the error is over ten bins of equal width."""
        top, said = probabilities.max(axis=1), probabilities.argmax(axis=1)
        right = (said == truth).astype(np.float64)
        own = probabilities[np.arange(len(truth)), truth]
        bins = np.minimum((top * 10).astype(np.int64), 9)
        gap = np.abs(np.bincount(bins, right - top, minlength=10)).sum() / len(truth)
        loss = -np.log(np.maximum(own, 1e-6)).mean()
        return cls(right=float(right.mean()), log_loss=float(loss), calibration_error=float(gap))


def thinned(votes: Votes, most: int, seed: int) -> Votes:
    """Return at most so many answers of each item, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(votes))
    by_item = order[np.argsort(votes.items[order], kind="stable")]
    counts = votes.answers_per_item()
    place = np.arange(len(by_item)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = by_item[place < most]
    return Votes.of(
        votes.items[kept],
        votes.workers[kept],
        votes.labels[kept],
        n_items=votes.n_items,
        n_workers=votes.n_workers,
        n_labels=votes.n_labels,
    )


def joint(features: Floats, votes: Votes, unseen: Floats, *, common: bool, seed: int) -> Floats:
    """Return what one model of items and annotators says of unseen items, (m, K).

    Its ridge is the one under which a tenth of the answers, left out, are likeliest.
    """
    mean, scale = features.mean(axis=0), np.sqrt(features.var(axis=0).mean())
    inputs, others = (torch.tensor((x - mean) / scale).float() for x in (features, unseen))
    out = torch.tensor(np.random.default_rng(seed).random(len(votes)) < 0.1)
    losses = []
    for ridge in RIDGES:
        model = _Annotators(inputs.shape[1], votes, common=common)
        model.fit(inputs, ~out, ridge)
        losses.append(float(model.loss(inputs, out).detach()))
    model = _Annotators(inputs.shape[1], votes, common=common)
    model.fit(inputs, torch.ones(len(votes), dtype=torch.bool), RIDGES[int(np.argmin(losses))])
    found: Floats = model.head(others).softmax(dim=1).detach().double().numpy()
    return found


class _Annotators(torch.nn.Module):
    """A linear head, and how each worker turns its class into an answer."""

    def __init__(self, width: int, votes: Votes, *, common: bool) -> None:
        super().__init__()
        self.head = torch.nn.Linear(width, votes.n_labels)
        torch.nn.init.zeros_(self.head.weight)
        even = torch.eye(votes.n_labels) * 2.0
        self.own = torch.nn.Parameter(even.repeat(votes.n_workers, 1, 1))
        self.shared = torch.nn.Parameter(even.clone()) if common else None
        self.mixed = torch.nn.Linear(width, 1) if common else None
        self._items = torch.tensor(votes.items)
        self._workers, self._labels = (
            torch.tensor(codes.astype(np.int64)) for codes in (votes.workers, votes.labels)
        )

    def loss(self, inputs: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """Return the mean negative log likelihood of some answers."""
        items, workers, labels = (x[kept] for x in (self._items, self._workers, self._labels))
        classes = self.head(inputs).log_softmax(dim=1)[items]
        told = self._through(classes, self.own.log_softmax(dim=2)[workers])
        if self.shared is not None and self.mixed is not None:
            alike = self._through(
                classes, self.shared.log_softmax(dim=1).expand(len(items), -1, -1)
            )
            share = self.mixed(inputs)[items]
            told = torch.logaddexp(
                told + functional.logsigmoid(-share), alike + functional.logsigmoid(share)
            )
        return -told.gather(1, labels[:, None]).mean()

    def fit(self, inputs: torch.Tensor, kept: torch.Tensor, ridge: float) -> None:
        """Fit to some answers by L-BFGS; confusions lean to those of the average worker."""
        optimizer = torch.optim.LBFGS(
            self.parameters(), max_iter=STEPS, line_search_fn="strong_wolfe"
        )
        strength = 4.0 / max(int(kept.sum()), 1)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            spread = (self.own - self.own.mean(dim=0)).square().sum()
            size = self.head.weight.square().sum()
            if self.mixed is not None:
                size = size + self.mixed.weight.square().sum()
            loss = self.loss(inputs, kept) + 0.5 * ridge * size + 0.5 * strength * spread
            torch.autograd.backward(loss)
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]

    @staticmethod
    def _through(classes: torch.Tensor, confusion: torch.Tensor) -> torch.Tensor:
        return torch.logsumexp(classes[:, :, None] + confusion, dim=1)


Calibrator = Callable[[Floats, Floats], Callable[[Floats], Floats]]


def by_temperature(said: Floats, believed: Floats) -> Callable[[Floats], Floats]:
    """Return the map of one factor on log probabilities, as the service fits it."""
    temperature = fit_temperature(said, np.log(np.maximum(believed, 1e-9)))
    return lambda probabilities: np.exp(scaled(probabilities, temperature))


def by_isotonic(said: Floats, believed: Floats) -> Callable[[Floats], Floats]:
    """Return the rising map of least squared error, of two classes."""
    rising = IsotonicRegression(y_min=1e-3, y_max=1.0 - 1e-3, out_of_bounds="clip")
    rising.fit(said[:, 1], believed[:, 1])
    return lambda probabilities: _two(rising.predict(probabilities[:, 1]))


def by_venn_abers(said: Floats, believed: Floats) -> Callable[[Floats], Floats]:
    """Return the inductive Venn-Abers predictor of two classes, its two bounds made one."""
    scores = np.quantile(said[:, 1], np.linspace(0.0, 1.0, SCORES))
    bounds = np.empty((2, SCORES))
    for label in (0, 1):
        for place, score in enumerate(scores):
            rising = IsotonicRegression(out_of_bounds="clip")
            rising.fit(np.append(said[:, 1], score), np.append(believed[:, 1], label))
            bounds[label, place] = rising.predict([score])[0]
    merged = bounds[1] / (1.0 - bounds[0] + bounds[1])
    return lambda probabilities: _two(np.interp(probabilities[:, 1], scores, merged))


CALIBRATORS: Mapping[str, Calibrator | None] = {
    "as trained": None,
    "temperature": by_temperature,
    "isotonic": by_isotonic,
    "Venn-Abers": by_venn_abers,
}


def _two(second: Floats) -> Floats:
    return np.stack([1.0 - second, second], axis=1)


def measured(
    learner: Learner, votes: Votes, unseen: Unseen, seed: int
) -> Iterator[tuple[str, Score]]:
    """Yield how each way of learning, and of calibrating what was learnt, did."""
    asked = np.flatnonzero(votes.answers_per_item() > 0)
    believed = opinion_pool.fit(votes).posterior
    data = learner.data(asked, believed[asked])
    model = fit(learner.recipe, data, seed)
    own = model.predict(data.features, data.folds).astype(np.float64)
    said = model.predict(unseen.features).astype(np.float64)
    for name, calibrator in CALIBRATORS.items():
        fitted = said if calibrator is None else calibrator(own, believed[asked])(said)
        yield name, Score.of(fitted, unseen.truth)
    asked_of, others = (each.astype(np.float64) for each in (learner.features, unseen.features))
    for name, common in (("annotators", False), ("annotators, common", True)):
        found = joint(asked_of, votes, others, common=common, seed=seed)
        yield name, Score.of(found, unseen.truth)


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    folder = os.environ.get("MUSTER_DATA")
    parser.add_argument("--data", type=Path, default=folder, required=folder is None)
    parser.add_argument("--seeds", type=int, default=3)
    asked, console = parser.parse_args(), Console(width=160)
    prepared = prepare(asked.data / CROWD)
    recording, learner = prepared.recording, prepared.learner
    if learner is None:
        parser.error(f"{CROWD} has no items to learn from")
    unseen = Unseen.read(asked.data / CROWD, recording.label_set)
    votes = Votes.of(
        recording.items,
        recording.workers,
        recording.labels,
        n_items=len(recording.item_ids),
        n_workers=len(recording.worker_ids),
        n_labels=len(recording.label_set),
    )
    found: dict[tuple[int, str], list[Score]] = {}
    for seed in range(asked.seeds):
        for most in ANSWERS:
            for name, score in measured(learner, thinned(votes, most, seed), unseen, seed):
                found.setdefault((most, name), []).append(score)
    present("learning_choices", list(_figures(found)), console)


def _figures(found: Mapping[tuple[int, str], list[Score]]) -> Iterator[Figure]:
    for (most, name), scores in found.items():
        of = f"{most} answers, {name}"
        yield informing(f"{of}: right", fmean(each.right for each in scores), "share")
        yield informing(f"{of}: log loss", fmean(each.log_loss for each in scores), "nats")
        error = fmean(each.calibration_error for each in scores)
        yield informing(f"{of}: calibration error", error, "share")


if __name__ == "__main__":
    main()

"""Linear heads: as good as a tuned reference, cross-fitted, the same however rows are shared."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from cluster.errors import TrainingFailed
from tests.unit.training.worlds import Points
from training.config import LinearHead
from training.data import TrainingData
from training.group import Alone
from training.model import CrossFitted
from training.recipes import text_head
from training.step import Fitted, fit, train


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def test_a_model_learns_what_a_noisy_crowd_means() -> None:
    seen, unseen = Points.draw(500), Points.draw(500, seed=9)

    model = fit(text_head(), seen.training_data(noise=0.3), seed=0)

    assert accuracy(model.predict(unseen.features), unseen.labels) > 0.93


def test_equal_data_and_seeds_give_equal_bytes() -> None:
    data = Points.draw(200).training_data()

    assert fit(text_head(), data, seed=3).save() == fit(text_head(), data, seed=3).save()


def test_a_head_has_not_seen_the_items_of_its_fold() -> None:
    """Whatever is said of the items of one fold, their own head stays as it was."""
    data = Points.draw(300).training_data()
    turned = data.targets.copy()
    turned[data.folds == 2] = np.roll(turned[data.folds == 2], 1, axis=1)
    one_penalty = replace(text_head(), head=LinearHead(l2_path=(0.1,), gradient_tolerance=1e-6))
    own = np.full(300, 2)

    before = fit(one_penalty, data, seed=0)
    after = fit(one_penalty, replace(data, targets=turned), seed=0)

    np.testing.assert_allclose(
        before.predict(data.features, own), after.predict(data.features, own), atol=2e-3
    )
    others = np.full(300, 1)
    gap = before.predict(data.features, others) - after.predict(data.features, others)
    assert np.abs(gap).max() > 0.05


def test_a_row_that_weighs_nothing_teaches_nothing() -> None:
    data = Points.draw(300).training_data()
    kept = np.arange(300) < 200
    silenced = replace(data, weights=kept.astype(np.float32))
    lied = silenced.targets.copy()
    lied[~kept] = np.roll(lied[~kept], 1, axis=1)

    honest = fit(text_head(), silenced, seed=0)
    deceived = fit(text_head(), replace(silenced, targets=lied), seed=0)

    np.testing.assert_allclose(
        honest.predict(data.features), deceived.predict(data.features), atol=1e-4
    )


def test_probabilities_are_those_of_the_crowd_not_of_its_most_voted_label() -> None:
    """Where nothing in the features tells, the model says what share of the crowd said what."""
    data = Points.draw(400).training_data()
    targets = np.tile(np.array([0.5, 0.3, 0.2], np.float32), (400, 1))
    targets[:4] = np.array([0.2, 0.3, 0.5], np.float32)

    model = fit(text_head(), replace(data, targets=targets), seed=0)

    np.testing.assert_allclose(
        model.predict(data.features).mean(axis=0), targets.mean(0), atol=0.02
    )


def test_a_class_that_is_rare_or_missing_breaks_nothing() -> None:
    data = Points.draw(60).training_data()
    targets = np.zeros((60, 5), np.float32)
    targets[:, 0] = 1.0
    targets[0] = np.array([0, 1, 0, 0, 0], np.float32)

    probabilities = fit(text_head(), replace(data, targets=targets), seed=0).predict(data.features)

    assert np.isfinite(np.log(probabilities)).all()


@pytest.mark.parametrize("rows", [1, 40])
def test_one_class_only_is_a_clear_failure(rows: int) -> None:
    data = Points.draw(rows).training_data()
    targets = np.tile(np.array([0.1, 0.8, 0.1], np.float32), (rows, 1))

    with pytest.raises(TrainingFailed, match="fewer than two classes"):
        fit(text_head(), replace(data, targets=targets), seed=0)


def test_numbers_that_are_none_are_a_clear_failure() -> None:
    data = Points.draw(50).training_data()
    data.features[3, 3] = np.nan

    with pytest.raises(TrainingFailed, match="not finite"):
        fit(text_head(), data, seed=0)


class ThreadGroup:
    """One worker of several that are threads of this process."""

    device = torch.device("cpu")

    def __init__(self, rank: int, size: int, exchange: "Exchange") -> None:
        self.rank, self.size, self._exchange = rank, size, exchange

    def total(self, tensor: Tensor) -> Tensor:
        return self._exchange.total(self.rank, tensor)

    def replicate(self, module: nn.Module) -> nn.Module:
        return module


class Exchange:
    """Where the workers' tensors meet."""

    def __init__(self, size: int) -> None:
        self._given: list[Tensor] = [torch.zeros(())] * size
        self._barrier = threading.Barrier(size, timeout=20)

    def total(self, rank: int, tensor: Tensor) -> Tensor:
        self._given[rank] = tensor.clone()
        self._barrier.wait()
        summed = torch.stack(self._given).sum(0)
        self._barrier.wait()
        return summed


def share(data: TrainingData, edges: tuple[int, int]) -> TrainingData:
    rows = slice(*edges)
    return TrainingData(
        features=data.features[rows],
        targets=data.targets[rows],
        weights=data.weights[rows],
        folds=data.folds[rows],
    )


def train_together(data: TrainingData, edges: list[int]) -> list[Fitted]:
    """Train with one thread for each share of the rows."""
    shares = [share(data, pair) for pair in pairwise(edges)]
    exchange = Exchange(len(shares))
    with ThreadPoolExecutor(len(shares)) as pool:
        runs = [
            pool.submit(train, text_head(), part, 0, ThreadGroup(rank, len(shares), exchange))
            for rank, part in enumerate(shares)
        ]
        return [run.result() for run in runs]


@pytest.mark.parametrize("edges", [[0, 150, 300], [0, 7, 300], [0, 300, 300], [0, 100, 200, 300]])
def test_workers_that_share_the_rows_train_the_model_of_one(edges: list[int]) -> None:
    data = Points.draw(300).training_data(noise=0.2)
    alone = train(text_head(), data, 0, Alone())

    together = train_together(data, edges)

    files = {fitted.model.save() for fitted in together}
    assert len(files) == 1
    there, here = (CrossFitted.load(each.model.save()) for each in (together[0], alone))
    np.testing.assert_allclose(there.predict(data.features), here.predict(data.features), atol=2e-3)
    assert together[0].metrics == pytest.approx(dict(alone.metrics), rel=1e-3)


def test_sentences_are_told_apart_as_well_as_by_a_tuned_reference(data_dir: Path) -> None:
    """Against scikit-learn's logistic regression at the best penalty the test set itself picks.

    Random projections of a bag of words stand in for an encoder, so that the test needs none.
    """
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, labels = bag_of_words(data_dir / "loop" / "sentiment_polarity-mini")
    rng = np.random.default_rng(0)
    order = rng.permutation(len(labels))
    seen, unseen = order[: len(order) // 2], order[len(order) // 2 :]
    said = np.where(rng.random(len(seen)) < 0.2, 1 - labels[seen], labels[seen])
    targets = np.where(np.arange(2) == said[:, None], 0.8, 0.2).astype(np.float32)
    data = TrainingData(
        features=features[seen],
        targets=targets,
        weights=np.ones(len(seen), np.float32),
        folds=rng.integers(0, 5, len(seen)),
    )

    ours = fit(text_head(), data, seed=0).predict(features[unseen])

    def reference(strength: float) -> np.ndarray:
        doubled = np.concatenate([features[seen]] * 2)
        model = linear_model.LogisticRegression(C=strength, max_iter=500)
        codes = np.repeat([0, 1], len(seen))
        model.fit(doubled, codes, sample_weight=targets.T.ravel())
        probabilities: np.ndarray = model.predict_proba(features[unseen])
        return probabilities

    best = min(
        log_loss(reference(strength), labels[unseen]) for strength in (0.01, 0.1, 1, 10, 100)
    )
    assert log_loss(ours, labels[unseen]) < best + 0.01


def bag_of_words(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    items = pq.read_table(folder / "items.parquet").to_pylist()
    truth = pq.read_table(folder / "truth.parquet").to_pylist()
    label_of: Callable[[str], str | None] = {row["item_id"]: row["label"] for row in truth}.get
    kept = [item for item in items if label_of(item["item_id"]) is not None]
    words = sorted({word for item in kept for word in item["text"].split()})
    column = {word: index for index, word in enumerate(words)}
    projection = np.random.default_rng(0).normal(size=(len(words), 128))
    rows = np.stack(
        [projection[[column[word] for word in item["text"].split()]].sum(0) for item in kept]
    )
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = np.array([label_of(item["item_id"]) == "pos" for item in kept]).astype(np.int64)
    return rows.astype(np.float32), labels

"""`python -m benchmarks.recipes`: which recipe, and which loss, learns most from a noisy crowd.

On `loop/sentiment_polarity` below `--data` (or MUSTER_DATA): models are trained on sentences that a
real crowd answered. *Recipes*: a head on the frozen encoder, adapters in it, all of it tuned, from
gold labels and from the Dawid-Skene posterior of the crowd's answers, tested on sentences nobody
was asked about. *Losses*: linear members over the frozen encoder, trained by minibatches on those
posteriors by each loss, and by cross entropy on majority labels as if they were certain; with all
answers and with two an item, each item foretold by the member that never saw it.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import get_args

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional

from allocation.quality import dawid_skene, majority
from allocation.quality.votes import Votes
from benchmarks.figures import Figure, informing, present
from cluster.domain.items import fold_of
from serve_apps.answer_tables import read_answers
from serve_apps.backtest.learner import content_hash
from serve_apps.prelabel.encode import encode
from serve_apps.prelabel.loading import ModelLoader
from serve_apps.prelabel.turns import Turns
from training.config import MINILM, Loss, Minibatches, Recipe, Shape
from training.data import TrainingData
from training.group import Alone
from training.heads import LinearHeads
from training.minibatch import fit_minibatches, own_logits, seeded
from training.model import CrossFitted
from training.recipes import text_full, text_head, text_lora
from training.step import train
from training.tensors import Rows
from training.tuned import TunedModel

Floats = npt.NDArray[np.float32]

RECIPES: tuple[Callable[[], Recipe], ...] = (text_head, text_lora, text_full)
HEAD_FOLDS = text_head().folds


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sentences:
    """Texts (n,), their frozen features (n, D) and gold labels (n,)."""

    texts: list[str]
    features: Floats
    gold: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.int64]) -> "Sentences":
        """Return some of them."""
        texts = [self.texts[row] for row in rows.tolist()]
        return Sentences(texts=texts, features=self.features[rows], gold=self.gold[rows])

    def data(self, targets: Floats, folds: int) -> TrainingData:
        """Return them as rows to learn from."""
        hashes = [content_hash(text) for text in self.texts]
        return TrainingData(
            features=self.features,
            targets=targets.astype(np.float32),
            weights=np.ones(len(targets), np.float32),
            folds=np.array([fold_of(each, folds) for each in hashes]),
            contents=self.texts,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Case:
    """Sentences to learn from, by what is said of them, and sentences to be tested on."""

    train: Sentences
    test: Sentences
    targets: Mapping[str, Floats]

    def figures(self, name: str, recipe: Recipe, targets: str, seed: int) -> Iterator[Figure]:
        """Train, test, and yield how it did."""
        started = perf_counter()
        data = self.train.data(self.targets[targets], recipe.folds)
        model = train(recipe, data, seed, Alone()).model
        seconds = perf_counter() - started
        if isinstance(model, CrossFitted):
            said = model.predict(self.test.features)
        elif isinstance(model, TunedModel):
            said = model.predict(self.test.texts)
        own = said[np.arange(len(said)), self.test.gold]
        right = float((said.argmax(axis=1) == self.test.gold).mean())
        yield informing(f"{name}, accuracy", right, "share")
        yield informing(f"{name}, log loss", float(-np.log(np.maximum(own, 1e-6)).mean()), "nats")
        yield informing(f"{name}, training", seconds, "s")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Crowd:
    """What a crowd said of the answered sentences, and sentences nobody was asked about."""

    votes: Votes
    answered: Sentences
    unseen: Sentences


def read_crowd(folder: Path) -> Crowd:
    """Read a recorded crowd."""
    items = pq.read_table(folder / "items.parquet")
    table = read_answers(folder)
    text_of = dict(zip(items["item_id"].to_pylist(), items["text"].to_pylist(), strict=True))
    truth = pq.read_table(folder / "truth.parquet")
    label_of = dict(zip(truth["item_id"].to_pylist(), truth["label"].to_pylist(), strict=True))
    unseen = [each for each in text_of if each not in set(table.item_ids)]

    def sentences(ids: Sequence[str]) -> Sentences:
        codes = [table.label_names.index(label_of[each]) for each in ids]
        return _sentences([text_of[each] for each in ids], np.array(codes))

    return Crowd(votes=table.votes, answered=sentences(table.item_ids), unseen=sentences(unseen))


def read_case(crowd: Crowd, train_rows: int, test_rows: int) -> Case:
    """Return some sentences to learn from, by all answers to them, and some to be tested on."""
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(crowd.answered.texts))[:train_rows]
    posterior = dawid_skene.fit(crowd.votes).posterior[chosen]
    train = crowd.answered.take(chosen)
    one_hot = np.eye(crowd.votes.n_labels, dtype=np.float32)
    return Case(
        train=train,
        test=crowd.unseen.take(rng.permutation(len(crowd.unseen.texts))[:test_rows]),
        targets={"gold": one_hot[train.gold], "crowd": posterior.astype(np.float32)},
    )


def _sentences(texts: list[str], gold: npt.NDArray[np.int64]) -> Sentences:
    loader = ModelLoader(threads=1, image_pixels_max=1, pause=lambda _: None)
    encoder = loader.encoder(MINILM, "text")
    features = encode(encoder, texts, encoder.budget, Turns(), urgent=False).features
    stored = features.astype(np.float16).astype(np.float32)
    return Sentences(texts=texts, features=stored, gold=gold)


def by_recipe(case: Case, seed: int) -> Iterator[Figure]:
    """Yield every recipe on gold and on the crowd's posteriors."""
    for targets in ("gold", "crowd"):
        for recipe in RECIPES:
            yield from case.figures(f"{recipe().name} on {targets}", recipe(), targets, seed)


class HeadLearner:
    """Linear members over frozen features, as the minibatch loop sees them."""

    def __init__(self, shape: Shape, rows: Rows) -> None:
        self.network, self._rows = LinearHeads(shape), rows
        self.network.mean.copy_(rows.features.mean(0))
        self.network.scale.copy_((rows.features - self.network.mean).square().mean().sqrt())

    @property
    def members(self) -> Sequence[nn.Module]:
        """All of them: their gradients are not cut."""
        return [self.network]

    @property
    def sizes(self) -> Tensor:
        """All alike."""
        return torch.ones_like(self._rows.folds)

    def logits(self, replica: nn.Module, index: Tensor, generator: torch.Generator) -> Tensor:
        """Return the logits (b, F, K) of some rows."""
        del generator
        logits: Tensor = replica(self._rows.features[index])
        return logits

    def own(self, index: Tensor) -> Tensor:
        """Return the logits (b, K) of some rows, each by the member of its own fold."""
        return self.network.own(self._rows.features[index], self._rows.folds[index])


def by_loss(sentences: Sentences, votes: Votes, seed: int) -> Iterator[Figure]:
    """Yield every loss on what a crowd said, and cross entropy on its majority."""
    posterior = dawid_skene.fit(votes).posterior
    hard = np.eye(votes.n_labels)[majority.fit(votes).posterior.argmax(axis=1)]
    answers = f"{len(votes) / votes.n_items:.1f} answers"
    for loss in get_args(Loss):
        yield from _by_head(f"{loss} loss, {answers}", loss, sentences, posterior, seed)
    yield from _by_head(f"majority labels, {answers}", "posterior", sentences, hard, seed)


def _by_head(
    name: str, loss: Loss, sentences: Sentences, targets: npt.NDArray[np.floating], seed: int
) -> Iterator[Figure]:
    config = Minibatches(epochs=20, batch_rows=64, learning_rate=3e-3, patience=3, loss=loss)
    rows = Rows.of(sentences.data(targets.astype(np.float32), HEAD_FOLDS), torch.device("cpu"))
    shape = text_head().shape(rows.features.shape[1], rows.targets.shape[1])
    with seeded(seed, torch.device("cpu")):
        learner = HeadLearner(shape, rows)
    fit_minibatches(config, learner, rows, seed, Alone(), name, None, None)
    logits = own_logits(learner, Alone())
    gold = torch.from_numpy(sentences.gold)
    right = (logits.argmax(1) == gold).float().mean()
    yield informing(f"{name}, accuracy", float(right), "share")
    yield informing(f"{name}, log loss", float(functional.cross_entropy(logits, gold)), "nats")


def answers_an_item(votes: Votes, most: int) -> Votes:
    """Return votes with at most so many random answers of each item."""
    order = np.random.default_rng(0).permutation(len(votes))
    items = votes.items[order]
    by_item = np.argsort(items, kind="stable")
    first = np.searchsorted(items[by_item], items[by_item])
    kept = np.sort(order[by_item[np.arange(len(items)) - first < most]])
    return replace(
        votes, items=votes.items[kept], workers=votes.workers[kept], labels=votes.labels[kept]
    )


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    folder = os.environ.get("MUSTER_DATA")
    parser.add_argument("--data", type=Path, default=folder, required=folder is None)
    parser.add_argument("--train-rows", type=int, default=2_000)
    parser.add_argument("--test-rows", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=3)
    asked, console = parser.parse_args(), Console(width=120)
    torch.set_num_threads(1)
    crowd = read_crowd(asked.data / "loop/sentiment_polarity")
    found = list(by_recipe(read_case(crowd, asked.train_rows, asked.test_rows), seed=0))
    for seed in range(asked.seeds):
        for votes in (crowd.votes, answers_an_item(crowd.votes, 2)):
            found += by_loss(crowd.answered, votes, seed)
    present("recipes", found, console)


if __name__ == "__main__":
    main()

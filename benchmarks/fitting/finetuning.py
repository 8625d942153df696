"""One side of a comparison of fine-tuning: `python -m ... ORDER.json SIDE` prints seconds and rows.

Both sides train BERT-base on the same texts in the device's fastest numbers, embeddings frozen,
batches of `batch_rows` a network, and are timed from the end of their first epoch to the end of
their last. The recipe trains two networks, each on the half of the rows that the other is judged
on; the Trainer trains one on all rows: an epoch is as many rows either way.
"""

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Literal, get_args

import numpy as np
import torch
from pydantic import BaseModel
from torch.utils.data import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from benchmarks.bulk.bare import TOKENS_MAX
from benchmarks.bulk.networks import WIDTH
from training.backbone import folder_of
from training.config import Recipe, TunedEncoder
from training.data import TrainingData
from training.group import Alone
from training.precision import fast_dtype
from training.progress import Progress
from training.recipes import text_full
from training.step import train

Side = Literal["recipe", "trainer", "trainer, by length"]
FOLDS = 2


class Order(BaseModel):
    """What to train: a base model of the hub's cache, on these texts, for so many epochs."""

    base_model: str
    texts: list[str]
    epochs: int
    batch_rows: int


class Timed(BaseModel):
    """The seconds of all epochs but the first, and the rows that were trained on in them."""

    seconds: float
    rows: int


def device() -> torch.device:
    """Return the device to train on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def recipe_of(order: Order) -> tuple[Recipe, TunedEncoder]:
    """Return the recipe of both sides."""
    recipe = text_full(order.base_model)
    if not isinstance(recipe.head, TunedEncoder):
        raise TypeError("text_full tunes an encoder")
    batch_rows = recipe.folds * order.batch_rows
    head = replace(recipe.head, epochs=order.epochs, batch_rows=batch_rows, patience=None)
    return replace(recipe, head=head), head


def by_recipe(order: Order) -> Timed:
    """Train by Muster's recipe."""
    recipe, _ = recipe_of(order)
    rng, rows, ends = np.random.default_rng(0), len(order.texts), list[float]()
    data = TrainingData(
        features=rng.normal(size=(rows, 2 * WIDTH)).astype(np.float32),
        targets=np.eye(2, dtype=np.float32)[rng.integers(0, 2, rows)],
        weights=np.ones(rows, np.float32),
        folds=np.arange(rows) % FOLDS,
        contents=order.texts,
    )

    def note(progress: Progress) -> None:
        if progress.epochs == math.floor(progress.epochs):
            _wait()
            ends.append(perf_counter())

    train(recipe, data, 0, Alone(device()), on_progress=note)
    return Timed(seconds=ends[-1] - ends[0], rows=rows * (order.epochs - 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Rows(Dataset[dict[str, list[int]]]):
    rows: list[dict[str, list[int]]]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return self.rows[index]


class _Ends(TrainerCallback):
    """Notes when each epoch ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_epoch_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,  # noqa: ARG002
        **_: object,
    ) -> None:
        """Note it."""
        _wait()
        self.ends.append(perf_counter())


def by_trainer(order: Order, folder: Path, *, by_length: bool) -> Timed:
    """Train by Hugging Face's Trainer."""
    _, head = recipe_of(order)
    source = folder_of(order.base_model)
    tokenizer = AutoTokenizer.from_pretrained(source)
    encoded = tokenizer(order.texts, truncation=True, max_length=TOKENS_MAX)["input_ids"]
    labels = np.random.default_rng(0).integers(0, 2, len(encoded)).tolist()
    rows = [{"input_ids": ids, "labels": label} for ids, label in zip(encoded, labels, strict=True)]
    network = AutoModelForSequenceClassification.from_pretrained(source, num_labels=2)
    for name, parameter in network.named_parameters():
        parameter.requires_grad = not any(each in name for each in head.base.frozen)
    noted = _Ends()
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=order.epochs,
        per_device_train_batch_size=order.batch_rows,
        learning_rate=head.learning_rate,
        weight_decay=head.weight_decay,
        bf16=fast_dtype(device()) == torch.bfloat16,
        use_cpu=device().type == "cpu",
        optim="adamw_torch_fused",
        train_sampling_strategy="group_by_length" if by_length else "random",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    Trainer(
        model=network,
        args=arguments,
        train_dataset=_Rows(rows),
        data_collator=DataCollatorWithPadding(tokenizer),
        callbacks=[noted],
    ).train()
    return Timed(seconds=noted.ends[-1] - noted.ends[0], rows=len(rows) * (order.epochs - 1))


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    """Read the order, train, and print what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("order", type=Path)
    parser.add_argument("side", choices=get_args(Side))
    asked = parser.parse_args()
    order = Order.model_validate_json(asked.order.read_bytes())
    if asked.side == "recipe":
        timed = by_recipe(order)
    else:
        timed = by_trainer(order, asked.order.parent, by_length=asked.side != "trainer")
    print(timed.model_dump_json())


if __name__ == "__main__":
    main()

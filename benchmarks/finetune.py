"""`python -m benchmarks.finetune`: a BERT-base recipe beside Hugging Face's own Trainer.

BERT-base with random weights, tuned whole but for its embeddings on the same texts by both: by the
recipe `text_full`, and by the Trainer with rows at random, its default, and with rows of like
lengths together. Each side has a process of its own, they take turns, and figures are medians.
Only true tokens count as work, three times what they cost to read: padding is waste. The peak is
that of a large matrix product on the same device in the same numbers.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import get_args

from rich.console import Console
from transformers import AutoTokenizer

from benchmarks.bulk import networks
from benchmarks.bulk.bare import TOKENS_MAX
from benchmarks.bulk.texts import read_texts
from benchmarks.figures import Figure, at_least, informing, present
from benchmarks.fitting import finetuning
from benchmarks.fitting.finetuning import Order, Side, Timed
from training.precision import fast_dtype

BASE_MODEL, REVISION = "muster/bert-base-random", "0" * 40
READ_AND_LEARNT = 3.0
"""A step costs so many times what reading costs: forward, and twice as much backward."""


def save_base_model(hub: Path) -> Path:
    """Write BERT-base where the hub's client looks for it, and return its folder."""
    repository = hub / f"models--{BASE_MODEL.replace('/', '--')}"
    folder = repository / "snapshots" / REVISION
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    return networks.save_bert_base(folder)


def seconds_a_row(side: Side, order: Path, hub: Path) -> float:
    """Train one side in a process of its own and return the seconds of a row."""
    done = subprocess.run(
        (sys.executable, "-m", finetuning.__name__, str(order), side),
        env={**os.environ, "HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    timed = Timed.model_validate_json(done.stdout.splitlines()[-1])
    return timed.seconds / timed.rows


def measure(order: Order, rounds: int, product: int, console: Console) -> list[Figure]:
    """Return all figures."""
    sides: tuple[Side, ...] = get_args(Side)
    took: dict[Side, list[float]] = {side: [] for side in sides}
    with TemporaryDirectory() as name:
        hub, told = Path(name) / "hub", Path(name) / "order.json"
        tokenizer = AutoTokenizer.from_pretrained(save_base_model(hub))
        tokens = tokenizer(order.texts, truncation=True, max_length=TOKENS_MAX)["input_ids"]
        told.write_text(order.model_dump_json())
        for _ in range(rounds):
            for side in sides:
                took[side].append(seconds_a_row(side, told, hub))
                console.print(f"{side}: {1.0 / took[side][-1]:,.1f} rows/s")
    device = finetuning.device()
    peak = networks.product_flop_per_s(device.type, fast_dtype(device), product)
    read = sum(networks.text_flop(len(each)) for each in tokens) / len(tokens)
    flop = READ_AND_LEARNT * read
    row = {side: median(each) for side, each in took.items()}
    others = min(row["trainer"], row["trainer, by length"])
    return [
        informing(f"peak on {device.type}", peak / 1e12, "TFLOP/s"),
        informing("recipe", 1.0 / row["recipe"], "rows/s"),
        informing("recipe: FLOP utilisation", flop / row["recipe"] / peak, "of the peak"),
        informing("Trainer", 1.0 / row["trainer"], "rows/s"),
        informing("Trainer, rows of like lengths", 1.0 / row["trainer, by length"], "rows/s"),
        informing("Trainer: FLOP utilisation", flop / others / peak, "of the peak"),
        informing("recipe by the Trainer as it is", row["trainer"] / row["recipe"], "x"),
        at_least("recipe by the better Trainer", others / row["recipe"], "x", 1.2),
    ]


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=os.environ.get("MUSTER_DATA"))
    parser.add_argument("--texts", type=int, default=8_192)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32, help="rows of a batch for each network")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--product", type=int, default=8_192, help="side of the peak's matrices")
    asked, console = parser.parse_args(), Console(width=160)
    texts = read_texts(asked.data and Path(asked.data), asked.texts, seed=0).texts
    order = Order(
        base_model=BASE_MODEL,
        texts=list(texts),
        epochs=asked.epochs,
        batch_rows=asked.batch,
    )
    present("finetune", measure(order, asked.rounds, asked.product, console), console)


if __name__ == "__main__":
    main()

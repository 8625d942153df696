"""`python -m benchmarks.prelabel`: bulk pre-labelling beside a bare loop and what others use.

`--data` (or MUSTER_DATA) names a folder with recorded texts; without it texts are generated. All
sides use the same texts, the same packaged weights and every processor, compute in the numbers the
processor is fastest in (`transformers.pipeline` also in those it takes by itself), and have their
weights loaded before. Muster's time is that of the whole service, from the upload to the
predictions of the last item in the object store; the bare loop's is of one process that keeps all
in memory. Muster, as it is and with compiled networks, and the bare loop take turns, `--rounds`
times; the figures are of the medians.
"""

import argparse
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from rich.console import Console

from benchmarks.bulk import lit, online, pipeline, raydata, scaling, whole
from benchmarks.bulk.bare import BareLoop, Choice
from benchmarks.bulk.texts import LABELS, Texts, read_texts
from benchmarks.chaos.service import MusterUp
from benchmarks.figures import Figure, at_least, at_most, informing, present

FEW = 12
"""Slow sides get one text of so many, drawn evenly; their rate does not depend on how many."""


COMPILED = {"MUSTER_PRELABEL__COMPILE_NETWORKS": "true"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Items a second, and the numbers that the bare loop is fastest in."""

    bare: float
    whole: float
    compiled: float
    dtype: torch.dtype


def bare_and_whole(
    texts: Texts, folder: Path, rounds: int, settings: Mapping[str, str], log: Console
) -> Rates:
    """Return the rates of the bare loop and of Muster, the medians of rounds in turns."""
    loop = BareLoop(len(os.sched_getaffinity(0)), LABELS)
    choice = loop.choose(texts.texts)
    log.print(f"{len(texts):,} {texts.origin} texts; the bare loop is fastest with {choice}")
    bare, ours, compiled = [], [], []
    for number in range(rounds):
        bare.append(_bare_rate(loop, choice, texts))
        ours.append(_whole_rate(texts, folder / f"{number}", settings))
        compiled.append(_whole_rate(texts, folder / f"{number}c", {**settings, **COMPILED}))
        log.print(
            f"bare {bare[-1]:,.0f}, Muster {ours[-1]:,.0f}, compiled {compiled[-1]:,.0f} items/s"
        )
    return Rates(
        bare=median(bare), whole=median(ours), compiled=median(compiled), dtype=choice.dtype
    )


def _whole_rate(texts: Texts, folder: Path, settings: Mapping[str, str]) -> float:
    folder.mkdir()
    return len(texts) / whole.seconds(texts, folder, settings)["predicted"]


def _bare_rate(loop: BareLoop, choice: Choice, texts: Texts) -> float:
    started = perf_counter()
    loop.predict(texts.texts, choice)
    return len(texts) / (perf_counter() - started)


def peers(texts: Texts, folder: Path, dtype: torch.dtype) -> dict[str, float]:
    """Return items a second of what others use, computing in numbers of a kind."""
    threads = len(os.sched_getaffinity(0))
    few = Texts(texts=texts.texts[::FEW], origin=texts.origin)
    small = whole.write(Texts(texts=texts.texts[:256], origin=texts.origin), folder / "small.jsonl")
    large = whole.write(few, folder / "large.jsonl")
    return {
        "transformers.pipeline, batches of 32": pipeline.items_per_s(few.texts, threads, "auto"),
        "the same, told to use those numbers": pipeline.items_per_s(few.texts, threads, dtype),
        "Ray Data actor pool": raydata.items_per_s(small, large, (256, len(few)), threads, dtype),
        "LitServe with batching": lit.items_per_s(few.texts, _free_port(), threads, dtype),
    }


PEER_RATIOS = {
    "transformers.pipeline, batches of 32": 4.0,
    "Ray Data actor pool": 1.2,
    "LitServe with batching": 2.0,
}


def online_figures(
    texts: Texts, folder: Path, settings: Mapping[str, str]
) -> tuple[Figure, Figure, Figure]:
    """Return how long online requests wait, idle and beside a bulk job."""
    with MusterUp(folder, settings) as service:
        service.wait_ready()
        whole.warm(service, texts, folder)
        idle, busy = online.p99_ms(texts, service, folder)
    return (
        informing("online p99, idle", idle, "ms"),
        informing("online p99 beside a bulk job", busy, "ms"),
        at_most("online p99 beside a bulk job by idle", busy / idle, "x", 3.0),
    )


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=os.environ.get("MUSTER_DATA"))
    parser.add_argument("--items", type=int, default=48_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked, console = parser.parse_args(), Console(width=160)
    texts = read_texts(asked.data and Path(asked.data), asked.items, seed=0)
    threads = len(os.sched_getaffinity(0))
    settings = {
        "MUSTER_PRELABEL__REPLICAS_MIN": str(threads),
        "MUSTER_PRELABEL__REPLICAS_MAX": str(threads),
        "MUSTER_PRELABEL__THREADS_PER_REPLICA": "1",
    }
    found: list[Figure] = []
    with TemporaryDirectory() as folder:
        rates = bare_and_whole(texts, Path(folder), asked.rounds, settings, console)
        found += [
            informing("bare PyTorch loop", rates.bare, "items/s"),
            informing("Muster, upload to predictions", rates.whole, "items/s"),
            at_least("Muster by the bare loop", rates.whole / rates.bare, "x", 0.95),
            informing("Muster with compiled networks", rates.compiled, "items/s"),
            at_least("the same by the bare loop", rates.compiled / rates.bare, "x", 0.95),
        ]
        for name, rate in peers(texts, Path(folder), rates.dtype).items():
            console.print(f"{name}: {rate:,.0f} items/s")
            found.append(informing(name, rate, "items/s"))
            ratio = rates.whole / rate
            if name in PEER_RATIOS:
                found.append(at_least(f"Muster by {name}", ratio, "x", PEER_RATIOS[name]))
            else:
                found.append(informing(f"Muster by {name}", ratio, "x"))
        part = Path(folder) / "online"
        part.mkdir()
        found += online_figures(texts, part, settings)
        console.print(found[-3:])
        rate = scaling.efficiency(Path(folder) / "scaling")
        found.append(at_least("efficiency of 8 replicas beside 1", rate, "x", 0.95))
    present("prelabel", found, console)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    main()

"""`python -m benchmarks.gpu`: how much of a device a replica uses, beside what others get of it.

BERT-base and ViT-B/16 with random weights. The sides take turns over the same contents: a replica
without Serve (chunks read from, predictions written to objects in memory, two at a time); the best
bare loop, which keeps all in memory, sorts, and takes the fastest of several batches; and, of
texts, sentence-transformers' own `encode` with the fastest of several batches. Only true tokens
count as work, so padding is waste. The peak is that of a large matrix product on the same device in
the same numbers; `--peak-tflops` adds the share of what its data sheet promises.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from sentence_transformers import SentenceTransformer

from benchmarks.bulk import networks, replica
from benchmarks.bulk.bare import TOKENS_MAX, BareLoop
from benchmarks.bulk.texts import LABELS, read_texts
from benchmarks.figures import Figure, at_least, informing, present
from serve_apps.prelabel.hub import Placement
from serve_apps.prelabel.text import TextEncoder
from serve_apps.prelabel.vision import VisionEncoder

BATCHES = (32, 128, 512)
PIXELS_MAX = 10**6
THREADS = len(os.sched_getaffinity(0))


def texts_of(items: Sequence[str], placement: Placement, rounds: int, peak: float) -> list[Figure]:
    """Return how fast texts go through BERT-base on every side."""
    with TemporaryDirectory() as name:
        folder = networks.save_bert_base(Path(name))
        encoder = TextEncoder.load(folder, placement)
        bare = BareLoop(THREADS, LABELS, folder)
        others = SentenceTransformer(
            name, device=placement.device, model_kwargs={"dtype": placement.dtype}
        )
        others.max_seq_length = TOKENS_MAX
    flop = sum(networks.text_flop(each.size) for each in encoder.prepare(items))
    choice = bare.choose(items)
    sample = items[:: max(1, len(items) // 512)]
    batch = min(BATCHES, key=lambda size: _timed(lambda: others.encode(sample, batch_size=size)))
    took = _medians(
        {
            "replica": lambda: replica.seconds(encoder, items, "text"),
            "bare": lambda: _timed(lambda: bare.predict(items, choice)),
            "others": lambda: _timed(lambda: others.encode(list(items), batch_size=batch)),
        },
        rounds,
    )
    rate = {side: len(items) / seconds for side, seconds in took.items()}
    return [
        informing("BERT-base: a replica", rate["replica"], "items/s"),
        informing("BERT-base: FLOP utilisation", flop / took["replica"] / peak, "of the peak"),
        informing("BERT-base: the bare loop", rate["bare"], "items/s"),
        at_least("BERT-base: a replica by the bare loop", took["bare"] / took["replica"], "x", 0.9),
        informing("BERT-base: sentence-transformers", rate["others"], "items/s"),
        at_least(
            "BERT-base: a replica by sentence-transformers",
            took["others"] / took["replica"],
            "x",
            2.0,
        ),
    ]


def pictures_of(count: int, placement: Placement, rounds: int, peak: float) -> list[Figure]:
    """Return how fast pictures go through ViT-B on both sides; both decode them on all threads."""
    pictures = [_jpeg(seed) for seed in range(count)]
    with TemporaryDirectory() as name:
        folder = networks.save_vit_base(Path(name))
        encoder = VisionEncoder.load(folder, placement, PIXELS_MAX)

    def bare(batch: int, some: Sequence[bytes]) -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            arrays = list(threads.map(lambda each: encoder.backbone.read([each])[0], some))
        for first in range(0, len(arrays), batch):
            pixels = torch.from_numpy(np.stack(arrays[first : first + batch]))
            with torch.inference_mode():
                placed = {"pixel_values": pixels.to(placement.device)}
                encoder.backbone.pool(encoder.backbone.network, placed).cpu()

    few = pictures[: max(BATCHES)]
    batch = min(BATCHES, key=lambda size: _timed(lambda: bare(size, few)))
    took = _medians(
        {
            "replica": lambda: replica.seconds(encoder, pictures, "image"),
            "bare": lambda: _timed(lambda: bare(batch, pictures)),
        },
        rounds,
    )
    flop = networks.picture_flop() * count
    return [
        informing("ViT-B: a replica", count / took["replica"], "items/s"),
        informing("ViT-B: FLOP utilisation", flop / took["replica"] / peak, "of the peak"),
        informing("ViT-B: the bare loop", count / took["bare"], "items/s"),
        at_least("ViT-B: a replica by the bare loop", took["bare"] / took["replica"], "x", 0.9),
    ]


def _medians(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median seconds of sides that take turns, after one turn each to warm up."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, run in sides.items():
            took = run()
            if number:
                found[side].append(took)
    return {side: median(each) for side, each in found.items()}


def _timed(run: Callable[[], object]) -> float:
    started = perf_counter()
    run()
    return perf_counter() - started


def _jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    buffer, side = BytesIO(), networks.PICTURE
    Image.fromarray(pixels).resize((side, side)).save(buffer, format="JPEG")
    return buffer.getvalue()


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=os.environ.get("MUSTER_DATA"))
    parser.add_argument("--texts", type=int, default=40_000)
    parser.add_argument("--pictures", type=int, default=8_192)
    parser.add_argument("--product", type=int, default=8_192, help="side of the peak's matrices")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak-tflops", type=float, help="what the device's data sheet promises")
    parser.add_argument("--compile", action="store_true", help="compile the replica's networks")
    asked, console = parser.parse_args(), Console(width=160)
    torch.set_num_threads(THREADS)
    placement = Placement.best(compiles=asked.compile)
    peak = networks.product_flop_per_s(placement.device, placement.dtype, asked.product)
    found = [informing(f"peak on {placement.device} in {placement.dtype}", peak / 1e12, "TFLOP/s")]
    if asked.peak_tflops:
        share = peak / 1e12 / asked.peak_tflops
        found.append(informing("that peak by the data sheet's", share, "x"))
    texts = read_texts(asked.data and Path(asked.data), asked.texts, seed=0).texts
    found += texts_of(texts, placement, asked.rounds, peak)
    found += pictures_of(asked.pictures, placement, asked.rounds, peak)
    present("gpu", found, console)


if __name__ == "__main__":
    main()

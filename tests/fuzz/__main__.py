"""`python -m tests.fuzz --seconds 600 --seed 0`: random requests, then random bytes."""

import argparse
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from tests.fuzz.api import ApiFuzz
from tests.fuzz.sources import damaged, sound_sources, try_one

EXAMPLES = 10
"""Requests to each operation under one seed."""


def main() -> None:
    """Try each for so many seconds; the seed that fails is the last one named."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    requests(asked.seed, asked.seconds)
    sources(asked.seed, asked.seconds)


def requests(seed: int, seconds: float) -> None:
    """Send random requests, of ever new seeds, and tell how they were answered."""
    statuses, until = Counter[int](), monotonic() + seconds
    while monotonic() < until:
        _say(f"requests of --seed {seed}")
        with TemporaryDirectory() as folder:
            statuses.update(ApiFuzz(Path(folder), seed).run(EXAMPLES).by_status)
        seed += 1
    _say(f"{statuses.total():,} requests, all answered as described: {dict(statuses)}")


def sources(seed: int, seconds: float) -> None:
    """Read damaged sources, of ever new seeds, and tell how that ended."""
    endings, until = Counter[str](), monotonic() + seconds
    while monotonic() < until:
        if seed % 100 == 0:
            _say(f"sources from --seed {seed}")
        for file_format, content in sound_sources().items():
            error = try_one(file_format, damaged(content, seed))
            endings[f"{file_format} {error or 'read'}"] += 1
        seed += 1
    _say(f"{endings.total():,} damaged sources, each read or refused: {dict(endings)}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""`python -m benchmarks.faults`: a deployment of several Ray nodes under each fault, many times.

Starts three Ray nodes, PostgreSQL, an S3 service and Muster on them, keeps it at work on one job
after the other with a crowd at its door, and deals it one fault after the other, each many times at
moments that a seed chooses. Every job's history is checked in the end: each item delivered once,
each acknowledged answer stored and counted once, no answer of an epoch that was over accepted.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.chaos.client_faults import AnswersDoubled, ClockJumps, SubmitsDoubled
from benchmarks.chaos.deployment import Deployment
from benchmarks.chaos.faults import (
    GATEWAY,
    SHARD,
    Fault,
    HeadLost,
    NodeLost,
    NodeParted,
    OneKilled,
)
from benchmarks.chaos.siege import Load, Round, Siege
from benchmarks.chaos.store_faults import BucketsStormy, DatabaseStruck, DiskFull
from benchmarks.chaos.surroundings import clock_environment, small_disk
from benchmarks.figures import Figure, exactly, informing, present

FAULTS: Mapping[str, Callable[[Deployment], Fault]] = {
    "F1": lambda deployment: OneKilled(deployment, GATEWAY),
    "F2": lambda deployment: OneKilled(deployment, SHARD),
    "F3": HeadLost,
    "F4": NodeLost,
    "F7": DatabaseStruck,
    "F8": DiskFull,
    "F10": SubmitsDoubled,
    "F11": ClockJumps,
    "F12": AnswersDoubled,
    "F17": NodeParted,
    "F19": BucketsStormy,
}

ALONE = ("F8", "F11")
"""Faults that want surroundings of their own: a small disk, clocks that can be set."""

PARTITIONS = 8
"""Into how many partitions a job is cut, so that every shard owns some."""

SETTINGS: Mapping[str, str] = {
    "MUSTER_HTTP__REPLICAS": "2",
    "MUSTER_LEARNING__TRAININGS_MAX": "0",
    "MUSTER_PRELABEL__REPLICAS_MAX": "1",
    "MUSTER_INGEST__CHUNK_ROWS": "64",
}


def figures(name: str, times: int, rounds: Sequence[Round]) -> list[Figure]:
    """Return what a fault came to against what it should."""
    hits = [hit for each in rounds for hit in each.hits]
    asked = [hit for hit in hits if hit.asked]
    broken = [violation for each in rounds for violation in each.violations]
    lost = sum(each.count for each in broken if each.what.endswith("lost"))
    doubled = sum(each.count for each in broken if "doubled" in each.what)
    return [
        exactly(f"{name}: blows", len(hits), "blows", times),
        informing(f"{name}: jobs", len(rounds), "jobs"),
        informing(f"{name}: items", sum(len(each.history.accepted) for each in rounds), "items"),
        informing(f"{name}: answers", sum(each.acknowledged for each in rounds), "answers"),
        exactly(f"{name}: items and answers lost", lost, "", 0),
        exactly(f"{name}: items and answers doubled", doubled, "", 0),
        exactly(f"{name}: broken invariants", len(broken), "", 0),
        exactly(f"{name}: replies 500", sum(each.internal_errors for each in rounds), "", 0),
        informing(f"{name}: requests sent again", sum(each.resent for each in rounds), "requests"),
        informing(f"{name}: leases of an old epoch", sum(r.stale_leases for r in rounds), "leases"),
        *_of_times(f"{name}: next answer", [hit.answer_s for hit in asked]),
        *_of_times(f"{name}: longest gap", [hit.gap_s for hit in asked]),
        *_of_times(f"{name}: whole again", [hit.whole_s for hit in hits]),
    ]


def _of_times(name: str, seconds: Sequence[float]) -> list[Figure]:
    if not seconds:
        return []
    return [
        informing(f"{name}, median", median(seconds), "s"),
        informing(f"{name}, longest", max(seconds), "s"),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--faults",
        default=",".join(name for name in FAULTS if name not in ALONE),
        help="which, by comma; F4:5 is dealt 5 times. F8 takes root's rights",
    )
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--items", type=int, default=Load().items)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep data and logs here")
    return parser.parse_args()


def _run(
    asked: argparse.Namespace, folder: Path, plan: Mapping[str, int], names: list[str], log: Console
) -> Iterator[Figure]:
    """Deal faults to one deployment, one fault after the other, each as often as planned."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    load = Load(items=asked.items)
    settings = {
        **SETTINGS,
        "MUSTER_ALLOCATOR__PARTITION_ITEMS_MAX": str(-(-asked.items // PARTITIONS)),
    }
    with ExitStack() as around:
        if "F8" in names:
            around.enter_context(small_disk(folder / "disk"))
        clock = clock_environment(folder / "clock") if "F11" in names else {}
        deployment = around.enter_context(Deployment(folder, settings, of_workers=clock))
        log.print("the deployment is ready")
        for name in names:
            fault, times = FAULTS[name](deployment), plan[name]
            rounds = Siege(deployment, name, fault, load, asked.seed, log).run(times)
            found = figures(name, times, rounds)
            log.print(*(f"{figure.name}: {figure.value:g} {figure.unit}" for figure in found))
            yield from found


def _planned(fault: str, times: int) -> tuple[str, int]:
    name, _, own = fault.partition(":")
    return name, int(own or times)


def main() -> None:
    """Run the benchmark as the command line asks."""
    asked, log = _arguments(), Console(stderr=True, soft_wrap=True)
    plan = dict(_planned(each, asked.times) for each in asked.faults.split(","))
    plain = [name for name in plan if name not in ALONE]
    groups = [*([plain] if plain else []), *([name] for name in plan if name in ALONE)]
    with TemporaryDirectory(prefix="muster-faults-") as temporary:
        folder = asked.folder or Path(temporary)
        found = [
            figure
            for group in groups
            for figure in _run(asked, folder / "-".join(group), plan, group, log)
        ]
    present("faults", found, Console(width=100))


if __name__ == "__main__":
    main()

"""`python -m benchmarks.push`: batch matching beside a linear program, a greedy and a round-robin.

Small matchings of many shapes are compared with the optimum of a linear program that knows single
items. The large one is beyond any linear program: there each matching is held against the bound
that goes with ours. `--items` and `--workers` make it smaller.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from resource import RUSAGE_SELF, getrusage
from statistics import fmean
from time import perf_counter

import numpy as np
from rich.console import Console

from allocation.matching import auction, transport
from allocation.matching.dealing import deal
from allocation.matching.model import Demand, Factors, Supply
from allocation.matching.plan import in_order, match, worth
from allocation.matching.problem import (
    Held,
    Problem,
    Solution,
    classify,
    formulate,
    worth_of_slots,
)
from benchmarks import push_shard
from benchmarks.figures import Figure, at_least, at_most, informing, present
from benchmarks.push_cases import SHAPES, Case, cases, optimum
from benchmarks.push_peers import best_pair_first, best_pair_first_of_items, round_robin

CASES_PER_SHAPE = 20
SHARE_MEAN_MIN = 0.98
SHARE_LARGE_MIN = 0.98
LARGE_S_MAX = 60.0
LARGE_GIB_MAX = 2.0
KINDS = 64
BY_AUCTION = 0

Peer = Callable[[Problem], Held]


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestProgram:
    """The largest linear program solved in time, and the auction on the same matching."""

    workers: int
    variables: int
    program_s: float
    auction_s: float
    share: float


def crowd(items: int, workers: int, seed: int = 0) -> Case:
    """Return a crowd of which most workers have no special skill and half the items need none."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, KINDS, items)
    needs = rng.choice([0, 0, 0b001, 0b010, 0b100, 0b011], KINDS)
    urgency = rng.choice([1e-5, 1e-4, 1e-3], KINDS)
    had = rng.choice(
        [0, 0b001, 0b010, 0b100, 0b011, 0b111], workers, p=[0.5, 0.2, 0.1, 0.05, 0.1, 0.05]
    )
    demand = Demand.of(
        kind,
        wanted=rng.integers(1, 4, items),
        skills=needs[kind],
        weight=urgency[kind],
        barred=np.stack([rng.integers(0, items, items), rng.integers(0, workers, items)], axis=1),
    )
    supply = Supply.of(
        rng.gamma(2, 0.02, workers),
        seconds=rng.lognormal(2.5, 0.5, workers),
        queued_s=rng.exponential(30, workers),
        capacity=rng.integers(0, 40, workers),
        skills=had,
    )
    uncertainty, ability = rng.random(KINDS), rng.beta(4, 2, workers)
    values = Factors(
        of_kind=np.stack([uncertainty * 0.5, *(rng.random((2, KINDS)) * 0.1)], axis=1),
        of_worker=np.stack([ability, *rng.random((2, workers))], axis=1),
    )
    return Case(demand=demand, supply=supply, values=values)


def small(count: int) -> list[Figure]:
    """Compare with the optimum on so many cases of each shape; those worth nothing are left out."""
    shares: dict[str, list[float]] = {"match": [], "auction": [], "greedy": []}
    bounds: list[float] = []
    for number, shape in enumerate(SHAPES.values()):
        for case in cases(shape, count, seed=number):
            best = optimum(case)
            if best <= 1e-9:
                continue
            found = match(case.demand, case.supply, case.values)
            sold = match(case.demand, case.supply, case.values, exact_max=BY_AUCTION)
            bounds.append(best / sold.bound)
            shares["match"].append(found.worth / best)
            shares["auction"].append(sold.worth / best)
            shares["greedy"].append(_greedy_worth(case) / best)
    return [
        informing("small cases", len(bounds), "cases"),
        *(
            figure
            for name, found in shares.items()
            for figure in (
                _share(f"{name}: share of the optimum, mean", fmean(found), name),
                informing(f"{name}: share of the optimum, least", min(found), "share"),
            )
        ),
        informing("auction: optimum over its bound, mean", fmean(bounds), "share"),
    ]


def large(items: int, workers: int) -> list[Figure]:
    """Match a large crowd; to be called in a process of its own, whose memory it reports."""
    case = crowd(items, workers)
    before_bytes = _peak_bytes()
    started = perf_counter()
    plan = match(case.demand, case.supply, case.values)
    took_s = perf_counter() - started
    peak_gib = (_peak_bytes() - before_bytes) / 2**30
    rows = [
        informing("large: items", items, "items"),
        informing("large: workers", workers, "workers"),
        informing("large: answers wanted", int(case.demand.wanted.sum()), "answers"),
        informing("large: answers asked", len(plan.item), "answers"),
        at_least("large: share of the optimum, by our bound", plan.share, "share", SHARE_LARGE_MIN),
        informing("large: gap to our bound", 1e6 * (1 - plan.share), "ppm"),
        at_most("large: time", took_s, "s", LARGE_S_MAX),
        at_most("large: memory beyond the input", peak_gib, "GiB", LARGE_GIB_MAX),
    ]
    for name, peer in (("greedy", best_pair_first), ("round-robin", round_robin)):
        found, peer_s = _by_peer(case, peer)
        rows += [
            informing(f"large: {name}'s share by our bound", found / plan.bound, "share"),
            informing(f"large: {name}'s time", peer_s, "s"),
            at_least(f"large: ours over {name}", plan.worth / found, "ratio", 1.0),
        ]
    return rows


def largest_program(limit_s: float) -> list[Figure]:
    """Double the crowd until HiGHS needs longer than the limit; report the last that it solved."""
    workers, found = 250, None
    while (solved := _within(limit_s, workers)) is not None:
        found, workers = solved, 2 * workers
    if found is None:
        return []
    return [
        informing("program: most workers in the limit", found.workers, "workers"),
        informing("program: variables", found.variables, "variables"),
        informing("program: time", found.program_s, "s"),
        informing("auction: time at that size", found.auction_s, "s"),
        at_least("auction: share of the program's optimum", found.share, "share", SHARE_LARGE_MIN),
    ]


def figures(items: int, workers: int, limit_s: float) -> list[Figure]:
    """Return every figure."""
    with get_context("spawn").Pool(1) as pool:
        at_scale = pool.apply(large, (items, workers))
    return [
        *small(CASES_PER_SHAPE),
        *largest_program(limit_s),
        *at_scale,
        *push_shard.figures(),
    ]


def _share(name: str, value: float, peer: str) -> Figure:
    if peer == "greedy":
        return informing(name, value, "share")
    return at_least(name, value, "share", SHARE_MEAN_MIN)


def _greedy_worth(case: Case) -> float:
    return worth(case.demand, case.supply, case.values, *best_pair_first_of_items(case))


def _by_peer(case: Case, peer: Peer) -> tuple[float, float]:
    """Return what a peer's matching is worth, dealt out to items as ours is, and its time."""
    started = perf_counter()
    classes = classify(case.demand, exact=False)
    problem = formulate(case.demand, case.supply, case.values, classes)
    prices = np.zeros(len(problem.units), dtype=np.float32)
    dealt = deal(case.demand, problem, Solution(held=peer(problem), prices=prices))
    worker, item, due_s = in_order(case.demand, case.supply, dealt)
    took_s = perf_counter() - started
    return worth(case.demand, case.supply, case.values, item, worker, due_s), took_s


def _within(limit_s: float, workers: int) -> LargestProgram | None:
    """Solve a program in a process of its own, which is ended after `limit_s`: then None."""
    here, there = get_context("fork").Pipe(duplex=False)
    process = get_context("fork").Process(target=_solve, args=(there, workers))
    process.start()
    there.close()
    try:
        # The auction and the preparation run in the same process: they take little beside it.
        found: LargestProgram | None = here.recv() if here.poll(limit_s + 5) else None
    finally:
        process.kill()
        process.join()
        here.close()
    return found if found is not None and found.program_s <= limit_s else None


def _solve(connection: Connection, workers: int) -> None:
    case = crowd(10 * workers, workers)
    classes = classify(case.demand, exact=False)
    problem = formulate(case.demand, case.supply, case.values, classes)
    started = perf_counter()
    sold = auction.solve(problem)
    between = perf_counter()
    exact = transport.solve(problem)
    ended = perf_counter()
    if exact is not None:
        connection.send(
            LargestProgram(
                workers=workers,
                variables=transport.size(problem),
                program_s=ended - between,
                auction_s=between - started,
                share=worth_of_slots(problem, sold.held) / worth_of_slots(problem, exact.held),
            )
        )


def _peak_bytes() -> int:
    return getrusage(RUSAGE_SELF).ru_maxrss * 1024


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=100_000)
    parser.add_argument("--limit-s", type=float, default=20.0)
    asked = parser.parse_args(arguments)
    present("push", figures(asked.items, asked.workers, asked.limit_s), Console(width=120))


if __name__ == "__main__":
    main()

"""The matching solved exactly, as a linear program, where it is small enough."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from allocation.matching.model import Ints
from allocation.matching.problem import Problem, Solution, seated


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Columns:
    """The variables: `x` answers of a worker in a class, and slots taken by a weight of item.

    Slots differ only in their wait, so a worker's answers of one weight share them; that needs
    classes + weights x slots variables a worker instead of classes x slots.
    """

    worker: Ints
    of_class: Ints
    slot: Ints
    slot_weight: Ints


def size(problem: Problem) -> int:
    """Return how many variables the program has."""
    weights = len(np.unique(problem.weight))
    return int(np.isfinite(problem.net).sum()) + len(problem.slots) * weights


def solve(problem: Problem) -> Solution | None:
    """Return the optimum, found by HiGHS's simplex, which ends in an integral corner.

    None where HiGHS gives up.
    """
    weights, weight_of = np.unique(problem.weight, return_inverse=True)
    columns = _columns(problem, len(weights))
    if not len(columns.of_class):
        nothing = np.empty(0, dtype=np.int64)
        prices = np.zeros(len(problem.units), dtype=np.float32)
        return Solution(held=seated(problem, nothing, nothing), prices=prices, optimum=0.0)
    limit = _limits(problem, columns)
    net = problem.net[columns.worker, columns.of_class].astype(np.float64)
    wait = problem.slots.wait_s[columns.slot].astype(np.float64) * weights[columns.slot_weight]
    found = linprog(  # type: ignore[call-overload]  # the stubs know of no sparse matrices
        np.concatenate([-net, wait]),
        A_ub=_at_most_one_each(problem, columns),
        b_ub=np.concatenate([problem.units, np.ones(len(problem.slots))]),
        A_eq=_as_many_slots_as_answers(problem, columns, weight_of, len(weights)),
        b_eq=np.zeros(problem.net.shape[0] * len(weights)),
        bounds=np.stack([np.zeros(len(limit)), limit], axis=1),
        method="highs-ds",
    )
    if not found.success:
        return None
    answers = np.rint(found.x[: len(net)]).astype(np.int64)
    prices = np.maximum(-found.ineqlin.marginals[: len(problem.units)], 0.0)
    held = seated(problem, np.repeat(columns.worker, answers), np.repeat(columns.of_class, answers))
    return Solution(held=held, prices=prices.astype(np.float32), optimum=-float(found.fun))


def _columns(problem: Problem, weights: int) -> _Columns:
    slots = len(problem.slots)
    has_slot = np.zeros(problem.net.shape[0], dtype=np.bool_)
    has_slot[problem.slots.worker] = True
    worker, of_class = np.nonzero(np.isfinite(problem.net) & has_slot[:, None])
    return _Columns(
        worker=worker,
        of_class=of_class,
        slot=np.tile(np.arange(slots), weights),
        slot_weight=np.repeat(np.arange(weights), slots),
    )


def _limits(problem: Problem, columns: _Columns) -> Ints:
    most = np.full(len(columns.worker), len(problem.slots), dtype=np.int64)
    if problem.limit is not None:
        most = problem.limit[columns.worker, columns.of_class].astype(np.int64)
    return np.concatenate([most, np.ones(len(columns.slot), dtype=np.int64)])


def _at_most_one_each(problem: Problem, columns: _Columns) -> csr_array:
    """Return the rows of classes, with their units, and of slots, with one answer each."""
    row = np.concatenate([columns.of_class, len(problem.units) + columns.slot])
    shape = (len(problem.units) + len(problem.slots), len(row))
    return csr_array((np.ones(len(row)), (row, np.arange(len(row)))), shape=shape)


def _as_many_slots_as_answers(
    problem: Problem, columns: _Columns, weight_of: Ints, weights: int
) -> csr_array:
    answers = columns.worker * weights + weight_of[columns.of_class]
    slots = problem.slots.worker[columns.slot] * weights + columns.slot_weight
    row = np.concatenate([answers, slots])
    sign = np.concatenate([np.ones(len(answers)), -np.ones(len(slots))])
    shape = (problem.net.shape[0] * weights, len(row))
    return csr_array((sign, (row, np.arange(len(row)))), shape=shape)

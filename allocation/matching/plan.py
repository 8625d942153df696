"""Push mode: match many items with many workers at once, and say how good the result is.

What a plan is worth is the value of its answers, less their prices, less what their waiting costs.
No answer is asked that is worth less than it costs; to have all answers asked that can be, give
them a value above any cost.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from allocation.matching import auction, transport
from allocation.matching.bound import upper_bound
from allocation.matching.dealing import Dealt, deal
from allocation.matching.model import Demand, Floats, Ints, Supply, Values
from allocation.matching.problem import Problem, Solution, blocks, classify, covers, formulate

EXACT_MAX = 20_000
"""Variables up to which the linear program is solved: about a second."""


PAIRS_EXACT_MAX = 1 << 16
"""Pairs of class and worker up to which items are told apart that differ in who may answer."""

SLOTS_LIMITED_MAX = 128
"""Slots of a worker beyond which the auction leaves it to the dealing that nobody gets an item
twice: then few are the classes that have fewer items."""


class Reason(IntEnum):
    """Why an item gets fewer answers than it wants."""

    NONE = 0
    NO_SKILL = 1
    """Nobody has the skills it needs."""
    NOT_WORTH = 2
    """Nobody's answer, or no free worker's, is worth its price and its wait."""
    NO_CAPACITY = 3
    """Whoever has the skills has no room left."""
    REPEAT = 4
    """Whoever has room would be asked about it twice."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Plan:
    """Whom to ask about what; columns `item`, `worker` and `due_s`, when the answer is there.

    A worker's answers come in the order of `due_s`. `left` (items,) counts wanted answers that
    are not asked for, `reason` (items,) holds a `Reason` for them. `worth` is what the plan is
    worth, and no plan is worth more than `bound`.
    """

    item: Ints
    worker: Ints
    due_s: Floats
    left: Ints
    reason: npt.NDArray[np.uint8]
    worth: float
    bound: float

    @property
    def share(self) -> float:
        """The share of the optimum that the plan has for certain; 1 where nothing can be had."""
        return self.worth / self.bound if self.bound > 0 else 1.0

    def left_for(self, reason: Reason) -> int:
        """Return how many wanted answers are not asked for, for a reason."""
        return int(self.left[self.reason == reason].sum())


def match(
    demand: Demand,
    supply: Supply,
    values: Values,
    *,
    tolerance: float = 1e-3,
    exact_max: int = EXACT_MAX,
) -> Plan:
    """Return a plan: the best one where the linear program has at most `exact_max` variables.

    Beyond that it is near the best, by about `tolerance`; `Plan.share` says how near for certain.
    Takes 4 bytes for each pair of class of like items and worker, and some tens for each item
    and answer. Raises TooLarge where there are more than 2^28 such pairs, and InvalidField where
    `barred` names a worker who is not there.
    """
    problem, solution = _solved(demand, supply, values, tolerance, exact_max)
    dealt = deal(demand, problem, solution)
    worker, item, due_s = in_order(demand, supply, dealt)
    total = worth(demand, supply, values, item, worker, due_s)
    optimum = solution.optimum
    left = demand.wanted - np.bincount(item, minlength=len(demand))
    return Plan(
        item=item,
        worker=worker,
        due_s=due_s,
        left=left,
        reason=_reasons(demand, supply, problem, left, worker),
        worth=total,
        bound=max(total, upper_bound(problem, solution) if optimum is None else optimum),
    )


def worth(
    demand: Demand, supply: Supply, values: Values, item: Ints, worker: Ints, due_s: Floats
) -> float:
    """Return what answers are worth: their value, less price, less the cost of waiting."""
    value = values.pairs(demand.kind[item], worker)
    return float((value - supply.price[worker] - demand.weight[item] * due_s).sum())


def in_order(demand: Demand, supply: Supply, dealt: Dealt) -> tuple[Ints, Ints, Floats]:
    """Return worker, item and due time of answers, each worker's most urgent ones first.

    That order is best for a worker who takes as long for one item as for another (W. E. Smith:
    Various optimizers for single-stage production, Naval Research Logistics 3, 1956).
    """
    order = np.lexsort((dealt.item, -demand.weight[dealt.item], dealt.worker))
    worker, item = dealt.worker[order], dealt.item[order]
    nth = np.arange(1, len(worker) + 1) - np.searchsorted(worker, worker)
    return worker, item, supply.queued_s[worker] + nth * supply.seconds[worker]


def _solved(
    demand: Demand, supply: Supply, values: Values, tolerance: float, exact_max: int
) -> tuple[Problem, Solution]:
    classes = classify(demand, exact=True)
    if len(classes.first) * len(supply) > PAIRS_EXACT_MAX:
        classes = classify(demand, exact=False)
    problem = formulate(demand, supply, values, classes)
    solution = transport.solve(problem) if transport.size(problem) <= exact_max else None
    if solution is None:
        if np.bincount(problem.slots.worker).max(initial=0) > SLOTS_LIMITED_MAX:
            problem = replace(problem, limit=None)
        solution = auction.solve(problem, tolerance=tolerance)
    return problem, solution


def _reasons(
    demand: Demand, supply: Supply, problem: Problem, left: Ints, worker: Ints
) -> npt.NDArray[np.uint8]:
    """Return why each item's answers are left, from what its class could still find."""
    load = np.bincount(worker, minlength=len(supply))
    short, first = np.unique(problem.class_of[left > 0], return_index=True)
    need = demand.skills[np.flatnonzero(left > 0)[first]]
    skilled = covers(np.unique(supply.skills), need).any(axis=0)
    anybody, worth, room, wanted = (np.zeros(len(short), dtype=np.bool_) for _ in range(4))
    for block in blocks(len(supply), len(short)):
        net, soon = problem.net[block][:, short], supply.queued_s[block] + supply.seconds[block]
        later = soon + load[block] * supply.seconds[block]
        weight = problem.weight[short]
        free = (load < supply.capacity)[block, None] & np.isfinite(net)
        anybody |= np.isfinite(net).any(axis=0)
        worth |= (net > weight * soon[:, None]).any(axis=0)
        room |= free.any(axis=0)
        wanted |= (free & (net > weight * later[:, None])).any(axis=0)
    by_class = np.zeros(len(problem.units), dtype=np.uint8)
    by_class[short] = np.select(
        [~skilled, ~anybody, ~worth, ~room, ~wanted],
        [Reason.NO_SKILL, Reason.REPEAT, Reason.NOT_WORTH, Reason.NO_CAPACITY, Reason.NOT_WORTH],
        Reason.REPEAT,
    )
    found: npt.NDArray[np.uint8] = np.where(left > 0, by_class[problem.class_of], 0)
    return found

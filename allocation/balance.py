"""Which partitions to move so that no shard has much more to ask than the others.

A move costs a reading of the log and a pause of one partition, so few are better than perfect:
nothing moves while the fullest shard is within a bound of the mean. Fewest moves are a bin-packing
problem; this greedy takes the fullest shard, and of its partitions the smallest whose move to the
emptiest shard is enough, or else the one that levels the two best. Moves that turn out superfluous
are taken back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cluster.domain.ids import JobId, ShardId

BACKLOG_SLACK = 0.25
"""By which share the fullest shard may exceed the mean."""

BACKLOG_SPARE = 500
"""So many questions over the mean are never worth a move, however little there is to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A partition on its shard; `backlog` counts the questions it would still ask."""

    job_id: JobId
    number: int
    shard_id: ShardId
    backlog: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A partition that is to change hands."""

    job_id: JobId
    number: int
    source: ShardId
    target: ShardId


def plan_moves(
    living: Iterable[ShardId],
    holdings: Sequence[Holding],
    *,
    slack: float = BACKLOG_SLACK,
    spare: int = BACKLOG_SPARE,
) -> tuple[Move, ...]:
    """Return moves after which every partition has a living owner and loads are within a bound.

    A shard's load is the sum of its backlogs. Where partitions are stranded on shards that are not
    living, only these move, the largest first, each to the shard that has least to do by then.
    Otherwise the bound is `load_limit`: partitions move until the fullest shard keeps it, or until
    no move of one partition lowers a load above it. No move is superfluous: without any one of
    them a load would be higher than it is with all, and above the bound. No living shard, no
    moves. The same arguments in any order give the same moves, so whoever plans sees the same plan.
    """
    loads = dict.fromkeys(sorted(living), 0)
    if not loads:
        return ()
    for found in holdings:
        if found.shard_id in loads:
            loads[found.shard_id] += found.backlog
    ordered = sorted(holdings, key=lambda found: (-found.backlog, found.job_id, found.number))
    stranded = [found for found in ordered if found.shard_id not in loads]
    if stranded:
        return tuple(_move(found, _taken_in(found, loads)) for found in stranded)
    limit = load_limit(loads, slack=slack, spare=spare)
    targets = _levelled(loads, ordered, limit)
    return tuple(_needed(loads, targets, limit))


def load_limit(
    loads: Mapping[ShardId, int], *, slack: float = BACKLOG_SLACK, spare: int = BACKLOG_SPARE
) -> float:
    """Return the bound: the larger of `slack` (a share) and `spare` (questions) above the mean."""
    mean = sum(loads.values()) / len(loads)
    return mean + max(slack * mean, spare)


def _taken_in(stranded: Holding, loads: dict[ShardId, int]) -> ShardId:
    target = min(loads, key=loads.__getitem__)
    loads[target] += stranded.backlog
    return target


def _levelled(
    before: Mapping[ShardId, int], holdings: Sequence[Holding], limit: float
) -> dict[Holding, ShardId]:
    """Return where partitions go that move, by one step after the other."""
    loads, targets = dict(before), dict[Holding, ShardId]()
    stuck: set[ShardId] = set()
    while full := [shard for shard in loads if loads[shard] > limit and shard not in stuck]:
        source, target = max(full, key=loads.__getitem__), min(loads, key=loads.__getitem__)
        here = [found for found in holdings if targets.get(found, found.shard_id) == source]
        chosen = _chosen(here, loads[source], loads[target], limit)
        if chosen is None:
            stuck.add(source)
            continue
        targets[chosen] = target
        loads[source] -= chosen.backlog
        loads[target] += chosen.backlog
    return {found: shard for found, shard in targets.items() if shard != found.shard_id}


def _chosen(
    here: Sequence[Holding], source_load: int, target_load: int, limit: float
) -> Holding | None:
    """Return which of a full shard's partitions, largest first, to give to the emptiest."""
    fitting = [found for found in here if 0 < found.backlog <= limit - target_load]
    enough = [found for found in fitting if found.backlog >= source_load - limit]
    if enough:
        return enough[-1]
    better = [found for found in here if 0 < found.backlog < source_load - target_load]
    return min(
        better,
        key=lambda found: max(source_load - found.backlog, target_load + found.backlog),
        default=None,
    )


def _needed(
    before: Mapping[ShardId, int], targets: dict[Holding, ShardId], limit: float
) -> Iterable[Move]:
    """Return the moves, less those without which loads would be no further above the bound."""
    kept = dict(targets)
    order = sorted(targets, key=lambda found: (found.backlog, found.job_id, found.number))
    while (spare := _superfluous(before, kept, order, limit)) is not None:
        del kept[spare]
    return (_move(found, shard) for found, shard in kept.items())


def _superfluous(
    before: Mapping[ShardId, int],
    targets: Mapping[Holding, ShardId],
    order: Sequence[Holding],
    limit: float,
) -> Holding | None:
    excess = _excess(before, targets, limit)
    for found in order:
        without = {other: shard for other, shard in targets.items() if other != found}
        if found in targets and _excess(before, without, limit) <= excess:
            return found
    return None


def _excess(
    before: Mapping[ShardId, int], targets: Mapping[Holding, ShardId], limit: float
) -> list[float]:
    """Return what loads are above the bound, the most first."""
    loads = dict(before)
    for found, target in targets.items():
        loads[found.shard_id] -= found.backlog
        loads[target] += found.backlog
    return sorted((max(0.0, load - limit) for load in loads.values()), reverse=True)


def _move(found: Holding, target: ShardId) -> Move:
    return Move(job_id=found.job_id, number=found.number, source=found.shard_id, target=target)

"""Plans of moves: few, enough, and the same for whoever makes them."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from allocation.balance import Holding, Move, load_limit, plan_moves
from cluster.domain.ids import JobId, ShardId

JOB = JobId("job")
SHARDS = tuple(map(ShardId, range(4)))


def holding(number: int, shard: int, backlog: int) -> Holding:
    return Holding(job_id=JOB, number=number, shard_id=ShardId(shard), backlog=backlog)


def holdings_on(shards: int, most: int = 12) -> st.SearchStrategy[list[Holding]]:
    """Return partitions of any backlog on shards below a number."""
    one = st.tuples(st.integers(0, shards - 1), st.integers(0, 1_000))
    return st.lists(one, max_size=most).map(
        lambda drawn: [holding(number, *found) for number, found in enumerate(drawn)]
    )


def loads_after(
    living: Sequence[ShardId], holdings: Sequence[Holding], moves: Sequence[Move]
) -> dict[ShardId, int]:
    targets = {(move.job_id, move.number): move.target for move in moves}
    loads = dict.fromkeys(living, 0)
    for found in holdings:
        loads[targets.get((found.job_id, found.number), found.shard_id)] += found.backlog
    return loads


def excess(loads: dict[ShardId, int], limit: float) -> list[float]:
    return sorted((max(0.0, load - limit) for load in loads.values()), reverse=True)


@given(holdings_on(len(SHARDS)))
def test_moves_even_the_load_out_and_none_is_superfluous(holdings: list[Holding]) -> None:
    # Given shards that all live
    before = loads_after(SHARDS, holdings, ())
    limit = load_limit(before, spare=10)

    # When moves are planned
    moves = plan_moves(SHARDS, holdings, spare=10)

    # Then nothing moves within the bound, no load above it grows, and each move is needed
    after = loads_after(SHARDS, holdings, moves)
    if max(before.values()) <= limit:
        assert moves == ()
    assert excess(after, limit) <= excess(before, limit)
    owners = {found.number: found.shard_id for found in holdings}
    assert all(owners[move.number] == move.source != move.target for move in moves)
    for left_out in moves:
        fewer = [move for move in moves if move is not left_out]
        assert excess(loads_after(SHARDS, holdings, fewer), limit) > excess(after, limit)


@given(holdings_on(len(SHARDS)))
def test_it_stops_only_where_no_single_move_helps(holdings: list[Holding]) -> None:
    # Given the loads that a plan leaves behind
    moves = plan_moves(SHARDS, holdings, spare=10)
    after = loads_after(SHARDS, holdings, moves)
    limit = load_limit(after, spare=10)
    targets = {move.number: move.target for move in moves}

    # Then where a shard is above the bound still, each of its partitions alone would overfill any
    for found in holdings:
        source = targets.get(found.number, found.shard_id)
        if after[source] > limit and found.backlog > 0:
            assert after[source] <= min(after.values()) + found.backlog


@given(holdings_on(6), st.sets(st.sampled_from(SHARDS)))
def test_what_is_stranded_goes_to_the_living_and_nothing_else_moves(
    holdings: list[Holding], living: set[ShardId]
) -> None:
    moves = plan_moves(living, holdings, spare=10)

    stranded = {found.number for found in holdings if found.shard_id not in living}
    if not living:
        assert moves == ()
    elif stranded:
        assert {move.number for move in moves} == stranded
        assert all(move.target in living for move in moves)


@given(holdings_on(len(SHARDS)), st.randoms())
def test_the_order_of_what_is_known_plays_no_part(holdings: list[Holding], chance: object) -> None:
    mixed = list(holdings)
    chance.shuffle(mixed)  # type: ignore[attr-defined]

    assert set(plan_moves(SHARDS, mixed, spare=10)) == set(plan_moves(SHARDS, holdings, spare=10))


def test_nearly_every_plan_has_the_fewest_moves_there_could_be() -> None:
    # Given small worlds of all sorts, in which every plan can be tried
    rng, fewest = np.random.default_rng(5), 0
    for _ in range(200):
        shards = SHARDS[: int(rng.integers(2, 4))]
        holdings = [
            holding(number, int(rng.integers(len(shards)) * rng.integers(2)), int(backlog))
            for number, backlog in enumerate(rng.lognormal(4.0, 1.5, int(rng.integers(1, 6))))
        ]

        # When moves are planned step by step
        moves = plan_moves(shards, holdings, spare=10)

        # Then hardly ever would fewer do as well
        limit = load_limit(loads_after(shards, holdings, ()), spare=10)
        reached = max(loads_after(shards, holdings, moves).values())
        fewest += len(moves) == fewest_moves(shards, holdings, max(limit, reached))
    assert fewest >= 190


def fewest_moves(living: Sequence[ShardId], holdings: Sequence[Holding], limit: float) -> int:
    """Return how few moves bring every load to a limit, by trying all."""
    for count in range(len(holdings) + 1):
        for chosen in combinations(holdings, count):
            for targets in product(living, repeat=count):
                moves = [
                    Move(job_id=JOB, number=found.number, source=found.shard_id, target=target)
                    for found, target in zip(chosen, targets, strict=True)
                ]
                if max(loads_after(living, holdings, moves).values()) <= limit:
                    return count
    return len(holdings)


def test_a_new_shard_gets_its_share() -> None:
    # Given two shards with much to do and a third that has just been added
    holdings = [holding(number, number % 2, 1_000) for number in range(12)]

    moves = plan_moves(SHARDS[:3], holdings)

    assert Counter(move.target for move in moves) == {SHARDS[2]: len(moves)}
    assert max(loads_after(SHARDS[:3], holdings, moves).values()) <= 5_000
    assert len(moves) == 2


def test_small_differences_are_left_alone() -> None:
    assert plan_moves(SHARDS[:2], [holding(0, 0, 400), holding(1, 0, 400)]) == ()

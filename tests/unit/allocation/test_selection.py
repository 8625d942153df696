"""Whatever happened before, a claim finds every open question there is, the best ones first."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.commands import Granted
from allocation.policy import information_gain
from allocation.ports import TruthSnapshot
from allocation.selection import Seeker, answers_left, pick, pick_together, report
from allocation.shortlist import TIE, keyed_unit, largest
from allocation.state import PartitionState
from allocation.terms import Rules, Terms
from cluster.domain.work import Answer, AnswerColumns, WorkerProfile
from tests.unit.allocation.worlds import JOB, audited, job, partition, snapshot, worker

ITEMS = 60
FIRST = 1_000
SMALL = Rules(shortlist_pool_items=6, shortlist_window=4)


def state(rules: Rules, published: TruthSnapshot) -> PartitionState:
    terms = Terms.of(JOB, job().spec)
    built = PartitionState(partition(ITEMS, first=FIRST), terms, rules)
    built.learn(published)
    return built


def grant(built: PartitionState, who: WorkerProfile, position: int) -> int:
    (lease_id,) = built.leases.next_ids(1).tolist()
    built.grant(
        Granted(
            key=built.key,
            lease_ids=np.array([lease_id]),
            positions=np.array([position], dtype=np.int32),
            audit=np.array([False]),
            holders=np.array([0], dtype=np.int32),
            workers=(who.worker_id,),
            prices=(0.0,),
            expires_at=10.0,
            ends_by=100.0,
        )
    )
    return int(lease_id)


def said(built: PartitionState, who: WorkerProfile, position: int, label: int) -> AnswerColumns:
    given_answer = Answer(
        job_id=JOB,
        position=built.absolute(position),
        worker_id=who.worker_id,
        label=label,
        purpose="label",
        price=0.0,
        answered_at=1.0,
        duration_s=1.0,
    )
    return AnswerColumns.of([given_answer])


def open_to(built: PartitionState, who: WorkerProfile) -> set[int]:
    """Return the open items of a worker by looking at every one."""
    assert built.belief is not None
    is_open = built.open_labels(built.belief, slice(None))
    history = built.history(who.worker_id)
    return {item for item in range(ITEMS) if is_open[item] and item not in history}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["claim", "drop", "take"]), st.integers(0, 5), st.integers(0, 99)
        ),
        max_size=120,
    )
)
@settings(max_examples=60, deadline=None)
def test_no_open_question_is_ever_missed(steps: list[tuple[str, int, int]]) -> None:
    rng = np.random.default_rng(1)
    priors = np.log(rng.dirichlet(np.ones(3), ITEMS)).astype(np.float32)
    built = state(SMALL, replace(snapshot(ITEMS), log_prior=priors))
    crowd = [worker(f"w{number}") for number in range(6)]
    out: list[tuple[int, WorkerProfile, int]] = []
    for step, number, drawn in steps:
        who = crowd[number]
        if step == "claim":
            count = 1 + drawn % 9
            expected = open_to(built, who)
            picked = pick(built, who, count, None)
            assert len(picked) == min(count, len(expected))
            assert {found.position for found in picked} <= expected
            out += [(grant(built, who, found.position), who, found.position) for found in picked]
        elif out:
            lease_id, holder, position = out.pop(drawn % len(out))
            if step == "drop":
                built.drop(np.array([lease_id]))
            else:
                answers = said(built, holder, position, drawn % 3)
                built.take(np.array([lease_id]), answers)


def test_the_most_informative_questions_come_first() -> None:
    rng = np.random.default_rng(1)
    priors = np.log(rng.dirichlet(np.ones(3), ITEMS)).astype(np.float32)
    published = replace(snapshot(ITEMS), log_prior=priors)
    built = state(Rules(), published)

    picked = [found.position for found in pick(built, worker("ann"), 10, None)]

    gain = information_gain(priors, published.pooled_log_confusion)
    assert picked == np.argsort(-gain)[:10].tolist()


def seekers(count: int, room: int) -> list[Seeker]:
    return [Seeker(n, worker(f"w{n}", price=0.01 * (n + 1)), room) for n in range(count)]


def wide(items: int, **changes: object) -> PartitionState:
    rng = np.random.default_rng(1)
    priors = np.log(rng.dirichlet(np.ones(3), items)).astype(np.float32)
    published = replace(snapshot(items), log_prior=priors, **changes)  # type: ignore[arg-type]
    built = PartitionState(partition(items, first=FIRST), Terms.of(JOB, job().spec), Rules())
    built.learn(published)
    return built


def test_workers_who_are_served_together_all_get_different_open_items() -> None:
    # Given workers of whom one has answered some and holds others
    built = wide(4_000)
    for position in range(0, 4_000, 7):
        grant(built, worker("w1"), position)

    # When eight ask for three each
    picks = pick_together(built, seekers(8, 3))

    # Then each gets three, and no item goes to two of them nor a second time to anyone
    assert sorted(number for number, _ in picks) == sorted(list(range(8)) * 3)
    positions = [found.position for _, found in picks]
    assert len(set(positions)) == len(positions)
    assert all(position % 7 for position in positions)


def test_workers_who_are_served_together_get_questions_as_good_as_alone() -> None:
    built = wide(4_000)
    assert built.belief is not None
    gain = information_gain(built.belief.log_posterior, built.belief.snapshot.pooled_log_confusion)

    together = [found.position for _, found in pick_together(built, seekers(8, 3))]

    assert gain[together].min() > np.sort(gain)[-8 * 64]


def test_together_nobody_is_served_where_each_must_be_looked_at() -> None:
    assert pick_together(wide(4_000), seekers(1, 3)) == []
    assert pick_together(wide(10), seekers(8, 3)) == []
    assert pick_together(wide(4_000, goal_error=1.0), seekers(8, 3)) == []
    assert pick_together(wide(4_000, audit=np.ones(4_000, dtype=np.bool_)), seekers(8, 3)) == []
    assert len(pick_together(wide(4_000, answers_left=5), seekers(8, 3))) == 5
    paused = frozenset({worker("w0").worker_id})
    numbers = {n for n, _ in pick_together(wide(4_000, paused_workers=paused), seekers(8, 3))}
    assert numbers == set(range(1, 8))


def test_equal_questions_are_spread_over_workers() -> None:
    built = state(Rules(), snapshot(ITEMS))
    firsts = {pick(built, worker(f"w{n}"), 1, None)[0].position for n in range(40)}

    assert len(firsts) > 20


def test_a_second_lease_goes_out_only_while_an_item_is_wide_open() -> None:
    unsure = np.log(np.full((ITEMS, 3), 1 / 3)).astype(np.float32)
    unsure[1:] = np.log([0.9, 0.05, 0.05])
    built = state(Rules(), replace(snapshot(ITEMS), log_prior=unsure))
    for position in range(ITEMS):
        grant(built, worker("ann"), position)

    assert [found.position for found in pick(built, worker("bob"), ITEMS, None)] == [0]
    grant(built, worker("bob"), 0)
    assert pick(built, worker("eve"), ITEMS, None) == []


def test_audits_begun_are_ended_first() -> None:
    built = state(Rules(), audited(replace(snapshot(ITEMS), goal_error=1.0), range(10)))
    checked = said(built, worker("ann"), 4, 0)
    built.add_answers(replace(checked, audit=np.array([True])))

    assert pick(built, worker("bob"), 1, None)[0].position == 4


def test_what_is_wanted_is_bounded_by_the_budget() -> None:
    built = state(Rules(), audited(replace(snapshot(ITEMS), answers_left=10**6), [3, 5]))
    assert report(built).wanted == ITEMS + 2 * 3

    built.learn(replace(snapshot(ITEMS), answers_left=7))
    grant(built, worker("ann"), 0)
    assert answers_left(built) == 6
    assert report(built).wanted == 6
    assert report(built).leased == 1


def test_largest_returns_the_largest_in_order_and_ties_by_key() -> None:
    values = np.array([0.1, 0.9, 0.5, 0.9, 0.3], dtype=np.float32)
    ties = np.array([0.0, 0.1, 0.0, 0.9, 0.0], dtype=np.float32)

    assert largest(values, ties, 3).tolist() == [3, 1, 2]
    assert largest(values[:0], ties[:0], 3).tolist() == []


def test_keyed_numbers_look_uniform_and_differ_by_key() -> None:
    positions = np.arange(100_000, dtype=np.int32)
    one, other = keyed_unit(positions, 1), keyed_unit(positions, 2)

    counts, _ = np.histogram(one, bins=20, range=(0, 1))
    assert abs(counts - 5_000).max() < 400
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
    assert keyed_unit(positions, 1).tolist() == one.tolist()


def test_the_next_pool_is_gathered_while_the_present_one_is_used_up() -> None:
    # Given far more items than a pool holds, each to be asked of one worker at a time
    items = 60_000
    rng = np.random.default_rng(3)
    priors = np.log(rng.dirichlet(np.ones(3), items)).astype(np.float32)
    published = replace(snapshot(items), log_prior=priors)
    rules = Rules(parallel_leases_max=1, shortlist_pool_items=1_000, shortlist_window=64)
    built = PartitionState(partition(items, first=FIRST), Terms.of(JOB, job().spec), rules)
    built.learn(published)
    assert built.belief is not None
    error = built.belief.error
    first = built.shortlist

    # When workers are asked until the pool is used up
    asked = list[int]()
    while built.shortlist is first:
        who = worker(f"w{len(asked)}")
        (chosen,) = pick(built, who, 1, None)
        grant(built, who, chosen.position)
        asked.append(chosen.position)

    # Then the next one holds the most uncertain of the rest, and not one of those asked
    rest = np.setdiff1d(np.arange(items), asked)
    best = rest[np.argsort(-error[rest])[:1_000]]
    assert error[built.shortlist.everything()].min() > error[best].min() - 2 * TIE
    assert not np.isin(asked, built.shortlist.everything()).any()


def test_an_unproven_worker_gets_one_gold_question_with_each_claim() -> None:
    # Given a partition with settled items, and one worker of two who is proven
    gold = np.arange(5)
    published = replace(
        snapshot(ITEMS), gold=gold, proven_workers=frozenset({worker("b").worker_id})
    )
    built = state(Rules(), published)
    # When both claim, then the stranger gets one gold question among the others, the other none
    asked = [found.position for found in pick(built, worker("a"), 4, None)]
    assert len(asked) == len(set(asked)) == 4
    ordinary = {
        found.position for found in pick(state(Rules(), snapshot(ITEMS)), worker("a"), 4, None)
    }
    assert len(set(asked) - ordinary) <= 1
    assert set(asked) & set(gold.tolist())


def test_gold_is_not_asked_where_nothing_else_is_nor_beyond_its_exposures() -> None:
    # Given gold that may not be exposed any more
    shut = replace(snapshot(ITEMS), gold=np.arange(5), label_answers_max=0, gold_exposures_max=0)
    # Then nobody is asked it; and nobody is asked gold where no label is wanted
    assert pick(state(Rules(), shut), worker("a"), 4, None) == []
    settled = replace(snapshot(ITEMS), gold=np.arange(5), goal_error=1.0)
    assert pick(state(Rules(), settled), worker("a"), 4, None) == []


def test_unproven_workers_claim_alone() -> None:
    published = replace(
        snapshot(ITEMS), gold=np.arange(5), proven_workers=frozenset({worker("b").worker_id})
    )
    seekers = [Seeker(number, worker(name), 2) for number, name in enumerate("abc")]
    assert pick_together(state(Rules(), published), seekers) == []

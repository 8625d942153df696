"""Whatever happened before, a claim finds every open question there is, the best ones first."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.commands import Granted
from allocation.policy import information_gain
from allocation.ports import TruthSnapshot
from allocation.selection import answers_left, pick, report
from allocation.shortlist import keyed_unit, largest
from allocation.state import PartitionState
from allocation.terms import Rules, Terms
from cluster.domain.work import WorkerProfile
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
    lease_id = built.leases.next_id
    built.grant(
        Granted(
            key=built.key,
            lease_id=lease_id,
            position=built.absolute(position),
            worker_id=who.worker_id,
            purpose="label",
            price=0.0,
            expires_at=10.0,
            ends_by=100.0,
        )
    )
    return lease_id


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
                built.drop(lease_id)
            else:
                built.take(lease_id, holder.worker_id, position, drawn % 3)


def test_the_most_informative_questions_come_first() -> None:
    rng = np.random.default_rng(1)
    priors = np.log(rng.dirichlet(np.ones(3), ITEMS)).astype(np.float32)
    published = replace(snapshot(ITEMS), log_prior=priors)
    built = state(Rules(), published)

    picked = [found.position for found in pick(built, worker("ann"), 10, None)]

    gain = information_gain(priors, published.pooled_log_confusion)
    assert picked == np.argsort(-gain)[:10].tolist()


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
    built.add_answer(worker("ann").worker_id, 4, 0, "audit")

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

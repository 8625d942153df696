import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from allocation.tables import AnswerTable, History, LeaseTable, LiveLease

positions = st.integers(0, 50)


def lease(expires_at: float) -> LiveLease:
    return LiveLease(0, 0, "label", 0.0, expires_at, 1e9)


@given(st.lists(st.tuples(st.sampled_from(["hold", "let go", "answer"]), positions), max_size=80))
def test_a_history_is_a_map_of_positions(steps: list[tuple[str, int]]) -> None:
    history, model = History(), dict[int, int | None]()
    for row, (step, position) in enumerate(steps):
        if step == "hold" and position not in model:
            history.hold(position)
            model[position] = None
        elif step == "let go":
            history.let_go(position)
            if position in model and model[position] is None:
                del model[position]
        elif step == "answer" and model.get(position) is None:
            history.answered(position, row)
            model[position] = row

    everything = np.arange(51, dtype=np.int32)
    assert len(history) == len(model)
    assert all((position in history) == (position in model) for position in range(51))
    assert all(history.answer_row(position) == model.get(position) for position in range(51))
    assert history.without(everything).tolist() == [p for p in range(51) if p not in model]


def test_a_history_of_stored_answers_equals_one_made_step_by_step() -> None:
    rows = np.array([4, 9, 2], dtype=np.int32)
    whole = History.of_answers(np.array([1, 5, 7], dtype=np.int32), rows)

    assert [whole.answer_row(position) for position in (1, 5, 7, 8)] == [4, 9, 2, None]
    whole.hold(6)
    assert whole.without(np.arange(9, dtype=np.int32)).tolist() == [0, 2, 3, 4, 8]


def test_answers_keep_their_order_while_the_table_grows() -> None:
    table = AnswerTable()
    rows = [table.append(n, n % 7, n % 3, audit=n % 2 == 0) for n in range(500)]
    more = np.arange(500, 800, dtype=np.int32)
    table.extend(more, more % 7, (more % 3).astype(np.int16), more % 2 == 0)

    assert rows == list(range(500))
    assert table.positions.tolist() == list(range(800))
    assert table.workers.tolist() == [n % 7 for n in range(800)]
    assert table.labels.tolist() == [n % 3 for n in range(800)]
    assert table.audit.tolist() == [n % 2 == 0 for n in range(800)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "extend", "remove"]), st.integers(0, 9), st.integers(0, 99)
        ),
        max_size=60,
    ),
    st.integers(0, 120),
)
def test_due_leases_are_those_that_have_ended(steps: list[tuple[str, int, int]], now: int) -> None:
    table, model = LeaseTable(), dict[int, float]()
    for step, lease_id, ends in steps:
        if step == "add" and lease_id not in model:
            table.add(lease_id, lease(float(ends)))
            model[lease_id] = float(ends)
        elif step == "extend" and lease_id in model:
            table.extend(lease_id, float(ends))
            model[lease_id] = float(ends)
        elif step == "remove":
            assert (table.remove(lease_id) is None) == (lease_id not in model)
            model.pop(lease_id, None)

    assert table.due(float(now)) == sorted(found for found, ends in model.items() if ends <= now)
    assert len(table) == len(model)


def test_lease_ids_are_never_given_twice() -> None:
    table = LeaseTable()
    table.add(table.next_id, lease(1.0))
    table.add(table.next_id, lease(1.0))
    table.remove(1)

    assert table.next_id == 2

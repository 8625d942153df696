import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from allocation.tables import LEASE, AnswerTable, History, Leases, LeaseTable

positions = st.integers(0, 50)


def leases(expire_at: list[float]) -> Leases:
    made = np.zeros(len(expire_at), dtype=LEASE)
    made["expires_at"] = expire_at
    return made


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
    for start in range(0, 800, 40):
        more = np.arange(start, start + 40, dtype=np.int32)
        table.extend(more, more % 7, (more % 3).astype(np.int16), more % 2 == 0)

    assert table.positions.tolist() == list(range(800))
    assert table.workers.tolist() == [n % 7 for n in range(800)]
    assert table.labels.tolist() == [n % 3 for n in range(800)]
    assert table.audit.tolist() == [n % 2 == 0 for n in range(800)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "extend", "remove", "settle", "expire"]),
            st.integers(0, 99),
            st.integers(0, 99),
        ),
        max_size=60,
    ),
    st.integers(0, 120),
)
def test_due_leases_are_those_that_have_ended(steps: list[tuple[str, int, int]], now: int) -> None:
    table, ends, settling = LeaseTable(), dict[int, float](), set[int]()
    given_out: set[int] = set()
    for step, drawn, at in steps:
        some = sorted(ends)[drawn % len(ends) :][: 1 + at % 3] if ends else []
        ids = np.array(some, dtype=np.int64)
        if step == "add":
            new = table.next_ids(1 + drawn % 70)
            table.add(new, leases([float(at)] * len(new)))
            assert given_out.isdisjoint(new.tolist()), "an id was given out twice"
            given_out.update(new.tolist())
            ends.update(dict.fromkeys(new.tolist(), float(at)))
        elif step == "extend" and some:
            table.extend(some[0], float(at))
            ends[some[0]] = float(at)
        elif step == "settle":
            table.settle(ids)
            settling.update(some)
        elif step == "remove":
            assert len(table.remove(ids)) == len(some)
            assert len(table.remove(ids)) == 0
            ends = {found: end for found, end in ends.items() if found not in some}
            settling.difference_update(some)
        elif step == "expire":
            table.note_first_end()

    due = {found for found, end in ends.items() if end <= now} - settling
    assert set(table.due(float(now)).tolist()) == due
    assert table.may_be_due(float(now)) or not due
    assert len(table) == len(ends) == len(table.out())
    table.settle_none()
    assert table.may_be_due(float(now)) == any(end <= now for end in ends.values())


def test_a_lease_is_found_by_its_id_alone() -> None:
    table = LeaseTable()
    first = table.next_ids(3)
    table.add(first, leases([1.0, 2.0, 3.0]))
    table.remove(first[1:2])
    again = table.next_ids(1)
    table.add(again, leases([4.0]))

    found, is_out = table.find(np.concatenate([first, again, [10**15]]))

    assert is_out.tolist() == [True, False, True, True, False]
    assert found["expires_at"][is_out].tolist() == [1.0, 3.0, 4.0]

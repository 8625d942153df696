from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.belief import Belief
from allocation.policy import expected_error
from allocation.ports import TruthSnapshot
from allocation.tables import AnswerTable
from cluster.domain.ids import WorkerId
from tests.unit.allocation.worlds import log_confusion, snapshot

ITEMS = 6
WORKERS = tuple(WorkerId(name) for name in ("ann", "bob", "cat"))


def informed() -> TruthSnapshot:
    """Return a snapshot that knows ann and bob, and has priors of its own."""
    rng = np.random.default_rng(3)
    prior = np.log(rng.dirichlet(np.ones(3), ITEMS)).astype(np.float32)
    known = np.stack([log_confusion(0.95), log_confusion(0.6)])
    return replace(snapshot(ITEMS), log_prior=prior, worker_ids=WORKERS[:2], log_confusion=known)


answers = st.lists(
    st.tuples(st.integers(0, ITEMS - 1), st.integers(0, 2), st.integers(0, 2), st.booleans()),
    max_size=40,
)


def add(belief: Belief, position: int, worker_id: WorkerId, label: int) -> None:
    first = np.zeros(1, dtype=np.int32)
    belief.add(first + position, (worker_id,), first, np.array([label], dtype=np.int16))


def append(table: AnswerTable, position: int, worker: int, label: int, *, audit: bool) -> None:
    table.extend(
        np.array([position], dtype=np.int32),
        np.array([worker], dtype=np.int32),
        np.array([label], dtype=np.int16),
        np.array([audit]),
    )


@given(answers)
@settings(max_examples=50)
def test_one_by_one_and_all_at_once_agree(given_answers: list[tuple[int, int, int, bool]]) -> None:
    table = AnswerTable()
    stepwise = Belief(informed(), table, WORKERS)
    for position, worker, label, audit in given_answers:
        append(table, position, worker, label, audit=audit)
        if not audit:
            add(stepwise, position, WORKERS[worker], label)
    at_once = Belief(informed(), table, WORKERS)

    in_one_go = Belief(informed(), AnswerTable(), WORKERS)
    labels = ~table.audit
    in_one_go.add(table.positions[labels], WORKERS, table.workers[labels], table.labels[labels])

    np.testing.assert_allclose(in_one_go.log_posterior, at_once.log_posterior, atol=1e-3)
    np.testing.assert_allclose(in_one_go.mean_error, at_once.mean_error, atol=1e-5)
    np.testing.assert_allclose(stepwise.log_posterior, at_once.log_posterior, atol=1e-3)
    np.testing.assert_allclose(stepwise.mean_error, at_once.mean_error, atol=1e-5)
    np.testing.assert_allclose(np.exp(at_once.log_posterior).sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(at_once.error, expected_error(at_once.log_posterior), atol=1e-6)


def test_a_known_worker_counts_by_what_is_known_of_them() -> None:
    known = replace(informed(), log_prior=snapshot(ITEMS).log_prior)
    belief = Belief(known, AnswerTable(), WORKERS)
    add(belief, 0, WORKERS[0], 1)
    add(belief, 1, WorkerId("stranger"), 1)

    np.testing.assert_allclose(np.exp(belief.log_posterior[0, 1]), 0.95, rtol=1e-6)
    np.testing.assert_allclose(np.exp(belief.log_posterior[1]), [0.1, 0.8, 0.1], rtol=1e-5)


def test_no_answer_can_make_a_label_impossible() -> None:
    certain = np.full((1, 3, 3), -np.inf, dtype=np.float32)
    certain[0, range(3), range(3)] = 0.0
    sure = replace(snapshot(ITEMS), worker_ids=WORKERS[:1], log_confusion=certain)
    belief = Belief(sure, AnswerTable(), WORKERS)
    for label in (0, 1, 2, 2):
        add(belief, 0, WORKERS[0], label)

    assert np.isfinite(belief.log_posterior).all()
    assert belief.log_posterior[0].argmax() == 2


def test_a_snapshot_is_never_written_to() -> None:
    read_only = informed()
    for array in (read_only.log_prior, read_only.log_confusion, read_only.pooled_log_confusion):
        array.setflags(write=False)
    belief = Belief(read_only, AnswerTable(), WORKERS)
    before = read_only.log_prior.copy()
    add(belief, 0, WORKERS[0], 1)

    np.testing.assert_array_equal(read_only.log_prior, before)

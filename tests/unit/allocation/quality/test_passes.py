"""The compiled passes say what the formulas say, written out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.quality.dawid_skene import expected_counts, log_joint
from allocation.quality.kernels import NEAR_BYTES_MAX
from allocation.quality.passes import Counted, LocalPasses, Precision, Sheet, Tables
from allocation.quality.votes import Floats, Votes
from tests.unit.allocation.quality.crowds import any_votes, crowd


def tables(log_confusion: Floats, log_class_prior: Floats) -> Tables:
    by_cell = np.ascontiguousarray(log_confusion.transpose(0, 2, 1)).reshape(
        -1, len(log_class_prior)
    )
    return Tables(
        odds=by_cell[:, 1:] - by_cell[:, :1],
        base=by_cell[:, 0].copy(),
        log_class_prior=log_class_prior,
    )


def counts_of(counted: Counted, votes: Votes) -> Floats:
    """All counts as [worker, truth but the first, answer]."""
    k = votes.n_labels
    found: Floats = counted.counts.sum(axis=0, dtype=np.float64)
    return found.reshape(votes.n_workers, k, k - 1).transpose(0, 2, 1)


def test_a_sheet_keeps_every_answer_with_its_item() -> None:
    votes = Votes.of([2, 0, 2], [1, 0, 0], [1, 2, 0], n_items=4, n_workers=2, n_labels=3)

    sheet = Sheet.of(votes)

    assert sheet.ends.tolist() == [1, 1, 3, 3]
    assert sheet.cells.tolist() == [2, 1 * 3 + 1, 0]
    assert sheet.answers_per_cell().tolist() == [1, 0, 1, 0, 1, 0]


def test_a_posterior_equals_bayes_by_hand() -> None:
    votes = Votes.of([0, 0], [0, 1], [0, 1], n_items=1, n_workers=2, n_labels=2)
    confusion = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.3, 0.7]]])
    passes = LocalPasses(Sheet.of(votes))

    passes.sweep(tables(np.log(confusion), np.log([0.25, 0.75])))

    joint = np.array([0.25 * 0.9 * 0.4, 0.75 * 0.2 * 0.7])
    np.testing.assert_allclose(passes.posterior[0], joint / joint.sum())


@settings(max_examples=60, deadline=None)
@given(
    votes=any_votes(), seed=st.integers(0, 99), witnessed=st.booleans(), threads=st.integers(1, 3)
)
def test_a_sweep_equals_the_steps_written_out(
    votes: Votes, seed: int, *, witnessed: bool, threads: int
) -> None:
    # Given any votes, any confusions, and perhaps a witness of each item
    rng, k = np.random.default_rng(seed), votes.n_labels
    log_confusion = np.log(rng.dirichlet(np.ones(k), (votes.n_workers, k)) + 1e-9)
    log_class_prior = np.log(rng.dirichlet(np.ones(k)))
    log_item_prior = np.log(rng.dirichlet(np.ones(k), votes.n_items))
    passes = LocalPasses(
        Sheet.of(votes), log_item_prior=log_item_prior if witnessed else None, threads=threads
    )

    # When they are swept
    asked = tables(log_confusion, log_class_prior)
    counted = passes.sweep(asked)

    # Then posterior, counts, evidence and entropy are those of the formulas
    joint = log_joint(votes, log_confusion, log_class_prior, log_item_prior if witnessed else None)
    evidence = np.logaddexp.reduce(joint, axis=1)
    posterior = np.exp(joint - evidence[:, None])
    known = np.ones(votes.n_items, bool) if witnessed else votes.answers_per_item() > 0
    base = float(passes.answers_per_cell @ asked.base)
    np.testing.assert_allclose(passes.posterior, posterior, atol=1e-12)
    np.testing.assert_allclose(
        counts_of(counted, votes), expected_counts(votes, posterior)[:, 1:], atol=1e-9
    )
    np.testing.assert_allclose(counted.class_mass, posterior[known].sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(counted.log_evidence + base, evidence.sum(), atol=1e-8)
    np.testing.assert_allclose(counted.entropy, -(posterior * np.log(posterior)).sum(), atol=1e-8)
    witness = (posterior * log_item_prior).sum() if witnessed else 0.0
    np.testing.assert_allclose(counted.item_evidence, witness, atol=1e-8)
    np.testing.assert_allclose(asked.log_confusion(), log_confusion, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(votes=any_votes(), seed=st.integers(0, 99), witnessed=st.booleans())
def test_it_begins_with_vote_shares(votes: Votes, seed: int, *, witnessed: bool) -> None:
    rng, k = np.random.default_rng(seed), votes.n_labels
    witness = rng.dirichlet(np.ones(k), votes.n_items)
    passes = LocalPasses(Sheet.of(votes), log_item_prior=np.log(witness) if witnessed else None)

    counted = passes.begin()

    tally = votes.counts() + (witness if witnessed else 0.0)
    total = tally.sum(axis=1, keepdims=True)
    shares = np.where(total > 0.0, tally / np.maximum(total, 1e-9), 1.0 / k)
    np.testing.assert_allclose(passes.posterior, shares, atol=1e-12)
    np.testing.assert_allclose(
        counts_of(counted, votes), expected_counts(votes, shares)[:, 1:], atol=1e-9
    )


@pytest.mark.parametrize(("precision", "within"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_threads_and_precision_change_no_more_than_rounding(
    precision: Precision, within: float
) -> None:
    given_crowd = crowd(3, n_items=2_000, n_labels=4)
    asked = tables(np.log(given_crowd.confusion), np.full(4, -np.log(4)))
    exact = LocalPasses(Sheet.of(given_crowd.votes))
    exact.sweep(asked)

    passes = LocalPasses(Sheet.of(given_crowd.votes), threads=3, precision=precision)
    counted = passes.sweep(asked)

    np.testing.assert_allclose(passes.posterior, exact.posterior, atol=within)
    assert counted.counts.dtype == passes.posterior.dtype == precision


def test_tables_that_leave_the_cache_are_swept_alike() -> None:
    # Given more workers than a core's own cache holds tables of, or only those who answered
    rng, near = np.random.default_rng(4), crowd(4, n_workers=40, n_labels=5).votes
    far = replace(near, n_workers=2_000)
    log_confusion = np.log(rng.dirichlet(np.ones(5), (2_000, 5)))
    uniform = np.full(5, -np.log(5))

    # When both are swept
    in_cache, beyond = LocalPasses(Sheet.of(near)), LocalPasses(Sheet.of(far))
    here = in_cache.sweep(tables(log_confusion[:40], uniform))
    there = beyond.sweep(tables(log_confusion, uniform))

    # Then asking for rows ahead has changed nothing
    assert here.counts.nbytes <= NEAR_BYTES_MAX < there.counts.nbytes
    np.testing.assert_array_equal(beyond.posterior, in_cache.posterior)
    np.testing.assert_array_equal(there.counts[:, : 40 * 5], here.counts)

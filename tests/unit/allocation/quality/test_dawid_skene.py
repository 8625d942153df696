import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.quality import dawid_skene, majority
from allocation.quality.dawid_skene import Prior
from allocation.quality.passes import LocalPasses, Sheet
from allocation.quality.votes import Floats, Votes
from tests.unit.allocation.quality.crowds import Crowd, any_votes, crowd

PRIORS: tuple[Prior, ...] = ("none", "diagonal", "pooled")


def accuracy_of(posterior: Floats, truth: Crowd) -> float:
    return float((posterior.argmax(axis=1) == truth.truth).mean())


@pytest.mark.parametrize("prior", PRIORS)
@settings(max_examples=40, deadline=None)
@given(votes=any_votes())
def test_every_table_however_degenerate_gives_distributions(prior: Prior, votes: Votes) -> None:
    fit = dawid_skene.fit(votes, prior=prior)

    assert fit.posterior.shape == (votes.n_items, votes.n_labels)
    np.testing.assert_allclose(fit.posterior.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.exp(fit.log_confusion).sum(axis=2), 1.0, atol=1e-8)
    assert fit.class_prior.sum() == pytest.approx(1.0)
    assert np.isfinite(fit.log_confusion).all()
    assert np.isfinite(fit.log_likelihood).all()


@settings(max_examples=30, deadline=None)
@given(votes=any_votes(), seed=st.integers(0, 99))
def test_map_objective_never_falls(votes: Votes, seed: int) -> None:
    init = np.random.default_rng(seed).dirichlet(np.ones(votes.n_labels), votes.n_items)

    fit = dawid_skene.fit(votes, prior="diagonal", init=init, tolerance=0.0)

    gains = [after - before for before, after in itertools.pairwise(fit.log_likelihood)]
    assert min(gains, default=0.0) >= -1e-9


@pytest.mark.parametrize("prior", PRIORS)
def test_posterior_is_what_the_parameters_say(prior: Prior) -> None:
    given_crowd = crowd(1)

    fit = dawid_skene.fit(given_crowd.votes, prior=prior)

    joint = dawid_skene.log_joint(given_crowd.votes, fit.log_confusion, np.log(fit.class_prior))
    posterior = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
    np.testing.assert_allclose(posterior, fit.posterior, atol=1e-12)


@pytest.mark.parametrize("prior", PRIORS)
def test_half_the_precision_gives_the_same_labels(prior: Prior) -> None:
    votes = crowd(12, n_items=1_000, n_labels=4).votes
    narrow = LocalPasses(Sheet.of(votes), threads=2, precision=np.float32)

    dawid_skene.iterate(narrow, prior=prior)

    exact = dawid_skene.fit(votes, prior=prior)
    np.testing.assert_allclose(narrow.posterior, exact.posterior, atol=1e-3)


@pytest.mark.parametrize("prior", PRIORS)
def test_threads_that_share_the_m_step_change_no_more_than_rounding(prior: Prior) -> None:
    # Given a crowd of so many workers that threads are worth their start
    votes = crowd(13, n_items=500, n_workers=5_000, n_labels=5).votes
    assert votes.n_workers * votes.n_labels**2 > dawid_skene.NUMBERS_A_THREAD

    # When it is fitted by one thread, and by three
    alone = dawid_skene.fit(votes, prior=prior, iterations_max=3)
    together = dawid_skene.fit(votes, prior=prior, iterations_max=3, threads=3)

    # Then both find the same
    confusion = np.exp(alone.log_confusion)
    np.testing.assert_allclose(np.exp(together.log_confusion), confusion, atol=1e-5)
    np.testing.assert_allclose(together.log_likelihood, alone.log_likelihood, rtol=1e-9)


def test_expected_counts_add_over_disjoint_votes() -> None:
    votes = crowd(2).votes
    posterior = majority.fit(votes).posterior
    half = len(votes) // 2
    parts = [
        Votes.of(
            votes.items[part],
            votes.workers[part],
            votes.labels[part],
            n_items=votes.n_items,
            n_workers=votes.n_workers,
            n_labels=votes.n_labels,
        )
        for part in (slice(None, half), slice(half, None))
    ]

    added = sum(dawid_skene.expected_counts(part, posterior) for part in parts)

    np.testing.assert_allclose(added, dawid_skene.expected_counts(votes, posterior), atol=1e-9)


@pytest.mark.parametrize("prior", PRIORS)
def test_a_bad_minority_is_outvoted_by_weight(prior: Prior) -> None:
    given_crowd = crowd(3, n_items=1_000, answers_per_item=7, accuracy=(0.35, 0.95))
    voted = accuracy_of(majority.fit(given_crowd.votes).posterior, given_crowd)

    fit = dawid_skene.fit(given_crowd.votes, prior=prior)

    assert accuracy_of(fit.posterior, given_crowd) > voted + 0.01


def test_confusions_are_recovered() -> None:
    given_crowd = crowd(4, n_items=3_000, n_workers=8, answers_per_item=6)

    fit = dawid_skene.fit(given_crowd.votes, prior="diagonal")

    assert np.abs(np.exp(fit.log_confusion) - given_crowd.confusion).mean() < 0.02


def test_order_of_answers_does_not_matter() -> None:
    votes = crowd(5).votes
    order = np.random.default_rng(0).permutation(len(votes))
    shuffled = Votes.of(
        votes.items[order],
        votes.workers[order],
        votes.labels[order],
        n_items=votes.n_items,
        n_workers=votes.n_workers,
        n_labels=votes.n_labels,
    )

    np.testing.assert_allclose(
        dawid_skene.fit(shuffled).posterior, dawid_skene.fit(votes).posterior, atol=1e-9
    )


class TestItemPrior:
    def test_decides_items_without_answers(self) -> None:
        votes = Votes.of([0], [0], [1], n_items=2, n_workers=1, n_labels=2)

        fit = dawid_skene.fit(
            votes,
            prior="diagonal",
            log_item_prior=np.log([[0.5, 0.5], [0.8, 0.2]]),
            class_prior=np.array([0.5, 0.5]),
        )

        np.testing.assert_allclose(fit.posterior[1], [0.8, 0.2])

    def test_good_witness_raises_accuracy(self) -> None:
        given_crowd = crowd(6, answers_per_item=2, n_labels=2, accuracy=(0.6, 0.8))
        rng = np.random.default_rng(6)
        right = rng.random(len(given_crowd.truth)) < 0.85
        said = np.where(right, given_crowd.truth, 1 - given_crowd.truth)
        witness = np.log(np.where(np.eye(2)[said] > 0.5, 0.85, 0.15))

        alone = dawid_skene.fit(given_crowd.votes, prior="pooled")
        fused = dawid_skene.fit(given_crowd.votes, prior="pooled", log_item_prior=witness)

        assert accuracy_of(fused.posterior, given_crowd) > accuracy_of(alone.posterior, given_crowd)
        assert accuracy_of(fused.posterior, given_crowd) > right.mean()

    @pytest.mark.parametrize("prior", PRIORS)
    def test_a_constant_a_row_changes_nothing(self, prior: Prior) -> None:
        votes = crowd(7).votes
        rng = np.random.default_rng(7)
        witness = np.log(rng.dirichlet(np.ones(3), votes.n_items))
        shift = rng.normal(size=(votes.n_items, 1))

        plain = dawid_skene.fit(votes, prior=prior, log_item_prior=witness)
        shifted = dawid_skene.fit(votes, prior=prior, log_item_prior=witness + shift)

        np.testing.assert_allclose(shifted.posterior, plain.posterior, atol=1e-6)


class TestDegenerate:
    def test_no_answers_gives_the_priors(self) -> None:
        votes = Votes.of([], [], [], n_items=2, n_workers=1, n_labels=4)

        fit = dawid_skene.fit(votes)

        np.testing.assert_allclose(fit.posterior, 0.25)
        np.testing.assert_allclose(np.exp(fit.log_confusion), 0.25)
        assert fit.iterations == 0

    def test_no_items_at_all(self) -> None:
        fit = dawid_skene.fit(Votes.of([], [], [], n_items=0, n_workers=0, n_labels=2))

        assert fit.posterior.shape == (0, 2)

    def test_worker_without_answers_has_the_prior(self) -> None:
        votes = Votes.of([0, 1], [0, 0], [0, 1], n_items=2, n_workers=2, n_labels=2)

        fit = dawid_skene.fit(votes, prior="diagonal")

        np.testing.assert_allclose(np.exp(fit.log_confusion[1]), [[0.8, 0.2], [0.2, 0.8]])

    def test_unanswered_items_do_not_move_the_class_prior(self) -> None:
        votes = Votes.of([0], [0], [1], n_items=50, n_workers=1, n_labels=2)

        fit = dawid_skene.fit(votes)

        np.testing.assert_allclose(fit.class_prior, [0.0, 1.0], atol=1e-9)
        np.testing.assert_allclose(fit.posterior[:, 1], 1.0, atol=1e-6)

    def test_class_prior_can_be_fixed(self) -> None:
        fixed = np.array([0.7, 0.3, 0.0])

        fit = dawid_skene.fit(crowd(8).votes, class_prior=fixed)

        np.testing.assert_allclose(fit.class_prior, fixed, atol=1e-9)

    @pytest.mark.parametrize("argument", ["log_item_prior", "class_prior", "init"])
    def test_wrong_shapes_are_named(self, argument: str) -> None:
        with pytest.raises(ValueError, match=argument):
            dawid_skene.fit(crowd(9).votes, **{argument: np.zeros((2, 2))})  # type: ignore[arg-type]


def test_warm_start_ends_where_it_began() -> None:
    votes = crowd(10).votes
    first = dawid_skene.fit(votes, prior="diagonal", tolerance=1e-9)

    again = dawid_skene.fit(votes, prior="diagonal", init=first.posterior)

    assert again.iterations <= 2
    np.testing.assert_allclose(again.posterior, first.posterior, atol=1e-3)

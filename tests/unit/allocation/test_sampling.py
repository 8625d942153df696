"""The audit and seed samples of a job."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from allocation.sampling import AuditPlan, audited_items, doubting_plan, seed_sample, uniform_plan
from cluster.domain.jobs import CrowdTerms


@given(
    items=st.integers(1, 5_000),
    labels=st.integers(2, 50),
    seed=st.integers(0, 2**63 - 1),
    goal=st.floats(0.5, 1.0),
    doubting=st.booleans(),
)
def test_samples_are_within_the_job_apart_and_the_same_every_time(
    *, items: int, labels: int, seed: int, goal: float, doubting: bool
) -> None:
    # Given a job of any size
    crowd = CrowdTerms()

    # When its samples are drawn twice
    believed = np.random.default_rng(seed).uniform(1.0 / labels, 1.0, items)
    plans = [
        (uniform_plan(items, crowd, seed), doubting_plan(believed, goal, crowd, seed))
        for _ in range(2)
    ]
    plan = plans[0][doubting]
    seeds = seed_sample(plan, labels, seed)

    # Then they are the same, hold every item at most once, and no audited item is a seed
    assert np.array_equal(plan.order, plans[1][doubting].order)
    assert np.array_equal(seeds, seed_sample(plans[1][doubting], labels, seed))
    both = np.concatenate([plan.order, seeds])
    assert len(np.unique(both)) == len(both)
    assert ((both >= 0) & (both < items)).all()
    assert len(plan.order) == audited_items(items, crowd) <= crowd.audit_items_max
    assert plan.weights.min() > 0.0
    assert abs(plan.weights.mean() - 1.0) < 1e-9


def test_the_audit_sample_follows_the_terms() -> None:
    # Given terms that ask for a twentieth, at least 40 and at most 250
    crowd = CrowdTerms()

    # Then small jobs get the least, middling ones the share, large ones the most
    assert audited_items(100, crowd) == 40
    assert audited_items(2_000, crowd) == 100
    assert audited_items(100_000, crowd) == 250
    assert audited_items(20, crowd) == 20
    assert audited_items(2_000, CrowdTerms(audit_share=0.0)) == 0


def test_every_item_is_as_likely_to_be_audited() -> None:
    # Given many jobs that differ in nothing but their seed
    crowd = CrowdTerms(audit_share=0.1, audit_items_min=0)

    # When each draws a tenth of its 100 items
    counts = np.zeros(100)
    for seed in range(2_000):
        counts[uniform_plan(100, crowd, seed).order] += 1

    # Then each item is drawn about 200 times (five standard deviations are 67)
    assert counts.min() > 133
    assert counts.max() < 267


class TestDoubtingPlan:
    ITEMS = 2_000
    CROWD = CrowdTerms(audit_share=0.05, audit_items_min=0)

    def test_draws_every_item_next_in_proportion_to_its_weight(self) -> None:
        # Given a model that is sure of most items, and many seeds
        rng = np.random.default_rng(1)
        believed = rng.choice([0.55, 0.9, 0.999], self.ITEMS, p=[0.2, 0.2, 0.6])
        plans = [
            doubting_plan(believed, 0.95, self.CROWD, int(rng.integers(2**63)))
            for _ in range(2_000)
        ]

        # When the first item of each plan, and the last, is looked at
        weights = plans[0].weights
        first = np.bincount([plan.order[0] for plan in plans], minlength=self.ITEMS)

        # Then its class came as often as its weight says (five standard deviations)
        for level in np.unique(weights):
            share = weights[weights == level].sum() / weights.sum()
            seen = first[weights == level].sum() / len(plans)
            assert abs(seen - share) < 5.0 * np.sqrt(share * (1.0 - share) / len(plans))

        # And later ones by the weights of those left
        expected = seen_last = 0.0
        for plan in plans:
            left = np.ones(self.ITEMS, dtype=np.bool_)
            left[plan.order[:-1]] = False
            sure = weights == weights.min()
            expected += weights[left & sure].sum() / weights[left].sum()
            seen_last += sure[plan.order[-1]]
        assert abs(seen_last - expected) < 5.0 * np.sqrt(len(plans)) / 2.0

    def test_no_item_counts_for_more_than_about_two(self) -> None:
        believed = np.random.default_rng(2).beta(20.0, 1.0, 10_000)

        weights = doubting_plan(believed, 0.95, CrowdTerms(), 1).weights

        assert weights.min() > 0.5
        assert 1.0 / weights.min() <= 2.0
        assert len(np.unique(weights)) <= 8

    def test_those_in_doubt_are_likelier_but_most_of_them_stay_for_training(self) -> None:
        # Given one item in fifty in doubt, and an audit of a tenth
        believed = np.where(np.arange(1_000) % 50 == 0, 0.5, 0.99999)
        crowd = CrowdTerms(audit_share=0.1)

        # When many such audits are drawn
        shares = [
            (believed[doubting_plan(believed, 0.95, crowd, seed).order] < 0.9).sum() / 20.0
            for seed in range(200)
        ]

        # Then more than a tenth of those in doubt are audited, and about a fourth at most
        assert 0.15 < np.mean(shares) < 0.28

    def test_a_small_audit_is_uniform(self) -> None:
        believed = np.linspace(0.5, 1.0, self.ITEMS - 20)

        plan = doubting_plan(believed, 0.95, self.CROWD, 3)

        assert np.array_equal(plan.order, uniform_plan(len(believed), self.CROWD, 3).order)
        assert np.ptp(plan.weights) == 0.0

    def test_beliefs_that_are_all_the_same_change_nothing(self) -> None:
        plan = doubting_plan(np.full(self.ITEMS, 0.7), 0.95, self.CROWD, 9)

        uniform = uniform_plan(self.ITEMS, self.CROWD, 9)
        assert np.array_equal(plan.order, uniform.order)
        assert np.allclose(plan.weights, uniform.weights)
        assert len(np.unique(plan.weights)) == 1


def test_under_equal_weights_every_audited_item_is_certified_by() -> None:
    plan = AuditPlan(order=np.array([4, 1, 3, 0]), weights=np.ones(5))

    assert plan.audited(np.array([True, True, False, True, False])).tolist() == [1, 3, 0]


def test_under_unequal_weights_an_item_waits_for_those_drawn_before_it() -> None:
    plan = AuditPlan(order=np.array([4, 1, 3, 0]), weights=np.array([1.0, 2.0, 1.0, 1.0, 2.0]))

    assert plan.audited(np.array([True, True, False, False, True])).tolist() == [4, 1]
    assert plan.audited(np.array([True, True, True, True, False])).tolist() == []
    assert plan.audited(np.ones(5, dtype=np.bool_)).tolist() == [4, 1, 3, 0]

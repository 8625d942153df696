"""The promotion gate: better beyond noise, or not at all."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.judging import Drawn
from training.promotion import PromotionDecision, decide

SEEDS = range(50)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """Audited items: their labels, and what noisy audit answers make of them."""

    labels: npt.NDArray[np.int64]
    posterior: Floats
    rng: np.random.Generator

    @classmethod
    def draw(cls, seed: int, items: int = 120, classes: int = 3) -> "Audit":
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, classes, items)
        said = np.where(rng.random(items) < 0.1, rng.integers(0, classes, items), labels)
        posterior = np.full((items, classes), 0.1 / (classes - 1))
        posterior[np.arange(items), said] = 0.9
        return cls(labels, posterior, rng)

    def model(self, skill: float) -> Floats:
        """Return the probabilities of a calibrated model that sees the labels through noise."""
        logits = self.rng.normal(size=self.posterior.shape)
        logits[np.arange(len(self.labels)), self.labels] += skill
        odds = np.exp(skill * logits)
        probabilities: Floats = odds / odds.sum(axis=1, keepdims=True)
        return probabilities


def promoted(decisions: list[PromotionDecision]) -> int:
    return sum(decision.promote for decision in decisions)


def test_a_candidate_trained_on_shuffled_labels_is_never_promoted() -> None:
    decisions = []
    for seed in SEEDS:
        audit = Audit.draw(seed)
        live = audit.model(1.5)
        decisions.append(decide(live, audit.rng.permutation(live), audit.posterior))

    assert promoted(decisions) == 0


@pytest.mark.parametrize("items", [20, 120])
def test_an_equal_candidate_is_promoted_in_at_most_one_case_of_twenty(items: int) -> None:
    decisions = []
    for seed in range(200):
        audit = Audit.draw(seed, items)
        decisions.append(decide(audit.model(1.5), audit.model(1.5), audit.posterior))

    # 200 draws at 5 % are 10 promotions, and 17 or more in about one of forty such tests.
    assert promoted(decisions) <= 16


def test_a_candidate_that_differs_by_noise_alone_is_not_promoted() -> None:
    decisions = []
    for seed in SEEDS:
        audit = Audit.draw(seed)
        live = audit.model(1.5)
        jitter = np.exp(0.3 * audit.rng.normal(size=(2, *live.shape)))
        first, second = live * jitter
        first, second = first / first.sum(1, keepdims=True), second / second.sum(1, keepdims=True)
        decisions.append(decide(first, second, audit.posterior))

    assert promoted(decisions) <= 0.05 * len(SEEDS)


def test_a_clearly_better_candidate_is_promoted() -> None:
    decisions = []
    for seed in SEEDS:
        audit = Audit.draw(seed)
        decisions.append(decide(audit.model(1.0), audit.model(2.5), audit.posterior))

    assert promoted(decisions) == len(SEEDS)
    assert all(decision.reason == "better" for decision in decisions)
    assert all(each.candidate_score > each.incumbent_score for each in decisions)


def test_a_trained_model_replaces_zero_shot_after_few_audits() -> None:
    decisions = []
    for seed in SEEDS:
        audit = Audit.draw(seed, items=40)
        decisions.append(decide(audit.model(0.3), audit.model(2.0), audit.posterior))

    assert promoted(decisions) >= 0.9 * len(SEEDS)


def test_better_odds_do_not_excuse_being_wrong_more_often() -> None:
    """The candidate is less sure of everything, and wrong where the live model is right."""
    posterior = np.tile([0.9, 0.1], (100, 1))
    live = np.tile([0.6, 0.4], (100, 1))
    live[:30] = [0.001, 0.999]
    candidate = np.tile([0.49, 0.51], (100, 1))

    decision = decide(live, candidate, posterior)

    assert decision.p_value < 0.05
    assert (decision.promote, decision.reason) == (False, "less often correct")


def test_a_candidate_no_better_over_all_is_not_promoted_for_items_the_incumbent_doubts() -> None:
    # Given two models, each right on another nine tenths of the items
    rng = np.random.default_rng(4)
    doubted = np.arange(4_000) % 10 == 0
    missed = np.roll(doubted, 1)
    truth = np.tile([0.99, 0.01], (4_000, 1))
    live = np.where(doubted, 0.45, 0.9)
    candidate = np.where(missed, 0.45, 0.9)
    models = [np.stack([top, 1.0 - top], axis=1) for top in (live, candidate)]

    # When those the live one doubts are three times as likely to be audited
    weights = np.where(doubted, 3.0, 1.0)
    plain, weighted = [], []
    for _ in SEEDS:
        rows = (rng.exponential(size=4_000) / weights).argsort()[:200]
        before, after = (model[rows] for model in models)
        plain.append(decide(before, after, truth[rows]))
        strata = doubted.astype(np.int64)
        drawn = Drawn(
            audited=np.ones(len(rows), np.bool_), strata=strata[rows], sizes=np.bincount(strata)
        )
        weighted.append(decide(before, after, truth[rows], drawn=drawn))

    # Then the gate is fooled unless it knows
    assert promoted(plain) > 0.5 * len(SEEDS)
    assert promoted(weighted) <= 0.14 * len(SEEDS)


def test_a_gain_that_is_certain_but_tiny_is_not_worth_a_promotion() -> None:
    """A little surer of every right label, and right as often."""
    posterior = np.tile([0.95, 0.05], (100, 1))
    live = np.tile([0.80, 0.20], (100, 1))
    candidate = np.tile([0.81, 0.19], (100, 1))

    decision = decide(live, candidate, posterior)

    assert decision.p_value < 0.05
    assert (decision.promote, decision.reason) == (False, "hardly better")


def test_without_audited_items_nothing_is_promoted() -> None:
    uniform = np.full((30, 4), 0.25)
    sure = np.tile([0.97, 0.01, 0.01, 0.01], (30, 1))

    for rows in (0, 30):
        decision = decide(uniform[:rows], sure[:rows], uniform[:rows])
        assert (decision.promote, decision.reason, decision.n) == (False, "nothing to judge by", 0)


def test_the_same_model_gets_a_p_value_of_one() -> None:
    audit = Audit.draw(0)
    live = audit.model(1.0)

    decision = decide(live, live, audit.posterior)

    assert (decision.promote, decision.p_value) == (False, 1.0)
    assert decision.candidate_score == decision.incumbent_score


@given(items=st.integers(1, 4), seed=st.integers(0, 1_000))
def test_four_items_are_too_few_for_anything(items: int, seed: int) -> None:
    audit = Audit.draw(seed, items)

    assert not decide(audit.model(0.1), audit.posterior, audit.posterior).promote


@given(seed=st.integers(0, 1_000))
def test_the_order_of_items_and_of_labels_does_not_matter(seed: int) -> None:
    audit = Audit.draw(seed, items=30)
    live, candidate = audit.model(0.5), audit.model(1.5)
    items, labels = audit.rng.permutation(30), audit.rng.permutation(3)

    here = decide(live, candidate, audit.posterior)
    there = decide(
        live[items][:, labels], candidate[items][:, labels], audit.posterior[items][:, labels]
    )

    assert there.candidate_score == pytest.approx(here.candidate_score)
    assert there.p_value == pytest.approx(here.p_value, abs=0.02)

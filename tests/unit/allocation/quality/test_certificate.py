import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from allocation.quality import dawid_skene
from allocation.quality.audit import Audit, Labels
from allocation.quality.certificate import (
    AgreementRates,
    agreement_rates,
    certify,
    correctness_scores,
)
from allocation.quality.votes import Codes, Floats, Votes
from cluster.domain.jobs import Certificate
from tests.unit.allocation.quality.crowds import confusions, draw


def audited_job(
    seed: int,
    *,
    accuracy: float = 0.93,
    auditors: tuple[float, float] = (0.7, 0.95),
    n_items: int = 1_500,
    audited: int = 150,
    n_labels: int = 2,
    n_workers: int = 20,
) -> tuple[float, Audit, Floats]:
    """True accuracy, audit and expected counts of a job whose crowd errs independently.

    Labels are delivered with errors at random; two workers label and three others audit an item,
    and the workers' confusions are known only from their label answers.
    """
    rng = np.random.default_rng(seed)
    confusion = confusions(rng.uniform(*auditors, n_workers), n_labels)
    truth = rng.integers(n_labels, size=n_items)
    slip = rng.random(n_items) >= accuracy
    delivered = (truth + slip * rng.integers(1, n_labels, size=n_items)) % n_labels
    order = rng.random((n_items, n_workers)).argsort(axis=1)

    def votes(items: Codes, first: int, last: int) -> Votes:
        workers = order[items, first:last].ravel()
        rows = np.repeat(np.arange(len(items)), last - first)
        labels = draw(rng, confusion[workers], truth[items][rows])
        return Votes.of(
            rows, workers, labels, n_items=len(items), n_workers=n_workers, n_labels=n_labels
        )

    label_votes = votes(np.arange(n_items), 0, 2)
    believed = np.full((n_items, n_labels), (1.0 - accuracy) / (n_labels - 1))
    believed[np.arange(n_items), delivered] = accuracy
    fit = dawid_skene.fit(label_votes, prior="pooled", log_item_prior=np.log(believed))
    sample = rng.choice(n_items, audited, replace=False)
    labels = Labels(
        codes=delivered, auto=np.arange(n_items) < 700, believed=fit.posterior.max(axis=1)
    )
    audit = Audit(labels=labels, positions=sample, votes=votes(sample, 2, 5), planned=audited)
    counts = dawid_skene.expected_counts(label_votes, fit.posterior)
    return float((delivered == truth).mean()), audit, counts


def certificate_of(audit: Audit, counts: Floats, shared_errors: float = 0.0) -> Certificate:
    return certify(audit, counts, confidence=0.95, shared_errors=shared_errors)


@pytest.mark.parametrize(("n_labels", "auditors"), [(2, (0.7, 0.95)), (4, (0.5, 0.9))])
def test_holds_for_noisy_auditors_and_is_not_idle(
    n_labels: int, auditors: tuple[float, float]
) -> None:
    bounds, truths = [], []
    for seed in range(60):
        accuracy, audit, counts = audited_job(seed, n_labels=n_labels, auditors=auditors)
        bounds.append(certificate_of(audit, counts).overall.accuracy_lower)
        truths.append(accuracy)

    assert np.mean(np.array(bounds) > np.array(truths)) <= 0.05
    assert np.mean(bounds) > 0.75


def test_scores_are_unbiased_where_the_rates_are_known() -> None:
    estimates, truths = [], []
    for seed in range(30):
        accuracy, audit, _ = audited_job(seed, audited=600, n_workers=6, auditors=(0.8, 0.8))
        known = np.repeat(1e9 * confusions(np.array([0.8]), 2), 6, axis=0)
        rates = agreement_rates(known, audit, 0.5)
        estimates.append(correctness_scores(audit, rates, shared_errors=0.0).values.mean())
        truths.append(accuracy)

    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.01)


def test_plain_agreement_would_have_been_far_too_low() -> None:
    accuracy, audit, counts = audited_job(1, audited=1_000, auditors=(0.8, 0.8))
    agreement = (audit.votes.labels == audit.delivered[audit.votes.items]).mean()

    overall = certificate_of(audit, counts).overall

    assert agreement < 0.8
    assert overall.accuracy_estimate == pytest.approx(accuracy, abs=0.04)


def test_rates_are_taken_from_above() -> None:
    _, audit, counts = audited_job(2)
    eye = np.eye(2, dtype=bool)
    rate = counts / counts.sum(axis=2, keepdims=True)

    rates = agreement_rates(counts, audit, 0.975)

    assert rates.right.mean() > rate[:, eye].mean()
    assert rates.wrong.mean() > rate[:, ~eye].mean()


def test_sharing_errors_with_auditors_costs_accuracy() -> None:
    _, audit, counts = audited_job(3)

    lowers = [certificate_of(audit, counts, share).overall.accuracy_lower for share in (0.0, 0.5)]

    assert lowers[1] < lowers[0] - 0.02


def test_auditors_of_whom_nothing_is_known_prove_nothing() -> None:
    _, audit, counts = audited_job(4)

    overall = certificate_of(audit, np.zeros_like(counts)).overall

    assert overall.accuracy_lower == 0.0
    assert overall.accuracy_estimate == pytest.approx(0.0, abs=0.01)


def test_auditors_who_always_agree_prove_nothing() -> None:
    _, audit, _ = audited_job(5)
    parrots = np.full((audit.votes.n_workers, 2, 2), 100.0)

    assert certificate_of(audit, parrots).overall.accuracy_lower == 0.0


def test_full_agreement_is_not_certainty() -> None:
    _, audit, counts = audited_job(6)
    agreeing = Votes.of(
        audit.votes.items,
        audit.votes.workers,
        audit.delivered[audit.votes.items],
        n_items=audit.votes.n_items,
        n_workers=audit.votes.n_workers,
        n_labels=2,
    )

    overall = certificate_of(replace(audit, votes=agreeing), counts).overall

    assert overall.accuracy_estimate == 1.0
    assert 0.85 < overall.accuracy_lower < 1.0


def test_a_label_nobody_uses_does_not_spoil_the_others() -> None:
    accuracy, audit, counts = audited_job(7, auditors=(0.9, 0.95))
    wide = np.zeros((len(counts), 3, 3))
    wide[:, :2, :2] = counts
    votes = Votes.of(
        audit.votes.items,
        audit.votes.workers,
        audit.votes.labels,
        n_items=audit.votes.n_items,
        n_workers=audit.votes.n_workers,
        n_labels=3,
    )

    overall = certificate_of(replace(audit, votes=votes), wide).overall

    assert overall.accuracy_estimate == pytest.approx(accuracy, abs=0.07)


class TestStrata:
    def test_partition_the_audit(self) -> None:
        _, audit, counts = audited_job(8)

        auto, crowd, overall = certificate_of(audit, counts).strata

        assert (auto.name, crowd.name, overall.name) == ("auto", "crowd", "overall")
        assert auto.audited + crowd.audited == overall.audited == 150
        assert (auto.items, crowd.items, overall.items) == (700, 800, 1_500)

    def test_without_items_are_left_out(self) -> None:
        _, audit, counts = audited_job(9)

        asked = replace(audit.labels, auto=np.zeros(len(audit.labels.auto), dtype=np.bool_))
        certificate = certify(replace(audit, labels=asked), counts, confidence=0.9)

        assert [stratum.name for stratum in certificate.strata] == ["crowd", "overall"]
        assert certificate.confidence == 0.9

    def test_without_audits_nothing_is_certified(self) -> None:
        nobody = Votes.of([], [], [], n_items=0, n_workers=2, n_labels=2)
        audit = Audit(
            labels=five_labels(), positions=np.zeros(0, dtype=np.int64), votes=nobody, planned=3
        )

        overall = certificate_of(audit, np.ones((2, 2, 2))).overall

        assert (overall.audited, overall.accuracy_estimate, overall.accuracy_lower) == (0, 0.0, 0.0)


def five_labels() -> Labels:
    return Labels(
        codes=np.zeros(5, dtype=np.int64),
        auto=np.zeros(5, dtype=np.bool_),
        believed=np.full(5, 0.9),
    )


def test_audit_arrays_must_match() -> None:
    with pytest.raises(ValueError, match="same items"):
        Audit(
            labels=five_labels(),
            positions=np.zeros(1, dtype=np.int64),
            votes=Votes.of([], [], [], n_items=2, n_workers=1, n_labels=2),
            planned=1,
        )
    with pytest.raises(ValueError, match="same items"):
        replace(five_labels(), auto=np.zeros(4, dtype=np.bool_))


class TestScores:
    """Of one item whose label is 0, by workers with the same known rates."""

    RIGHT, WRONG = 0.8, 0.3

    def score(self, *agrees: int, right: float = RIGHT, shared_errors: float = 0.0) -> float:
        n = len(agrees)
        audit = Audit(
            labels=five_labels(),
            positions=np.zeros(1, dtype=np.int64),
            votes=Votes.of(
                [0] * n, range(n), [1 - a for a in agrees], n_items=1, n_workers=n, n_labels=2
            ),
            planned=1,
        )
        rates = AgreementRates(np.full((n, 2), right), np.full((n, 2), self.WRONG))
        scores = correctness_scores(audit, rates, shared_errors)
        assert scores.floor[0] <= scores.values[0]
        return float(scores.values[0])

    def mean(self, agrees: float, workers: int, **asked: float) -> float:
        """The mean score where each worker agrees with this probability, over all answers."""
        return sum(
            math.prod(agrees if a else 1.0 - agrees for a in pattern)
            * self.score(*pattern, **asked)
            for pattern in product((0, 1), repeat=workers)
        )

    @pytest.mark.parametrize("workers", [1, 2, 4])
    def test_are_one_for_right_and_zero_for_wrong_labels_in_the_mean(self, workers: int) -> None:
        assert self.mean(self.RIGHT, workers) == pytest.approx(1.0)
        assert self.mean(self.WRONG, workers) == pytest.approx(0.0, abs=1e-9)

    def test_of_one_answer_are_the_backward_correction(self) -> None:
        assert self.score(1) == pytest.approx((1.0 - self.WRONG) / (self.RIGHT - self.WRONG))
        assert self.score(0) == pytest.approx(-self.WRONG / (self.RIGHT - self.WRONG))

    @pytest.mark.parametrize("workers", [1, 3])
    def test_over_estimated_rates_only_lower_them(self, workers: int) -> None:
        assert self.mean(self.RIGHT - 0.1, workers) < 1.0
        assert self.mean(self.WRONG - 0.1, workers) < 0.0
        assert self.mean(self.RIGHT, workers, right=0.9) < 1.0

    def test_auditors_who_err_together_only_lower_them(self) -> None:
        # Given that with a right label all three agree, or all three do not
        together = self.RIGHT * self.score(1, 1, 1) + (1 - self.RIGHT) * self.score(0, 0, 0)

        assert together < 1.0

    @pytest.mark.parametrize("workers", [1, 3])
    def test_allow_for_wrong_labels_that_all_auditors_take_for_right(self, workers: int) -> None:
        seen_as_right = self.mean(self.RIGHT, workers, shared_errors=0.25)
        seen_as_wrong = self.mean(self.WRONG, workers, shared_errors=0.25)

        assert 0.25 * seen_as_right + 0.75 * seen_as_wrong == pytest.approx(0.0, abs=1e-9)


def test_three_answers_an_item_tell_more_than_three_items_with_one() -> None:
    # Given the same 600 audit answers, by three on an item or by one
    bounds = []
    for seed in range(20):
        _, audit, counts = audited_job(seed, audited=600, accuracy=0.97, auditors=(0.75, 0.85))
        votes, once = audit.votes, np.arange(len(audit.votes)) % 3 == 0
        wide = replace(
            votes, items=votes.items[once], workers=votes.workers[once], labels=votes.labels[once]
        )
        bounds.append(
            [
                certificate_of(asked, counts).overall.accuracy_lower
                for asked in (beginning(audit, 200), replace(audit, votes=wide))
            ]
        )

    # Then depth proves more
    deep_bound, wide_bound = np.mean(bounds, axis=0)
    assert deep_bound > wide_bound + 0.01


def test_read_at_every_step_it_is_wrong_in_at_most_one_job_of_twenty() -> None:
    wrong = 0
    for seed in range(40):
        accuracy, audit, counts = audited_job(seed, n_items=500, audited=60, n_labels=3)
        wrong += any(
            certificate_of(beginning(audit, items), counts).overall.accuracy_lower > accuracy
            for items in range(6, 61, 9)
        )

    assert wrong <= 2


def beginning(audit: Audit, items: int) -> Audit:
    """The audit after its first items."""
    votes, kept = audit.votes, audit.votes.items < items
    return replace(
        audit,
        positions=audit.positions[:items],
        votes=replace(
            votes,
            items=votes.items[kept],
            workers=votes.workers[kept],
            labels=votes.labels[kept],
            n_items=items,
        ),
    )

"""The gap between crowd and reference, and certificates by reviewers."""

import numpy as np
import pytest

from allocation.quality.certificate import Audit
from allocation.quality.votes import Votes
from allocation.reference import GAP_PRIOR, ReferenceGap, certify_reviewed


def test_without_reviews_the_published_gap_is_assumed() -> None:
    gap = ReferenceGap()

    assert gap.discounted(1.0) == pytest.approx(1.0 - GAP_PRIOR)
    assert gap.discounted(1.0 - gap.error_allowed(0.9)) == pytest.approx(0.9)


def test_reviews_that_find_no_errors_close_the_gap_and_many_errors_widen_it() -> None:
    # Given 300 labels the consensus is nearly sure of
    sure = np.full(300, 0.99)

    # When reviewers agree with all of them, or with two thirds
    none_wrong = ReferenceGap().after(sure, np.ones(300, dtype=bool))
    many_wrong = ReferenceGap().after(sure, np.arange(300) % 3 != 0)

    # Then what is expected against the reference follows
    assert none_wrong.share < 0.01
    assert 0.25 < many_wrong.share < 0.35


def test_a_goal_beyond_the_gap_allows_no_error() -> None:
    assert ReferenceGap().error_allowed(0.99) < 0.0


def test_reviewers_certify_what_they_agree_with() -> None:
    # Given 200 audited labels of which reviewers contradict five
    labels = np.zeros(200, dtype=np.int64)
    said = labels.copy()
    said[:5] = 1
    votes = Votes.of(np.arange(200), np.zeros(200), said, n_items=200, n_workers=1, n_labels=2)
    auto = np.arange(200) % 2 == 0
    audit = Audit(delivered=labels, auto=auto, votes=votes)

    # When the certificate is made
    certificate = certify_reviewed(audit, auto_items=500, crowd_items=500, confidence=0.95)

    # Then the estimate is the share they agree with, and the bound is below it but not idle
    overall = certificate.overall
    assert overall.accuracy_estimate == pytest.approx(0.975)
    assert 0.90 < overall.accuracy_lower < 0.975
    assert overall.audited == 200
    assert {stratum.name for stratum in certificate.strata} == {"auto", "crowd", "overall"}


def test_without_an_audit_nothing_is_certified() -> None:
    votes = Votes.of([], [], [], n_items=0, n_workers=1, n_labels=2)
    audit = Audit(delivered=np.empty(0, np.int64), auto=np.empty(0, np.bool_), votes=votes)

    overall = certify_reviewed(audit, auto_items=10, crowd_items=0, confidence=0.95).overall

    assert (overall.accuracy_lower, overall.audited, overall.items) == (0.0, 0, 10)

"""What a crowd and the reference share, and certificates by reviewers."""

import numpy as np
import pytest

from allocation.quality.audit import Audit, Labels
from allocation.quality.votes import Votes
from allocation.reference import (
    SHARED_ERRORS,
    SHARED_ERRORS_WITH_MODEL,
    certify_reviewed,
    discounted,
    error_allowed,
    shared_errors,
)


def test_a_model_shares_the_errors_of_its_crowd_and_reviewers_share_none() -> None:
    assert shared_errors(reviewed=True, model=True) == 0.0
    assert shared_errors(reviewed=False, model=False) == SHARED_ERRORS
    assert shared_errors(reviewed=False, model=True) == SHARED_ERRORS_WITH_MODEL > SHARED_ERRORS


@pytest.mark.parametrize("shared", [0.0, SHARED_ERRORS, SHARED_ERRORS_WITH_MODEL])
def test_the_error_allowed_just_meets_the_goal(shared: float) -> None:
    allowed = error_allowed(0.9, shared)

    assert discounted(np.array([1.0 - allowed]), shared) == pytest.approx(0.9)


def test_a_goal_beyond_what_is_shared_allows_no_error() -> None:
    assert error_allowed(0.995, SHARED_ERRORS) < 0.0


def labels(items: int) -> Labels:
    """Labels of class 0, every other one decided by the model alone."""
    return Labels(
        codes=np.zeros(items, dtype=np.int64),
        auto=np.arange(items) % 2 == 0,
        believed=np.full(items, 0.95),
    )


def test_reviewers_certify_what_they_agree_with() -> None:
    # Given 200 audited labels of which reviewers contradict five
    positions = np.arange(0, 1_000, 5)
    said = np.zeros(200, dtype=np.int64)
    said[:5] = 1
    votes = Votes.of(np.arange(200), np.zeros(200), said, n_items=200, n_workers=1, n_labels=2)
    audit = Audit(labels=labels(1_000), positions=positions, votes=votes, planned=200)

    # When the certificate is made
    certificate = certify_reviewed(audit, confidence=0.95)

    # Then the estimate is the share they agree with, and the bound is below it but not idle
    overall = certificate.overall
    assert overall.accuracy_estimate == pytest.approx(0.975)
    assert 0.90 < overall.accuracy_lower < 0.975
    assert overall.audited == 200
    assert {stratum.name for stratum in certificate.strata} == {"auto", "crowd", "overall"}


def test_without_an_audit_nothing_is_certified() -> None:
    votes = Votes.of([], [], [], n_items=0, n_workers=1, n_labels=2)
    audit = Audit(labels=labels(10), positions=np.empty(0, np.int64), votes=votes, planned=3)

    overall = certify_reviewed(audit, confidence=0.95).overall

    assert (overall.accuracy_lower, overall.audited, overall.items) == (0.0, 0, 10)


def test_once_reviewers_have_seen_every_item_the_certificate_is_the_truth() -> None:
    # Given that all 100 labels were reviewed and 4 of them are wrong
    said = np.zeros(100, dtype=np.int64)
    said[[3, 30, 60, 90]] = 1
    votes = Votes.of(np.arange(100), np.zeros(100), said, n_items=100, n_workers=1, n_labels=2)
    audit = Audit(labels=labels(100), positions=np.arange(100), votes=votes, planned=100)

    overall = certify_reviewed(audit, confidence=0.95).overall

    assert overall.accuracy_lower == pytest.approx(0.96, abs=1e-3)
    assert overall.accuracy_lower <= 0.96

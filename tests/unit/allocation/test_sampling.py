"""The audit and seed samples of a job."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from allocation.sampling import audit_sample, seed_sample
from cluster.domain.jobs import CrowdTerms


@given(items=st.integers(1, 5_000), labels=st.integers(2, 50), seed=st.integers(0, 2**63 - 1))
def test_samples_are_within_the_job_apart_and_the_same_every_time(
    items: int, labels: int, seed: int
) -> None:
    # Given a job of any size
    crowd = CrowdTerms()

    # When its samples are drawn twice
    audit, seeds = audit_sample(items, crowd, seed), seed_sample(items, labels, crowd, seed)

    # Then they are the same, hold every item at most once, and no audited item is a seed
    assert np.array_equal(audit, audit_sample(items, crowd, seed))
    both = np.concatenate([audit, seeds])
    assert len(np.unique(both)) == len(both)
    assert ((both >= 0) & (both < items)).all()
    assert len(audit) <= crowd.audit_items_max


def test_the_audit_sample_follows_the_terms() -> None:
    # Given terms that ask for a twentieth, at least 40 and at most 250
    crowd = CrowdTerms()

    # Then small jobs get the least, middling ones the share, large ones the most
    assert len(audit_sample(100, crowd, 1)) == 40
    assert len(audit_sample(2_000, crowd, 1)) == 100
    assert len(audit_sample(100_000, crowd, 1)) == 250
    assert len(audit_sample(20, crowd, 1)) == 20
    assert len(audit_sample(2_000, CrowdTerms(audit_share=0.0), 1)) == 0


def test_every_item_is_as_likely_to_be_audited() -> None:
    # Given many jobs that differ in nothing but their seed
    crowd = CrowdTerms(audit_share=0.1, audit_items_min=0)

    # When each draws a tenth of its 100 items
    counts = np.zeros(100)
    for seed in range(2_000):
        counts[audit_sample(100, crowd, seed)] += 1

    # Then each item is drawn about 200 times (five standard deviations are 67)
    assert counts.min() > 133
    assert counts.max() < 267

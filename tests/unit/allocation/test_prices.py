"""Whom a job asks where workers take different prices."""

import numpy as np

from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.worlds import JOB, job


def test_of_workers_who_know_as_much_the_cheap_ones_are_asked() -> None:
    # Given a crowd of equals, half of whom take ten times as much
    given = CrowdWorld(
        spec=job(labels=2).spec,
        items=200,
        accuracies=[0.85] * 12,
        prices=[1.0, 10.0] * 6,
        rng=np.random.default_rng(3),
    )
    # When a job runs to its end
    given.stage().run(given.desk())
    # Then fewer answers were dear: audits, and what was asked before a price was known
    prices = given.stores.answers.read(JOB, 0, 1_000_000).prices
    assert len(prices) > given.items
    assert (prices > 1.0).mean() < 0.33

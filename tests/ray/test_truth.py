"""Truth inference over Ray tasks: the fit of one process, wherever the answers lie."""

from collections.abc import Iterator

import numpy as np
import pytest
import ray

from allocation.job import RayPasses
from allocation.quality import dawid_skene
from allocation.quality.dawid_skene import Prior
from allocation.quality.passes import Sheet
from tests.unit.allocation.quality.crowds import crowd

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120)]


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.parametrize("prior", ["none", "pooled"])
def test_sheets_on_many_workers_give_the_fit_of_one_table(prior: Prior) -> None:
    # Given answers in five sheets
    votes = crowd(1, n_items=2_000, n_labels=4).votes
    passes = RayPasses(Sheet.of(votes).split(5), precision=np.float64)

    # When they are fitted by tasks
    course = dawid_skene.iterate(passes, prior=prior)

    # Then posteriors and confusions are those of one process
    alone = dawid_skene.fit(votes, prior=prior)
    posterior = np.concatenate(list(passes.posteriors(course.tables)))
    np.testing.assert_allclose(posterior, alone.posterior, atol=1e-9)
    np.testing.assert_allclose(course.tables.log_confusion(), alone.log_confusion, atol=1e-9)
    np.testing.assert_allclose(course.history, alone.log_likelihood, rtol=1e-9)

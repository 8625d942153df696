"""What the tests of a module run on: a whole service, or a local cluster that trains."""

from collections.abc import Iterator, Mapping

import pytest
import ray

from benchmarks.chaos.service import MusterUp


@pytest.fixture(scope="module")
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MusterUp]:
    """`muster up` on fresh data, ready, with the module's SETTINGS in its environment."""
    settings: Mapping[str, str] = request.module.SETTINGS
    with MusterUp(tmp_path_factory.mktemp("muster"), settings) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def training_cluster() -> Iterator[None]:
    """A cluster of one processor, in which a run waits for its worker as long as it takes."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "disabled")
        environment.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        environment.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "300")
        ray.init("local", include_dashboard=False, num_cpus=1, log_to_driver=False)
    yield
    ray.shutdown()

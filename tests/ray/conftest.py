"""A whole service in its own processes, for the tests of a module."""

from collections.abc import Iterator, Mapping

import pytest

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

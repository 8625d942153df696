"""A little of `make fuzz` with every change."""

from pathlib import Path

import pytest

from cluster.domain.jobs import SourceFormat
from tests.fuzz.api import ApiFuzz
from tests.fuzz.sources import damaged, sound_sources, try_one

SOURCES = sound_sources()


def test_random_requests_are_answered_as_the_api_is_described(tmp_path: Path) -> None:
    found = ApiFuzz(tmp_path, seed=0).run(2)

    # Then they reached everything from success to refusal
    assert found.requests >= 90
    assert {200, 201, 403, 404, 422} <= set(found.by_status)


@pytest.mark.parametrize("file_format", SOURCES)
def test_damaged_sources_are_read_or_refused_in_bounded_memory(file_format: SourceFormat) -> None:
    assert try_one(file_format, SOURCES[file_format]) == ""
    for seed in range(12):
        try_one(file_format, damaged(SOURCES[file_format], seed))

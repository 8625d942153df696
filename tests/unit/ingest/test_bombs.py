"""Archives where tables are expected: never unpacked, and told for what they are not."""

import pytest

from cluster.domain.jobs import SourceFormat
from cluster.errors import BadInput, EmptySource, MissingColumn, UnreadableSource
from tests.memory import peak_memory
from tests.unit.ingest.bombs import gzip_of, zip_of
from tests.unit.ingest.support import ingest, jsonl, source

MIB = 2**20
LINE = jsonl({"id": "a", "text": "x" * 1_000})
INSIDE = LINE * 4_000
"""What is inside one file of an archive: 4 MB of lines that would be fine by themselves."""

ARCHIVES = {"gzip": gzip_of(INSIDE, 50), "zip": zip_of(INSIDE, 50)}
ERRORS: dict[SourceFormat, type[BadInput]] = {
    "jsonl": EmptySource,
    "csv": UnreadableSource,
    "parquet": UnreadableSource,
    "openai-batch": EmptySource,
    "manifest": EmptySource,
}


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("file_format", ERRORS)
def test_an_archive_is_no_source_and_is_not_unpacked(file_format: SourceFormat, kind: str) -> None:
    # Given an archive of some hundred kilobytes that holds 200 MB of sound lines
    archive = ARCHIVES[kind]
    assert len(archive) < 2 * MIB
    assert ingest(LINE).progress.items == 1  # and all that is loaded only once is there
    # When it is read as a source of any format
    with (
        peak_memory() as peak,
        pytest.raises((ERRORS[file_format], MissingColumn)) as refused,
    ):
        ingest(archive, source(file_format))
    # Then the job is told so, and memory is that of the archive itself
    assert "upload://" in str(refused.value)
    assert peak.bytes < 50 * MIB

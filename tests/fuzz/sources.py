"""The readers of sources under random damage: an error that is foreseen, in bounded memory."""

import csv
import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cluster.domain.jobs import SourceFormat
from cluster.errors import MusterError
from tests.memory import peak_memory
from tests.unit.ingest.support import ingest, source

ROWS = 60
BYTES_MAX = 100 * 2**20
"""No damaged source of a few kilobytes may take more memory."""

STUFFING = (b'"', b"{", b"[", b"\\u0000", b"\x00", b"\xff\xfe", b"\r\n", b",", b"1e999", b"PAR1")


def sound_sources() -> Mapping[SourceFormat, bytes]:
    """Return a small sound source of each format that is read by a parser of ours."""
    rows = [{"id": f"i{number}", "text": f'text, "{number}"\n' * 3} for number in range(ROWS)]
    table, columns = io.BytesIO(), io.StringIO()
    pq.write_table(pa.Table.from_pylist(rows), table, row_group_size=20)
    writer = csv.DictWriter(columns, ("id", "text"))
    writer.writeheader()
    writer.writerows(rows)
    requests = [
        {
            "custom_id": row["id"],
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [{"role": "user", "content": row["text"]}]},
        }
        for row in rows
    ]
    return {
        "jsonl": _lines(rows),
        "csv": columns.getvalue().encode(),
        "parquet": table.getvalue(),
        "openai-batch": _lines(requests),
        "manifest": _lines([{"id": row["id"], "source": row["text"]} for row in rows]),
    }


def damaged(content: bytes, seed: int) -> bytes:
    """Return a content in which some bytes are changed, left out, doubled, cut or put in."""
    rng, found = np.random.default_rng(seed), bytearray(content)
    for _ in range(rng.integers(1, 9)):
        start = int(rng.integers(len(found) + 1))
        end = min(len(found), start + int(rng.choice((1, 1, 2, 8, 64, 512))))
        match int(rng.integers(5)):
            case 0:
                found[start:end] = rng.bytes(end - start)
            case 1:
                del found[start:end]
            case 2:
                found[start:start] = found[start:end] * int(rng.choice((1, 2, 50)))
            case 3:
                stuffing = STUFFING[int(rng.integers(len(STUFFING)))]
                found[start:start] = stuffing * int(rng.choice((1, 3, 500)))
            case _:
                del found[start + int(rng.integers(len(found) + 1)) :]
    return bytes(found)


def try_one(file_format: SourceFormat, content: bytes) -> str:
    """Ingest a content; return the name of the error, or `""`.

    Raises whatever is no error of ours, and AssertionError where it takes too much memory.
    """
    with peak_memory() as peak:
        try:
            ingest(content, source(file_format))
            ended = ""
        except MusterError as error:
            ended = type(error).__name__
    assert peak.bytes < BYTES_MAX, f"{peak.bytes:,} bytes of memory for {len(content):,}"
    return ended


def _lines(rows: Sequence[Mapping[str, object]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()

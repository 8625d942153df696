"""The formats in which rows of a job are to be had."""

from types import MappingProxyType
from typing import Literal

Format = Literal["jsonl", "csv", "parquet", "arrow", "manifest"]
MEDIA_TYPES: MappingProxyType[Format, str] = MappingProxyType(
    {
        "jsonl": "application/jsonl",
        "csv": "text/csv; charset=utf-8; header=present",
        "parquet": "application/vnd.apache.parquet",
        "arrow": "application/vnd.apache.arrow.stream",
        "manifest": "application/jsonl",
    }
)

STORED: frozenset[Format] = frozenset({"jsonl", "parquet", "manifest"})
"""The formats in which a finished job lies in the object store; others are made from them."""

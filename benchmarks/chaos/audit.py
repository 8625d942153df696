"""Whether a job kept its promises: its export and answer log against what people were told."""

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq

from benchmarks.chaos.book import Book
from benchmarks.chaos.corpus import LABELS, Corpus
from benchmarks.chaos.crowd import Told
from benchmarks.chaos.door import Door

Pair = tuple[int, str]
"""An item, by position, and a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAudit:
    """The finished data set against the corpus; counts of items."""

    delivered: int
    missing: int
    repeated: int
    strangers: int
    differing: int
    right: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerAudit:
    """The answer log against what the workers were told; counts of answers.

    `lost` were acknowledged and are not stored, `changed` are stored with another label,
    `twice` are stored more than once, `smuggled` are stored though they were refused and never
    lost on the way, `unheard` are stored though nobody ever heard so, `uncounted` are stored and
    not in the job's progress.
    """

    acknowledged: int
    stored: int
    lost: int
    changed: int
    twice: int
    smuggled: int
    unheard: int
    uncounted: int


def audit_export(door: Door, job_id: str, corpus: Corpus) -> ExportAudit:
    """Compare both export files with the corpus; `differing` are unlike in the two."""
    lines = _export(door, job_id, "jsonl").splitlines()
    rows = [json.loads(line) for line in lines]
    table = pq.read_table(io.BytesIO(_export(door, job_id, "parquet"))).to_pylist()
    counts = Counter(str(row["item_id"]) for row in rows)
    truth = dict(zip(corpus.ids, corpus.truth, strict=True))
    return ExportAudit(
        delivered=len(rows),
        missing=len(truth.keys() - counts.keys()),
        repeated=sum(count - 1 for count in counts.values()),
        strangers=len(counts.keys() - truth.keys()),
        differing=abs(len(rows) - len(table))
        + sum(line["label"] != row["label"] for line, row in zip(rows, table, strict=False)),
        right=sum(truth.get(row["item_id"]) == row["label"] for row in rows),
    )


def audit_answers(book: Book, told: Sequence[Told]) -> AnswerAudit:
    """Compare the log, once nobody answers any more, with what everybody was told."""
    stored = book.answers()
    counts = Counter((answer.position, answer.worker_id) for answer in stored)
    labels = {(answer.position, answer.worker_id): LABELS[answer.label] for answer in stored}
    acknowledged = {_pair(each): each.label for each in told if each.acknowledged}
    doubtful = {_pair(each) for each in told if each.lost}
    refused = {_pair(each) for each in told} - acknowledged.keys() - doubtful
    return AnswerAudit(
        acknowledged=len(acknowledged),
        stored=len(stored),
        lost=len(acknowledged.keys() - labels.keys()),
        changed=_changed(acknowledged, labels),
        twice=sum(count - 1 for count in counts.values()),
        smuggled=len(refused & labels.keys()),
        unheard=len(labels.keys() - acknowledged.keys() - refused),
        uncounted=len(stored) - book.standing().progress.answers,
    )


def _changed(told: Mapping[Pair, str], stored: Mapping[Pair, str]) -> int:
    return sum(stored.get(pair, label) != label for pair, label in told.items())


def _pair(told: Told) -> Pair:
    return told.position, told.worker_id


def _export(door: Door, job_id: str, suffix: str) -> bytes:
    reply = door.get(f"/v1/jobs/{job_id}/export", {"format": suffix})
    if reply.status != 200:
        raise ValueError(f"the export was refused: {reply.content!r}")
    return reply.content

"""Certificates on recorded crowds, whose answers are split at random into labels and audits.

Each item's answers are shuffled: the first ones label it, the next three may audit it. Truth is the
published reference, so what crowd and reference read differently counts against the certificate.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from allocation.quality import dawid_skene
from allocation.quality.audit import Audit, Labels
from allocation.quality.certificate import certify
from allocation.quality.votes import Bools, Codes, Floats, Votes
from benchmarks.figures import Figure, informing
from benchmarks.inference.accuracy import CROWDS as EVERY_CROWD
from benchmarks.inference.recorded import RecordedCrowd, read

AUDITED, AUDITORS, CONFIDENCE = 250, 3, 0.95
LABEL_ANSWERS, SPLITS = (2, 5), 20
SHARED_ERRORS = (0.0, 0.25, 0.5)
CROWDS = tuple(name for name in EVERY_CROWD if name.startswith("truth/"))


def figures(folder: Path, console: Console) -> list[Figure]:
    """Print a table of the crowds below a folder; return how often their certificates were wrong.

    They are read once, at the end of the audit.
    """
    table = Table("crowd", "label answers", "true", title="recorded crowds", title_justify="left")
    for shared in SHARED_ERRORS:
        table.add_column(f"bound, wrong at {shared:g} shared")
    wrong = []
    for crowd in read(folder, CROWDS):
        for label_answers in LABEL_ANSWERS:
            if crowd.votes.answers_per_item().max() <= label_answers:
                continue
            found = list(splits(crowd, label_answers))
            accuracies = np.array([split.accuracy for split in found])
            bounds = np.array([split.bounds for split in found])
            wrong.append(bounds > accuracies[:, None])
            cells = zip(bounds.mean(axis=0), wrong[-1].mean(axis=0), strict=True)
            table.add_row(
                crowd.name,
                str(label_answers),
                f"{accuracies.mean():.3f}",
                *(f"{bound:.3f}, {100 * share:.0f} %" for bound, share in cells),
            )
    console.print(table)
    shares = np.concatenate(wrong).mean(axis=0)
    return [
        informing(f"recorded crowds: wrong, {allowed:g} shared errors allowed", share, "share")
        for allowed, share in zip(SHARED_ERRORS, shares, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One split of a recorded crowd: the true accuracy and the bound, by shared errors allowed."""

    accuracy: float
    bounds: tuple[float, ...]


def splits(crowd: RecordedCrowd, label_answers: int) -> Iterator[Split]:
    """Yield random splits, over the items that have a reference and answers enough."""
    reference = crowd.truth.codes
    kept = (crowd.votes.answers_per_item() > label_answers) & (reference >= 0)
    for seed in range(SPLITS):
        rng = np.random.default_rng(seed)
        votes, turn = _shuffled(rng, crowd.votes)
        labelling = _part(votes, kept[votes.items] & (turn < label_answers))
        fit = dawid_skene.fit(labelling, prior="pooled")
        codes = fit.posterior.argmax(axis=1)
        items = np.flatnonzero(kept)
        audit = _audit(rng, votes, turn - label_answers, fit.posterior, items)
        counts = dawid_skene.expected_counts(labelling, fit.posterior)
        yield Split(
            accuracy=float((codes[items] == reference[items]).mean()),
            bounds=tuple(
                certify(
                    audit, counts, confidence=CONFIDENCE, shared_errors=shared
                ).overall.accuracy_lower
                for shared in SHARED_ERRORS
            ),
        )


def _audit(
    rng: np.random.Generator, votes: Votes, turn: Codes, posterior: Floats, items: Codes
) -> Audit:
    """Return the audit of a random sample of the items, by the answers whose turn is its."""
    sample = rng.permutation(len(items))[:AUDITED]
    row = np.full(votes.n_items, -1, dtype=np.int64)
    row[items[sample]] = np.arange(len(sample))
    asked = (row[votes.items] >= 0) & (turn >= 0) & (turn < AUDITORS)
    part = _part(votes, asked)
    labels = Labels(
        codes=posterior[items].argmax(axis=1),
        auto=np.zeros(len(items), dtype=np.bool_),
        believed=posterior[items].max(axis=1),
    )
    return Audit(
        labels=labels,
        positions=sample,
        votes=Votes.of(
            row[part.items],
            part.workers,
            part.labels,
            n_items=len(sample),
            n_workers=votes.n_workers,
            n_labels=votes.n_labels,
        ),
        planned=len(sample),
    )


def _shuffled(rng: np.random.Generator, votes: Votes) -> tuple[Votes, Codes]:
    """Return the votes item by item in random order, and each one's place within its item."""
    order = rng.permutation(len(votes))
    order = order[np.argsort(votes.items[order], kind="stable")]
    counts = votes.answers_per_item()
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return _part(votes, order), np.arange(len(votes)) - first


def _part(votes: Votes, kept: Codes | Bools) -> Votes:
    return Votes.of(
        votes.items[kept],
        votes.workers[kept],
        votes.labels[kept],
        n_items=votes.n_items,
        n_workers=votes.n_workers,
        n_labels=votes.n_labels,
    )

"""Recorded crowds: who said what of which item, and what is right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from allocation.quality.votes import Votes
from serve_apps.answer_tables import TruthTable, read_answers, read_truth


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RecordedCrowd:
    """Who said what of which item, and what is right."""

    name: str
    votes: Votes
    truth: TruthTable


def read(folder: Path, crowds: Sequence[str]) -> Iterable[RecordedCrowd]:
    """Yield crowds below a folder, by their paths in it."""
    for name in crowds:
        table = read_answers(folder / name)
        truth = read_truth(folder / name, table)
        yield RecordedCrowd(name=Path(name).name, votes=table.votes, truth=truth)

"""Label sets, and what the service finally says about an item."""

from dataclasses import dataclass
from typing import Literal

from cluster.domain.ids import ItemId, Position

LABELS_MAX = 1_000
LABEL_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class Label:
    """One class: its name, and a description that zero-shot models and workers read."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The classes of a job in a fixed order; a label's code is its index."""

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        names = [label.name for label in self.labels]
        if not 2 <= len(names) <= LABELS_MAX:
            raise ValueError(f"a label set has 2 to {LABELS_MAX} labels, not {len(names)}")
        if len(set(names)) != len(names):
            raise ValueError("label names must be unique")
        if any(not name or len(name) > LABEL_CHARS_MAX for name in names):
            raise ValueError(f"a label name has 1 to {LABEL_CHARS_MAX} characters")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Label names in code order."""
        return tuple(label.name for label in self.labels)

    def code(self, name: str) -> int | None:
        """Return the code of a label name, or None where the set has no such label."""
        for code, label in enumerate(self.labels):
            if label.name == name:
                return code
        return None


DecidedBy = Literal["model", "crowd", "model+crowd"]
"""Which witnesses stand behind a final label."""

Difficulty = Literal["simple", "medium", "hard"]
"""How probably an average worker is wrong about an item: below 15 %, from 20 % on, or between."""

DIFFICULTIES: tuple[Difficulty, ...] = ("simple", "medium", "hard")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalLabel:
    """A delivered label and why it is believed; `probability` is the fused posterior in [0, 1]."""

    position: Position
    item_id: ItemId
    label: int
    probability: float
    decided_by: DecidedBy
    answers: int
    model_version: int
    audited: bool

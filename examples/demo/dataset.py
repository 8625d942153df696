"""What the demo asks to have labelled: items, label set and the gold the service never sees."""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.domain.items import Modality
from cluster.domain.labels import LabelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoItem:
    """One item and its true label, if anybody knows it.

    `also` names a second label that a reasonable person might have given.
    """

    item_id: str
    content: str | bytes
    gold: str | None
    also: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoDataset:
    """A job's worth of items; `base_model` names the encoder that is to pre-label them."""

    name: str
    title: str
    modality: Modality
    label_set: LabelSet
    items: tuple[DemoItem, ...]
    instructions: str
    base_model: str

    @property
    def gold(self) -> Mapping[str, str]:
        """The true label of each item whose true label is known, by item id."""
        return {item.item_id: item.gold for item in self.items if item.gold is not None}

    @property
    def gold_codes(self) -> tuple[int, ...]:
        """The code of each item's true label, -1 where unknown, in item order."""
        codes = {name: code for code, name in enumerate(self.label_set.names)}
        return tuple(-1 if item.gold is None else codes[item.gold] for item in self.items)

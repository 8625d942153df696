"""Generated short texts whose right label the benchmark knows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

AMBIGUOUS_SHARE = 0.3
"""Texts that speak of two things at once, so that no model can settle them alone."""

_TOPICS = {
    "delivery": ("the parcel", "my shipment", "the courier", "the tracking page", "the box"),
    "payment": ("the invoice", "my refund", "the card charge", "the receipt", "the discount"),
    "account": ("my password", "the login", "my profile", "the sign-up mail", "my user name"),
}
_DESCRIPTIONS = {
    "delivery": "shipping, parcels and couriers",
    "payment": "invoices, refunds and charges",
    "account": "passwords, logins and profiles",
}
_HAPPENINGS = (
    "never arrived", "is wrong again", "has been lost", "looks broken", "came twice",
    "was changed without asking", "is still missing", "does not match what I was told",
)  # fmt: skip
_WISHES = (
    "please help", "what can I do", "this is urgent", "I have waited for days", "thanks in advance",
    "nobody answers the phone", "it worked last week",
)  # fmt: skip

LABELS = tuple(_TOPICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Texts with their ids and right labels, as parallel sequences; no two texts are alike."""

    ids: Sequence[str]
    texts: Sequence[str]
    truth: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def labels(self) -> list[dict[str, str]]:
        """The label set as a submit names it."""
        return [{"name": name, "description": _DESCRIPTIONS[name]} for name in LABELS]

    @property
    def items(self) -> list[dict[str, str]]:
        """The items as a submit holds them inline."""
        pairs = zip(self.ids, self.texts, strict=True)
        return [{"id": item_id, "text": text} for item_id, text in pairs]


def generate(items: int, seed: int) -> Corpus:
    """Return a corpus that depends on nothing but its size and seed."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(len(LABELS), size=items).tolist()
    texts = [_text(number, LABELS[code], rng) for number, code in enumerate(codes)]
    return Corpus(
        ids=[f"item-{number:06d}" for number in range(items)],
        texts=texts,
        truth=[LABELS[code] for code in codes],
    )


def _text(number: int, label: str, rng: np.random.Generator) -> str:
    subjects = [str(rng.choice(_TOPICS[label]))]
    if rng.random() < AMBIGUOUS_SHARE:
        other = LABELS[(LABELS.index(label) + int(rng.integers(1, len(LABELS)))) % len(LABELS)]
        subjects.append(str(rng.choice(_TOPICS[other])))
        rng.shuffle(subjects)
    subject = " and ".join(subjects)
    return f"Case {number}: {subject} {rng.choice(_HAPPENINGS)}, {rng.choice(_WISHES)}."

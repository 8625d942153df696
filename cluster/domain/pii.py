"""Personal data in items: what of it a job has masked, and who may see what was there."""

from dataclasses import dataclass
from typing import Literal

PiiKind = Literal[
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "CRYPTO",
    "US_SSN",
    "PERSON",
    "LOCATION",
]
"""What can be masked, by Presidio's names."""

NAMED: frozenset[PiiKind] = frozenset({"PERSON", "LOCATION"})
"""What only a model of a language recognises; all else has a form, most of it a checksum."""

Clearance = Literal["pii"]
"""What an API key may be cleared for, beside its role: here to see what was masked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PiiTerms:
    """What of a job's texts is masked before anything is stored or shown of them.

    Whatever a recogniser is sure of by at least `score_min` is. With `unmask_for_cleared` the
    originals are kept sealed, and shown to workers with a key of the job's tenant that is cleared;
    without it nothing of them is kept.
    """

    mask: tuple[PiiKind, ...]
    score_min: float = 0.4
    unmask_for_cleared: bool = False

    def __post_init__(self) -> None:
        if not self.mask:
            raise ValueError("pii.mask must name at least one kind")
        if not 0.0 <= self.score_min <= 1.0:
            raise ValueError("pii.score_min must lie in [0, 1]")

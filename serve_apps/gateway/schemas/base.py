"""What every wire model shares: strictness, bounded strings, times, problems and pages."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from cluster.domain.ids import UnixSeconds

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
"""A name for people: 1 to 200 characters, none of them a control character."""

Prose = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]
"""Free text of at most 10,000 characters."""

Token = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
"""An opaque token; whether it is genuine is judged one by one, not here."""


class Incoming(BaseModel):
    """A request: unknown fields and wrong types are refused, NaN and infinities too."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Outgoing(BaseModel):
    """A response; read from domain values by attribute, tolerant of newer servers in clients."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


def utc(seconds: UnixSeconds) -> datetime:
    """Return a time as the wire shows it: RFC 3339, UTC."""
    return datetime.fromtimestamp(seconds, UTC)


class FieldError(Outgoing):
    """One thing wrong with a request, and where.

    `pointer` is a JSON pointer into the body (RFC 6901, as a URI fragment); `parameter` names a
    path, query or header parameter instead.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(Outgoing):
    """Why a request failed: a problem document of RFC 9457 with two extension members."""

    type: str = Field(examples=["urn:muster:problem:job-not-found"])
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: tuple[FieldError, ...] = ()
    retry_after_s: float | None = None

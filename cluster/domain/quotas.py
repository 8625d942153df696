"""How much of the service a tenant may have, and has."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """What a tenant may have at a time.

    Jobs that have not ended, items and bytes of uploads that are stored. As an exception made for
    a tenant, None stands for what everybody has.
    """

    jobs_unfinished_max: int | None = None
    items_max: int | None = None
    upload_bytes_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a tenant has; items of jobs that have expired do not count."""

    jobs_unfinished: int
    items: int
    upload_bytes: int

"""Quotas on the wire."""

from typing import Annotated

from pydantic import Field

from serve_apps.gateway.schemas.base import Incoming, Outgoing
from serve_apps.gateway.schemas.job_request import INT_MAX

Limit = Annotated[int, Field(ge=0, le=INT_MAX)]


class Quota(Outgoing):
    """How much of something a tenant may have, and has."""

    limit: int
    used: int


class QuotaView(Outgoing):
    """All quotas of a tenant; `upload_streams_max` is what it may send to one gateway at once."""

    jobs_unfinished: Quota
    items: Quota
    upload_bytes: Quota
    webhooks: Quota
    upload_streams_max: int


class QuotaRequest(Incoming):
    """How a tenant's quotas shall differ from everybody's; one that is missing does not."""

    jobs_unfinished_max: Limit | None = None
    items_max: Limit | None = None
    upload_bytes_max: Limit | None = None

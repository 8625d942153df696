"""Who asks for a change, as the audit log tells of it."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel

from cluster.domain.access import Caller
from cluster.domain.audit import NO_DETAILS, Act
from cluster.domain.ids import TenantId, UnixSeconds
from serve_apps.gateway.access import Authenticated, Wired


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A caller within one request."""

    caller: Caller
    request_id: str
    at: UnixSeconds

    @property
    def tenant_id(self) -> TenantId:
        """Whose tenant the caller's key is."""
        return self.caller.tenant_id

    def act(self, action: str, subject: str, asked: BaseModel | None = None) -> Act:
        """Return what is done by this request, to be recorded with it."""
        return Act(
            at=self.at,
            tenant_id=self.caller.tenant_id,
            actor=self.caller.key_id,
            action=action,
            subject=subject,
            request_id=self.request_id,
            details_sha256=NO_DETAILS if asked is None else details_of(asked),
        )


def details_of(asked: BaseModel) -> bytes:
    """Return the SHA-256 of a request as JSON, keys sorted, no spaces, defaults spelled out."""
    fields = asked.model_dump(mode="json")
    return sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).digest()


async def actor_of(request: Request, caller: Authenticated, services: Wired) -> Actor:
    """Return who sent a request, under the id that its answer and its log lines have."""
    return Actor(
        caller=caller,
        request_id=request.state.request_id,
        at=services.clock.now(),
    )


Acting = Annotated[Actor, Depends(actor_of)]
"""Who asks for a change, as a route parameter."""

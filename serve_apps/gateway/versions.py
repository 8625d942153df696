"""Which version answers an online request: resolved once, before anything else is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from cluster.domain.access import Caller
from cluster.domain.ids import ModelName
from cluster.domain.lines import Stage
from cluster.domain.models import ModelRecord, ModelSpec
from cluster.errors import ModelNotFound
from cluster.ports import Stores
from serve_apps.gateway.schemas.models import full_name
from serve_apps.prelabel.model import Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The live version of a line and the one on trial, as they were when a request came."""

    live: ModelSpec
    candidate: ModelSpec | None = None
    stage: Stage = Stage.LIVE


def live_version(name: str, caller: Caller, stores: Stores) -> ModelRecord:
    """Return the live version of a tenant's model line; raises ModelNotFound."""
    try:
        return stores.models.live(full_name(caller.tenant_id, name))
    except ModelNotFound as error:
        raise ModelNotFound(ModelName(name)) from error


def resolved(name: str, caller: Caller, stores: Stores) -> Resolved:
    """Return the versions of a tenant's model line that may answer now; raises ModelNotFound."""
    line = full_name(caller.tenant_id, name)
    try:
        standing = stores.lines.standing(line)
    except ModelNotFound as error:
        raise ModelNotFound(ModelName(name)) from error
    live = stores.models.get(line, standing.live).spec
    if standing.candidate is None:
        return Resolved(live=live)
    candidate = stores.models.get(line, standing.candidate).spec
    return Resolved(live=live, candidate=candidate, stage=standing.stage)


def share_of(contents: Sequence[Content], candidate: ModelSpec) -> float:
    """Return where a request lies in [0, 1): the same request always at the same place.

    So it gets the same version again while a candidate is on trial; another candidate is tried on
    other requests.
    """
    digest = blake2b(f"{candidate.name} {candidate.version}".encode(), digest_size=8)
    for content in contents:
        written = content.encode() if isinstance(content, str) else content
        digest.update(len(written).to_bytes(8, "big") + written)
    return int.from_bytes(digest.digest(), "big") / 2.0**64

"""What was masked in offered items, for workers who are cleared to see it."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from allocation.ports import Offer
from cluster.domain.access import Caller
from cluster.domain.ids import JobId, Position, WorkerId
from cluster.domain.items import Chunk
from cluster.domain.jobs import Job
from cluster.domain.masking import Originals
from cluster.errors import ObjectMissing
from cluster.tenant_errors import SecretUnreadable
from serve_apps.gateway.acting import Actor
from serve_apps.gateway.services import Services

_log = logging.getLogger(__name__)

Places = Mapping[tuple[JobId, Position], Originals]
"""What was masked at places of jobs."""


class Unmasking(BaseModel):
    """What an entry of the audit log stands for: who was shown what was masked at which places."""

    worker_id: str
    job_id: str
    positions: tuple[int, ...]


def originals_of(
    offers: Sequence[Offer],
    jobs: Mapping[JobId, Job],
    worker_id: WorkerId,
    actor: Actor,
    services: Services,
) -> Places:
    """Return what was masked in those of a worker's offers whose jobs let the caller see it.

    Each job is an act of its own, recorded before anything is returned of it: what cannot be
    recorded is not shown. Of chunks whose originals cannot be opened placeholders stay.
    """
    found: dict[tuple[JobId, Position], Originals] = {}
    for job in jobs.values():
        if not _may_see(actor.caller, job):
            continue
        mine = [offer for offer in offers if offer.job_id == job.job_id]
        here = _opened(job, [offer.position for offer in mine], services)
        if here:
            shown = Unmasking(worker_id=worker_id, job_id=job.job_id, positions=tuple(sorted(here)))
            services.stores.audit.append(actor.act("item.unmask", job.job_id, shown))
            found |= {(job.job_id, position): originals for position, originals in here.items()}
    return found


def _may_see(caller: Caller, job: Job) -> bool:
    pii = job.spec.pii
    is_own = caller.tenant_id == job.tenant_id
    return pii is not None and pii.unmask_for_cleared and is_own and "pii" in caller.clearances


def _opened(
    job: Job, positions: Sequence[Position], services: Services
) -> Mapping[Position, Originals]:
    by_chunk = defaultdict[Chunk, list[Position]](list)
    for position in positions:
        by_chunk[services.items.chunk_of(job.job_id, position)].append(position)
    found: dict[Position, Originals] = {}
    for chunk, places in by_chunk.items():
        try:
            found |= services.stores.vault.get(job.tenant_id, chunk, places)
        except (ObjectMissing, SecretUnreadable) as error:
            # Its placeholders can be worked on; nobody's claim ends for it, of whatever job.
            _log.warning("originals of chunk %d of %s: %s", chunk.number, job.job_id, error)
    return found

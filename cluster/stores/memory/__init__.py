"""Every store in this process's memory: for unit tests, simulation and trying things out.

They keep every promise of `cluster.ports` but one: nothing outlives the process.
"""

from cluster.ports import ObjectStore, Stores
from cluster.stores.memory.audit import MemoryAudit
from cluster.stores.memory.jobs import MemoryEvents, MemoryJobs
from cluster.stores.memory.ledger import MemoryChunks, MemoryResults
from cluster.stores.memory.models import MemoryModels, MemoryTraffic
from cluster.stores.memory.people import MemoryKeys, MemoryWorkers
from cluster.stores.memory.tenants import MemoryQuotas, MemoryRetention
from cluster.stores.memory.uploads import MemoryUploads
from cluster.stores.memory.webhooks import MemoryWebhooks
from cluster.stores.memory.work import MemoryAnswers, MemoryPartitions
from cluster.stores.sealing import Envelope, Seals
from cluster.stores.vault import SealedVault


def memory_stores(objects: ObjectStore) -> Stores:
    """Return empty stores around an object store; safe to use from many threads."""
    audit, events = MemoryAudit(), MemoryEvents()
    jobs = MemoryJobs(events, audit)
    webhooks = MemoryWebhooks(audit)
    models = MemoryModels(events, audit)
    partitions = MemoryPartitions(jobs)
    chunks, results, uploads = MemoryChunks(), MemoryResults(), MemoryUploads(audit)
    return Stores(
        jobs=jobs,
        events=events,
        chunks=chunks,
        partitions=partitions,
        answers=MemoryAnswers(partitions),
        workers=MemoryWorkers(audit),
        models=models,
        lines=models,
        traffic=MemoryTraffic(),
        results=results,
        keys=MemoryKeys(audit),
        uploads=uploads,
        quotas=MemoryQuotas(jobs, uploads, audit),
        retention=MemoryRetention(jobs, chunks, results, uploads),
        webhooks=webhooks,
        deliveries=webhooks,
        audit=audit,
        vault=SealedVault(objects, Seals([Envelope.new_key()])),
        objects=objects,
    )

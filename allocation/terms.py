"""The rules of a shard, and what it keeps of each job's terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from cluster.domain.ids import JobId
from cluster.domain.jobs import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for every job on a shard.

    A worker holds at most `leases_per_worker_max` leases of one shard. An item has one label
    lease out at a time, but `parallel_leases_max` while nobody has answered it and its expected
    error is at least `parallel_error_min`: then the second answer will be wanted even if the
    first one agrees with the prior. Heartbeats keep a lease for at most `lease_terms_max` of its
    terms, so that nobody can sit on an item. `shortlist_pool_items` and `shortlist_window` bound
    the work of a claim (`allocation.shortlist`); many labels make the window smaller.
    """

    leases_per_worker_max: int = 100
    parallel_leases_max: int = 2
    parallel_error_min: float = 0.25
    lease_terms_max: int = 10
    shortlist_pool_items: int = 16_384
    shortlist_window: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a partition keeps of its job; `codes` gives a label's code by name."""

    codes: Mapping[str, int]
    required_skills: frozenset[str]
    audit_skills: frozenset[str]
    answers_per_item_max: int
    audit_answers_max: int
    lease_ttl_s: float
    weight: float
    seed: int

    @classmethod
    def of(cls, job_id: JobId, spec: JobSpec) -> "Terms":
        """Return the terms of a job; its seed is drawn from the job's id and its own seed."""
        crowd = spec.crowd
        digest = blake2b(f"{job_id}/{spec.seed}".encode(), digest_size=8).digest()
        return cls(
            codes={name: code for code, name in enumerate(spec.label_set.names)},
            required_skills=crowd.required_skills,
            audit_skills=crowd.audit_skills,
            answers_per_item_max=crowd.answers_per_item_max,
            audit_answers_max=crowd.audit_answers_max,
            lease_ttl_s=crowd.lease_ttl_s,
            weight=spec.weight,
            seed=int.from_bytes(digest, "big"),
        )

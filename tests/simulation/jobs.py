"""Jobs of all sorts, small enough that every question they can ask is soon asked."""

import numpy as np

from cluster.domain.ids import JobId, ModelName, TenantId
from cluster.domain.jobs import Budget, CrowdTerms, Job, JobSpec, Source
from cluster.domain.labels import Label, LabelSet
from tests.simulation.crowd import SKILL

LEASE_TTL_S = 30.0


TIGHT = 0.4
"""The share of jobs whose answers are few, and of those whose money is."""


def draw_job(number: int, items: int, rng: np.random.Generator) -> Job:
    """Return a job whose labels, skills, audits, weight and budget are drawn at random."""
    names = ("yes", "no", "maybe")[: int(rng.integers(2, 4))]
    crowd = CrowdTerms(
        required_skills=frozenset({SKILL}) if rng.random() < 0.3 else frozenset(),
        answers_per_item_max=int(rng.integers(1, 5)),
        audit_share=float(rng.choice([0.0, 0.2, 1.0])),
        audit_answers_max=int(rng.integers(1, 4)),
        lease_ttl_s=LEASE_TTL_S,
    )
    spec = JobSpec(
        name=f"job {number}",
        modality="text",
        label_set=LabelSet(tuple(Label(name) for name in names)),
        source=Source(uri="upload://x", format="jsonl"),
        crowd=crowd,
        budget=Budget(
            answers_max=int(rng.integers(0, 3 * items)) if rng.random() < TIGHT else None,
            cost_max=float(rng.uniform(0.0, 0.06 * items)) if rng.random() < TIGHT else None,
        ),
        weight=float(rng.choice([0.5, 1.0, 3.0])),
        seed=int(rng.integers(2**31)),
    )
    return Job(
        job_id=JobId(f"job-{number}"),
        tenant_id=TenantId("tenant"),
        spec=spec,
        model_name=ModelName("model"),
        created_at=float(number),
        updated_at=0.0,
    )

"""A made-up but plausible demo run, for tests of what is drawn from one."""

from datetime import UTC, datetime

import numpy as np

from cluster.domain.items import Modality
from examples.demo.crowd import Persona, staff
from examples.demo.measure import pace, reliability, stage_spans
from examples.demo.run_data import (
    CertifiedPart,
    DemoRun,
    FixedRedundancy,
    JobRun,
    Part,
    RunEvent,
    Sample,
    WorkerRun,
)

START_S = 21.0


def synthetic_run() -> DemoRun:
    """Return a run of two jobs and the demo's own crowd."""
    rng = np.random.default_rng(5)
    workers = tuple(
        WorkerRun(
            name=traits.name,
            persona=traits.persona,
            answers=0 if traits.persona is Persona.VANISHING else int(rng.integers(40, 300)),
            cost=float(rng.integers(2, 12)),
            accuracy=None if traits.persona is Persona.VANISHING else max(traits.accuracy, 0.1),
            estimated=None
            if traits.persona is Persona.VANISHING
            else float(np.clip(max(traits.accuracy, 0.1) + rng.normal(0, 0.03), 0, 1)),
        )
        for traits in staff()
    )
    return DemoRun(
        title="Muster demo",
        input_note="Real handwritten digits, and tickets written for the demo.",
        crowd_note="The crowd is simulated: good, sloppy & biased workers, spammers <and> others.",
        started_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        version="0.0.0",
        seed=5,
        cpus=2,
        startup_s=14.0,
        wall_s=171.0,
        jobs=(
            _job("Handwritten digits", "image", items=1797, start=0.62, per_item=1.42, rng=rng),
            _job("Support tickets", "text", items=480, start=0.53, per_item=2.61, rng=rng),
        ),
        workers=workers,
    )


def _job(
    title: str,
    modality: Modality,
    *,
    items: int,
    start: float,
    per_item: float,
    rng: np.random.Generator,
) -> JobRun:
    bought = round(items * per_item)
    samples = _samples(items, bought, start)
    said = 1 - 0.6 * rng.beta(0.5, 5, items)
    right = rng.random(items) < said * 0.985
    states = [
        (START_S - 1.5, "ingesting"), (START_S, "prelabelling"), (START_S + 6, "asking"),
        (START_S + 40, "learning"), (START_S + 47, "prelabelling"), (START_S + 50, "asking"),
        (START_S + 88, "learning"), (START_S + 95, "prelabelling"), (START_S + 98, "asking"),
        (START_S + 121, "exporting"), (START_S + 122, "completed"),
    ]  # fmt: skip
    return JobRun(
        name=title.lower().replace(" ", "-"),
        title=title,
        tenant="acme-images" if modality == "image" else "brightdesk-support",
        modality=modality,
        labels=tuple(f"class {number}" for number in range(10)),
        state="completed",
        items=items,
        goal_accuracy=0.95,
        confidence=0.95,
        overall=Part(items=items, accuracy=0.962),
        auto=Part(items=items // 3, accuracy=0.981),
        crowd=Part(items=items - items // 3, accuracy=0.953),
        asked=items - items // 3,
        label_answers=bought - 120,
        audit_answers=120,
        cost=bought * 0.04,
        trainings=3,
        promotions=2,
        model_version=2,
        certificate=(
            CertifiedPart(name="auto", items=items // 3, audited=30, estimate=0.97, lower=0.89),
            CertifiedPart(
                name="crowd", items=items - items // 3, audited=60, estimate=0.95, lower=0.90
            ),
            CertifiedPart(name="overall", items=items, audited=90, estimate=0.957, lower=0.921),
        ),
        fixed=(
            FixedRedundancy(redundancy=3, answers=3 * items, cost=items * 0.12, accuracy=0.902),
            FixedRedundancy(redundancy=5, answers=5 * items, cost=items * 0.2, accuracy=0.957),
        ),
        fixed_by="Fixed redundancy is simulated with the same workers.",
        reliability=reliability(said.tolist(), right.tolist()),
        samples=samples,
        pace=pace([sample.at_s for sample in samples for _ in range(bought // len(samples))]),
        spans=stage_spans(states, items, bought),
        events=tuple(
            RunEvent(at_s=at_s, kind="state", message=f"the job is {state}")
            for at_s, state in states
        ),
    )


def _samples(items: int, bought: int, start: float) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            at_s=START_S + 120 * moment,
            answers=round(bought * moment),
            final=round(items * moment**2),
            promotions=int(moment > 0.2) + int(moment > 0.55),
            accuracy=start + (0.962 - start) * float(1 - np.exp(-4.5 * moment)),
            expected_accuracy=start - 0.1 + (1.05 - start) * float(1 - np.exp(-3.8 * moment)),
        )
        for moment in np.linspace(0.0, 1.0, 60).tolist()
    )

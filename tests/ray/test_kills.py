"""A whole service whose every part is killed while it works on one job."""

import pytest
from rich.console import Console

from benchmarks.chaos.audit import AnswerAudit, ExportAudit
from benchmarks.chaos.crowd import Crew
from benchmarks.chaos.service import MusterUp
from benchmarks.kills import Plan, blows, run

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

ITEMS = 240

SETTINGS = {
    "MUSTER_LEARNING__TRAININGS_MAX": "0",
    "MUSTER_ALLOCATOR__PARTITION_ITEMS_MAX": str(ITEMS // 8),
    "MUSTER_INGEST__CHUNK_ROWS": "16",
}

PLAN = Plan(
    items=ITEMS,
    blows=blows(),
    base_model="fake:20",
    lease_ttl_s=20.0,
    crew=Crew(claim_items=4, think_s=0.3),
    seed=20,
)
"""Twenty milliseconds an item, so that the replica dies over chunks and not between them."""


def test_a_job_survives_the_kill_of_every_part(service: MusterUp) -> None:
    # Given a service with a job and a crowd, when each part is killed once while it is at work
    outcome = run(PLAN, service, Console(stderr=True))
    # Then all of them came back
    assert [hit.blow for hit in outcome.hits] == list(PLAN.blows)
    # And the many submits under one key are one job, and something else under it is refused
    submitted = outcome.submitted
    assert (submitted.jobs, submitted.created, submitted.mismatch) == (1, 1, True)
    # And each item is delivered once, with the same label in both files
    export = outcome.export
    assert export == ExportAudit(
        delivered=ITEMS, missing=0, repeated=0, strangers=0, differing=0, right=export.right
    )
    assert export.right / ITEMS > 0.9
    # And every acknowledged answer is stored once and counted, and none that was refused
    answers = outcome.answers
    assert answers.acknowledged > ITEMS
    assert answers == AnswerAudit(
        acknowledged=answers.acknowledged,
        stored=answers.acknowledged + answers.unheard,
        lost=0,
        changed=0,
        twice=0,
        smuggled=0,
        unheard=answers.unheard,
        uncounted=0,
    )
    # And what was leased before the shard died could not be answered after it
    (shard,) = [hit for hit in outcome.hits if hit.blow.part == "shard"]
    assert shard.refused == shard.held > 0

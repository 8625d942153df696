"""A service that runs one job at a time: who asks gives way, and loses nothing by it."""

import pytest

from benchmarks.chaos.audit import audit_answers, audit_export
from benchmarks.chaos.service import MusterUp
from cluster.domain.jobs import JobState
from serve_apps.gateway.schemas.jobs import JobView
from tests.ray.test_service import ITEMS, Site, crowd_of, has_ended, site, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SETTINGS = {
    "MUSTER_RUNNER__JOBS_MAX": "1",
    "MUSTER_RUNNER__SPELL_S": "10",
    "MUSTER_LEARNING__ENABLED": "false",
    "MUSTER_ASKING__DELIVERY_ROWS_MIN": "1",
}


def submit_without_crowd(here: Site) -> str:
    body = {
        "name": "by the model alone",
        "modality": "text",
        "labels": ["a", "b"],
        "items": [{"id": f"t{number}", "text": f"text {number}"} for number in range(20)],
        "base_model": "fake",
        "budget": {"answers_max": 0},
    }
    return JobView.model_validate_json(here.client.post("/v1/jobs", body).content).id


def test_a_job_that_asks_gives_way_and_has_its_turn_again(service: MusterUp) -> None:
    # Given a job that has the only runner, and is being answered
    with site(service, 1) as here, crowd_of(here, think_s=6.0) as crowd:
        wait_until(here, crowd, lambda standing: standing.progress.answers > 0)
        # When a job waits that needs no crowd
        other = submit_without_crowd(here)

        def other_is_done(_: object) -> bool:
            reply = here.client.get(f"/v1/jobs/{other}")
            return JobView.model_validate_json(reply.content).state is JobState.COMPLETED

        meanwhile = wait_until(here, crowd, other_is_done)
        # Then it is done before the first, which has its turn again and ends as if undisturbed
        assert not meanwhile.state.is_terminal
        ended = wait_until(here, crowd, has_ended)
        assert ended.state is JobState.COMPLETED, ended.failure
        export = audit_export(here.client, here.job_id, here.corpus)
        assert (export.delivered, export.missing, export.repeated) == (ITEMS, 0, 0)
        answers = audit_answers(here.book, crowd.told)
        assert (answers.lost, answers.changed, answers.twice) == (0, 0, 0)
        assert (answers.smuggled, answers.uncounted) == (0, 0)

"""Pausing, resuming and amending jobs over HTTP."""

from dataclasses import replace

import pytest

from cluster.domain.jobs import Budget, JobState, Progress
from tests.unit.gateway.world import World, problem


def kinds(world: World, job_id: str) -> list[str]:
    events = world.get(f"/v1/jobs/{job_id}/events").json()["events"]
    return [event["kind"] for event in events]


def test_a_job_is_paused_and_resumed_and_its_history_says_so(world: World) -> None:
    job = world.moved(world.submitted(), JobState.ASKING)
    for _ in range(2):  # asking again changes nothing
        paused = world.post(f"/v1/jobs/{job.job_id}/pause", None)
        assert (paused.status_code, paused.json()["paused"]) == (202, True)
    assert paused.json()["state"] == "asking"
    resumed = world.post(f"/v1/jobs/{job.job_id}/resume", None)
    assert (resumed.status_code, resumed.json()["paused"]) == (202, False)
    assert kinds(world, job.job_id) == ["submitted", "paused", "resumed"]
    assert world.stores.jobs.load(job.job_id).revision == job.revision + 2


@pytest.mark.parametrize("wish", ["pause", "resume"])
def test_a_job_that_has_ended_takes_no_wish(world: World, wish: str) -> None:
    job = world.moved(world.submitted(), JobState.COMPLETED)
    problem(world.post(f"/v1/jobs/{job.job_id}/{wish}", None), 409, "job-finished")
    amended = world.call("PATCH", f"/v1/jobs/{job.job_id}", "client", json={"weight": 2.0})
    problem(amended, 409, "job-finished")
    assert kinds(world, job.job_id) == ["submitted"]


def test_what_a_change_does_not_name_stays(world: World) -> None:
    # Given a job with a weight and two limits
    budget = {"answers_max": 100, "deadline_s": 60.0}
    job = world.submitted(weight=3.0, budget=budget)
    # When one limit is changed, one is taken off and one is set
    change = {"budget": {"answers_max": 50, "deadline_s": None, "cost_max": 9.5}}
    shown = world.call("PATCH", f"/v1/jobs/{job.job_id}", "client", json=change)
    # Then the weight stays, and the job shows what it runs by
    assert shown.status_code == 200, shown.text
    assert shown.json()["weight"] == 3.0
    assert shown.json()["budget"] == {"answers_max": 50, "cost_max": 9.5, "deadline_s": None}
    stored = world.stores.jobs.load(job.job_id)
    assert stored.agreed.budget == Budget(answers_max=50, cost_max=9.5)
    assert stored.spec == job.spec
    # And when the weight is changed after that, the limits stay
    again = world.call("PATCH", f"/v1/jobs/{job.job_id}", "client", json={"weight": 0.5})
    assert (again.json()["weight"], again.json()["budget"]["answers_max"]) == (0.5, 50)
    assert kinds(world, job.job_id) == ["submitted", "amended", "amended"]


def test_a_change_is_made_only_to_what_was_seen(world: World) -> None:
    # Given a job that has moved on since it was read
    job = world.submitted()
    url = f"/v1/jobs/{job.job_id}"
    seen = world.get(url).headers["etag"]
    world.moved(job, JobState.INGESTING)
    # When it is changed under the old tag
    refused = world.call("PATCH", url, "client", json={"weight": 2.0}, headers={"If-Match": seen})
    # Then nothing is changed
    assert '"1"' in problem(refused, 412, "precondition-failed").detail
    assert world.stores.jobs.load(job.job_id).amendment is None
    # And under the new one, among others, it is, and tells the next
    headers = {"If-Match": '"99", "1"'}
    changed = world.call("PATCH", url, "client", json={"weight": 2.0}, headers=headers)
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    # A weak tag allows no change
    headers = {"If-Match": 'W/"2"'}
    weak = world.call("PATCH", url, "client", json={"weight": 3.0}, headers=headers)
    problem(weak, 412, "precondition-failed")


def test_a_limit_below_what_is_spent_is_refused(world: World) -> None:
    job = world.moved(world.submitted(), JobState.ASKING)
    world.stores.jobs.save(replace(job, progress=Progress(answers=40)))
    change = {"budget": {"answers_max": 39}}
    refused = world.call("PATCH", f"/v1/jobs/{job.job_id}", "client", json=change)
    found = problem(refused, 422, "invalid-field")
    assert found.errors[0].pointer == "#/budget/answers_max"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"budget": {}},
        {"weight": 0.0},
        {"weight": 1_001.0},
        {"name": "other"},
        {"budget": {"answers_max": -1}},
        {"budget": {"items_max": 1}},
    ],
)
def test_a_change_that_says_nothing_or_nonsense_is_refused(
    world: World, change: dict[str, object]
) -> None:
    job = world.submitted()
    response = world.call("PATCH", f"/v1/jobs/{job.job_id}", "client", json=change)
    assert response.status_code == 422
    assert world.stores.jobs.load(job.job_id) == job


def test_nobody_changes_another_tenants_job(world: World) -> None:
    job = world.submitted()
    url = f"/v1/jobs/{job.job_id}"
    for response in (
        world.post(f"{url}/pause", None, tenant="umbrella"),
        world.post(f"{url}/resume", None, tenant="umbrella"),
        world.call("PATCH", url, "client", "umbrella", json={"weight": 2.0}),
    ):
        problem(response, 404, "job-not-found")
    assert world.stores.jobs.load(job.job_id) == job

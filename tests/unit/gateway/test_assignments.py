"""Push mode: a job's owner has questions leased to many of its workers at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cluster.domain.jobs import Job, JobState
from cluster.ports import Stores
from serve_apps.gateway.schemas.base import Problem
from tests.unit.gateway.test_audit import Unwritable
from tests.unit.gateway.world import LIMITS, TENANT, World, problem, with_stores

TEXTS = [f"animal {number}" for number in range(12)]


def push(
    world: World,
    job: Job,
    counts: Mapping[str, int],
    role: Any = "client",
    tenant: str = TENANT,
    **more: object,
) -> Any:
    seats = [{"worker_id": worker_id, "count": count} for worker_id, count in counts.items()]
    path = f"/v1/jobs/{job.job_id}/assignments"
    return world.post(path, {"workers": seats, **more}, role, tenant)


def leased(response: Any) -> dict[str, list[str]]:
    """Return the tokens that each worker was leased."""
    assert response.status_code == 200, response.text
    return {
        made["worker_id"]: [lease["token"] for lease in made["leases"]]
        for made in response.json()["assignments"]
    }


def held(world: World, worker: str) -> list[dict[str, Any]]:
    response = world.get(f"/v1/workers/{worker}/leases", "worker")
    assert response.status_code == 200, response.text
    offers: list[dict[str, Any]] = response.json()["offers"]
    return offers


def answered(world: World, worker: str, tokens: Sequence[str]) -> list[str]:
    body = {"answers": [{"token": token, "label": "cat"} for token in tokens]}
    response = world.post(f"/v1/workers/{worker}/answers", body, "worker")
    return [result["status"] for result in response.json()["results"]]


def test_workers_find_what_they_were_assigned_and_answer_it_like_a_claim(world: World) -> None:
    # Given a job that asks, and two workers of its tenant
    job = world.asking(TEXTS)
    ann, bob = world.worker("ann", price=0.25), world.worker("bob")

    # When its owner has questions leased to both
    made = leased(push(world, job, {ann: 4, bob: 3}))

    # Then each finds the items of its own leases, no two the same
    assert {who: len(tokens) for who, tokens in made.items()} == {ann: 4, bob: 3}
    seen = {who: held(world, who) for who in (ann, bob)}
    assert {who: [offer["token"] for offer in seen[who]] for who in seen} == made
    texts = [offer["item"]["text"] for who in seen for offer in seen[who]]
    assert len(set(texts)) == 7
    assert {offer["job_id"] for offer in seen[ann]} == {job.job_id}
    # And answers them by its own key, is paid, and holds them no longer
    assert answered(world, ann, made[ann]) == ["accepted"] * 4
    assert answered(world, ann, made[ann]) == ["replayed"] * 4
    assert world.get(f"/v1/workers/{ann}", "worker").json()["totals"]["earned"] == 1.0
    assert held(world, ann) == []


def test_nobody_is_asked_twice_whether_they_claimed_or_were_assigned(world: World) -> None:
    job = world.asking(TEXTS)
    ann = world.worker("ann")

    claimed = world.post(f"/v1/workers/{ann}/claims", {"count": 5}, "worker").json()["offers"]
    made = leased(push(world, job, {ann: LIMITS.claim_max}))[ann]

    assert len(claimed) + len(made) == 12
    items = {offer["item"]["text"] for offer in held(world, ann)}
    assert len(items) == LIMITS.claim_max
    answered(world, ann, [offer["token"] for offer in held(world, ann)])
    assert items.isdisjoint(offer["item"]["text"] for offer in held(world, ann))
    assert leased(push(world, job, {ann: 8}))[ann] == []


def test_a_batch_is_of_this_job_and_keeps_its_rules(world: World) -> None:
    # Given a job for workers with a skill, beside one for everybody
    job = world.asking(TEXTS, crowd={"required_skills": ["birds"]})
    world.asking(TEXTS)
    vet, layman = world.worker("vet", skills=["birds"]), world.worker("layman")

    made = leased(push(world, job, {layman: 3, vet: 3}, wait_price_per_hour=2.0))

    assert {who: len(tokens) for who, tokens in made.items()} == {layman: 0, vet: 3}
    assert {offer["job_id"] for offer in held(world, vet)} == {job.job_id}


def test_a_lease_is_of_no_use_to_whoever_gave_it(world: World) -> None:
    # Given a lease of ann's, whose token the job's owner has seen
    job = world.asking(TEXTS)
    ann, bob = world.worker("ann"), world.worker("bob")
    (token,) = leased(push(world, job, {ann: 1}))[ann]

    # Then nobody answers in her place: neither a client's key nor another worker's does
    body = {"answers": [{"token": token, "label": "cat"}]}
    problem(world.post(f"/v1/workers/{ann}/answers", body, "client"), 403, "wrong-role")
    assert answered(world, bob, [token]) == ["refused"]
    assert answered(world, ann, [token]) == ["accepted"]


def test_another_tenants_jobs_and_workers_cannot_be_used(world: World) -> None:
    # Given a job and a worker of one tenant, and a worker of another
    job = world.asking(TEXTS)
    ann, eve = world.worker("ann"), world.worker("eve", tenant="umbrella")

    # Then a tenant pushes neither another's job nor to another's workers, and nothing is leased
    missing = push(world, job, {eve: 1}, tenant="umbrella")
    problem(missing, 404, "job-not-found")
    refused = push(world, job, {ann: 1, eve: 1})
    assert problem(refused, 404, "worker-not-found").detail == f"there is no worker {eve}"
    problem(push(world, job, {"wrk-0": 1}), 404, "worker-not-found")
    assert held(world, ann) == []
    # But an admin, who sees all workers, may name anybody
    assert len(leased(push(world, job, {eve: 2}, "admin"))[eve]) == 2


def test_whose_leases_they_are_is_nobody_elses_business(world: World) -> None:
    ann = world.worker("ann")
    path = f"/v1/workers/{ann}/leases"
    problem(world.get(path, "worker", "umbrella"), 404, "worker-not-found")
    problem(world.get(path, "client"), 403, "wrong-role")


def test_a_job_that_asks_nothing_leases_nothing_and_one_that_has_ended_is_refused(
    world: World,
) -> None:
    ann = world.worker("ann")
    fresh, held_back, over = world.submitted(), world.asking(TEXTS), world.submitted()
    world.shard.hold(held_back.job_id)
    world.moved(over, JobState.COMPLETED)

    assert leased(push(world, fresh, {ann: 2})) == {ann: []}
    assert leased(push(world, held_back, {ann: 2})) == {ann: []}
    problem(push(world, over, {ann: 2}), 409, "job-finished")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/workers"),
        ({"workers": []}, "#/workers"),
        ({"workers": [{"worker_id": "w", "count": 0}]}, "#/workers/0/count"),
        ({"workers": [{"worker_id": "w", "count": True}]}, "#/workers/0/count"),
        ({"workers": [{"worker_id": "w"}]}, "#/workers/0/count"),
        ({"workers": [{"worker_id": "../w", "count": 1}]}, "#/workers/0/worker_id"),
        ({"workers": [{"worker_id": "w", "count": 1, "room": 2}]}, "#/workers/0/room"),
        (
            {"workers": [{"worker_id": "w", "count": 1}], "wait_price_per_hour": -1.0},
            "#/wait_price_per_hour",
        ),
        ({"workers": [{"worker_id": f"w{n}", "count": 1} for n in range(101)]}, "#/workers"),
    ],
)
def test_what_is_no_assignment_is_refused(world: World, body: object, pointer: str) -> None:
    job = world.submitted()
    response = world.post(f"/v1/jobs/{job.job_id}/assignments", body)
    assert pointer in pointers(problem(response, 422, "invalid-request"))


def test_a_worker_who_is_named_twice_is_refused(world: World) -> None:
    seats = [{"worker_id": "w", "count": 1}] * 2
    response = world.post(f"/v1/jobs/{world.submitted().job_id}/assignments", {"workers": seats})
    assert pointers(problem(response, 422, "invalid-field")) == {"#/workers"}


def test_too_much_at_once_is_refused(world: World, tmp_path: Path) -> None:
    job = world.submitted()
    many = push(world, job, {"w": LIMITS.claim_max + 1})
    assert problem(many, 413, "too-large").detail == "count has 9 questions; the limit is 8"
    # Nor may all together be asked more than a shard can match in a moment
    limits = LIMITS.model_copy(update={"claim_max": 100})
    with World.of(world.stores, tmp_path, limits) as other:
        other.keys.update(world.keys)
        many = push(other, job, {f"w{number}": 100 for number in range(11)})
    told = problem(many, 413, "too-large").detail
    assert told == "workers has 1,100 questions; the limit is 1,000"


def test_what_cannot_be_recorded_is_not_leased(stores: Stores, world: World) -> None:
    job = world.asking(TEXTS)
    ann = world.worker("ann")
    deaf = World.of(with_stores(stores, audit=Unwritable()), world.services.settings.data_dir)
    with deaf as other:
        other.keys.update(world.keys)
        refused = push(other, job, {ann: 2})

    problem(refused, 503, "store-busy")
    assert held(world, ann) == []


def pointers(found: Problem) -> set[str | None]:
    return {error.pointer for error in found.errors}

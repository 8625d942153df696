"""The crowd's door: registering, claiming, answering, giving back, keeping alive."""

from typing import Any

import pytest

from cluster.domain.jobs import JobState
from cluster.ports import Stores
from tests.unit.gateway.world import LIMITS, World, job_body, problem

TEXTS = ("a purring one", "a barking one", "a hooting one", "a hooting dog")
PNG = b"\x89PNG\r\n\x1a\n rest"


@pytest.fixture
def ann(world: World) -> str:
    return world.worker("ann")


def claim(world: World, worker: str, count: int = 1) -> list[dict[str, Any]]:
    response = world.post(f"/v1/workers/{worker}/claims", {"count": count}, "worker")
    assert response.status_code == 200, response.text
    offers: list[dict[str, Any]] = response.json()["offers"]
    return offers


def answer(world: World, worker: str, *answers: tuple[str, str]) -> list[dict[str, Any]]:
    body = {
        "answers": [{"token": token, "label": label, "duration_s": 1.5} for token, label in answers]
    }
    response = world.post(f"/v1/workers/{worker}/answers", body, "worker")
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def refused(result: dict[str, Any], slug: str, status: int) -> dict[str, Any]:
    """Return the problem of a result that must be refused with this one."""
    assert result["status"] == "refused"
    found: dict[str, Any] = result["problem"]
    assert (found["type"], found["status"]) == (f"urn:muster:problem:{slug}", status)
    return found


def test_a_worker_is_registered_and_seen_by_its_own_key(world: World) -> None:
    body = {"name": "Ann", "kind": "llm", "skills": ["german", "birds"], "price": 0.02}
    response = world.post("/v1/workers", body, "worker")
    shown = response.json()
    assert response.status_code == 201
    assert shown["skills"] == ["birds", "german"]
    assert (shown["kind"], shown["price"], shown["paused"]) == ("llm", 0.02, False)
    nothing = {"answers": 0, "earned": 0.0, "first_answered_at": None, "last_answered_at": None}
    seen = world.get(f"/v1/workers/{shown['id']}", "worker").json()
    assert seen == {**shown, "totals": nothing}


def test_a_worker_sees_what_it_has_answered_and_earned(world: World) -> None:
    # Given two workers of which one has answered three items, some time apart
    ann, bob = world.worker("ann", price=0.25), world.worker("bob")
    world.asking(TEXTS)
    offers = claim(world, ann, 3)
    for offer in offers:
        answer(world, ann, (offer["token"], "dog"))
        world.clock.time += 10
    # When an answer comes again, and another is refused
    answer(world, ann, (offers[0]["token"], "dog"), ("forged", "dog"))
    # Then its own figures say what is stored, and nothing of why it was asked
    totals = world.get(f"/v1/workers/{ann}", "worker").json()["totals"]
    assert totals == {
        "answers": 3,
        "earned": 0.75,
        "first_answered_at": "1970-01-12T13:46:40Z",
        "last_answered_at": "1970-01-12T13:47:00Z",
    }
    assert world.get(f"/v1/workers/{bob}", "admin").json()["totals"]["answers"] == 0


def test_workers_of_another_key_do_not_exist(world: World, ann: str) -> None:
    tokens = {"tokens": ["t"]}
    calls: list[tuple[str, str, object]] = [
        ("GET", "", None),
        ("POST", "/claims", {"count": 1}),
        ("POST", "/answers", {"answers": [{"token": "t", "label": "cat"}]}),
        ("POST", "/releases", tokens),
        ("POST", "/heartbeats", tokens),
    ]
    for method, rest, body in calls:
        path = f"/v1/workers/{ann}{rest}"
        response = world.call(method, path, "worker", "umbrella", json=body)
        assert problem(response, 404, "worker-not-found").detail == f"there is no worker {ann}"


def test_each_key_lists_its_own_workers_and_an_admin_all(world: World) -> None:
    mine = [world.worker(name) for name in ("ann", "bob")]
    theirs = world.worker("eve", "umbrella")

    def listed(role: Any, tenant: str) -> list[str]:
        page = world.get("/v1/workers", role, tenant).json()
        return sorted(worker["id"] for worker in page["workers"])

    assert listed("worker", "acme") == sorted(mine)
    assert listed("worker", "umbrella") == [theirs]
    assert listed("admin", "acme") == sorted([*mine, theirs])


def test_a_listing_goes_on_past_workers_of_others(world: World) -> None:
    # Given a key whose only worker stands behind five of another's
    for number in range(5):
        world.worker(f"eve {number}", "umbrella")
    mine = world.worker("ann")
    # When it pages by two
    found: list[str] = []
    params: dict[str, str | int] = {"limit": 2}
    while True:
        page = world.get("/v1/workers", "worker", params=params).json()
        found += [worker["id"] for worker in page["workers"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    # Then it finds it
    assert found == [mine]


def test_offers_show_the_item_and_never_the_purpose(world: World, ann: str) -> None:
    job = world.asking(TEXTS, crowd={"instructions": "Which animal?", "lease_ttl_s": 60})
    offers = claim(world, ann, 2)
    assert len(offers) == 2
    assert set(offers[0]) == {"token", "job_id", "item", "labels", "instructions", "expires_at"}
    assert {offer["item"]["text"] for offer in offers} <= set(TEXTS)
    assert offers[0]["item"] == {
        "text": offers[0]["item"]["text"],
        "text_pair": None,
        "image": None,
        "content_type": "text/plain",
    }
    assert offers[0]["labels"][1] == {"name": "dog", "description": "barks"}
    assert (offers[0]["job_id"], offers[0]["instructions"]) == (job.job_id, "Which animal?")
    assert offers[0]["expires_at"] == "1970-01-12T13:47:40Z"


def test_images_are_offered_as_base64_with_their_type(world: World, ann: str) -> None:
    items = [{"id": "i0", "image": "aGVsbG8="}]
    world.asking([PNG], modality="image", items=items)
    (offer,) = claim(world, ann)
    assert offer["item"] == {
        "text": None,
        "text_pair": None,
        "image": "iVBORw0KGgogcmVzdA==",
        "content_type": "image/png",
    }


def test_items_of_several_jobs_are_offered_together(world: World, ann: str) -> None:
    first = world.asking(TEXTS[:2])
    second = world.asking(TEXTS[2:], labels=["yes", "no", "maybe"])
    offers = claim(world, ann, 4)
    names = {offer["job_id"]: offer["labels"][0]["name"] for offer in offers}
    assert names == {first.job_id: "cat", second.job_id: "yes"}
    assert sorted(offer["item"]["text"] for offer in offers) == sorted(TEXTS)


def test_nothing_to_do_is_an_empty_list(world: World, ann: str) -> None:
    assert claim(world, ann, 5) == []


def test_answers_are_stored_before_they_are_acknowledged(
    world: World, stores: Stores, ann: str
) -> None:
    # Given leased items
    job = world.asking(TEXTS)
    offers = claim(world, ann, 2)
    # When they are answered
    results = answer(world, ann, *((offer["token"], "dog") for offer in offers))
    # Then each is accepted, in order, and in the log
    assert [result["token"] for result in results] == [offer["token"] for offer in offers]
    assert [result["status"] for result in results] == ["accepted", "accepted"]
    stored = stores.answers.read(job.job_id, 0, 10)
    assert len(stored) == 2
    assert stored.labels.tolist() == [1, 1]
    assert stored.durations_s.tolist() == [1.5, 1.5]


def test_an_answer_sent_twice_counts_once(world: World, stores: Stores, ann: str) -> None:
    job = world.asking(TEXTS)
    (offer,) = claim(world, ann)
    answer(world, ann, (offer["token"], "cat"))
    # When the same answer comes again, and then with another label
    (again,) = answer(world, ann, (offer["token"], "cat"))
    (other,) = answer(world, ann, (offer["token"], "dog"))
    # Then the first is a replay, the second is refused, and one answer is stored
    assert (again["status"], again["problem"]) == ("replayed", None)
    assert "has already answered item" in refused(other, "already-answered", 409)["detail"]
    assert len(stores.answers.read(job.job_id, 0, 10)) == 1


def test_each_answer_is_judged_for_itself(world: World, ann: str) -> None:
    # Given three leases, one of which is another worker's
    world.asking(TEXTS)
    bob = world.worker("bob")
    mine, other = claim(world, ann, 2)
    (theirs,) = claim(world, bob)
    # When they are answered together: well, with no such label, and what is not one's own
    results = answer(
        world,
        ann,
        (mine["token"], "cat"),
        (other["token"], "unicorn"),
        (theirs["token"], "cat"),
        ("forged", "cat"),
        ("ünïcode ", "cat"),
    )
    # Then each gets its own verdict
    assert results[0]["status"] == "accepted"
    unknown = refused(results[1], "unknown-label", 422)
    assert unknown["detail"].endswith("has no label 'unicorn'")
    assert unknown["errors"][0]["pointer"] == "#/answers/1"
    foreign = refused(results[2], "lease-foreign", 403)
    assert foreign["detail"] == f"this lease was not granted to worker {ann}"
    refused(results[3], "lease-invalid", 422)
    refused(results[4], "lease-invalid", 422)
    # And the refused label may be put right
    assert answer(world, ann, (other["token"], "owl"))[0]["status"] == "accepted"


def test_an_expired_lease_is_refused(world: World, ann: str) -> None:
    job = world.asking(TEXTS)
    (offer,) = claim(world, ann)
    world.clock.time += job.spec.crowd.lease_ttl_s + 1
    (result,) = answer(world, ann, (offer["token"], "cat"))
    assert "has expired; claim again" in refused(result, "lease-expired", 410)["detail"]


def test_a_heartbeat_keeps_a_lease_alive(world: World, ann: str) -> None:
    job = world.asking(TEXTS)
    (offer,) = claim(world, ann)
    world.clock.time += job.spec.crowd.lease_ttl_s - 1
    body = {"tokens": [offer["token"], "forged"]}
    leases = world.post(f"/v1/workers/{ann}/heartbeats", body, "worker").json()["leases"]
    assert leases[0]["expires_at"] > offer["expires_at"]
    assert leases[1] == {"token": "forged", "expires_at": None}
    world.clock.time += job.spec.crowd.lease_ttl_s - 1
    assert answer(world, ann, (offer["token"], "cat"))[0]["status"] == "accepted"


def test_a_released_lease_goes_to_the_next_worker(world: World, ann: str) -> None:
    world.asking(TEXTS[:1])
    (offer,) = claim(world, ann)
    body = {"tokens": [offer["token"], "forged"]}
    released = world.post(f"/v1/workers/{ann}/releases", body, "worker")
    assert released.json() == {"released": 1}
    refused(answer(world, ann, (offer["token"], "cat"))[0], "lease-expired", 410)
    assert len(claim(world, world.worker("bob"))) == 1


@pytest.mark.parametrize(
    ("rest", "body", "what"),
    [
        ("claims", {"count": 9}, "count"),
        ("answers", {"answers": [{"token": "t", "label": "cat"}] * 9}, "answers"),
        ("releases", {"tokens": ["t"] * 9}, "tokens"),
        ("heartbeats", {"tokens": ["t"] * 9}, "tokens"),
    ],
)
def test_too_much_at_once_is_refused(
    world: World, ann: str, rest: str, body: object, what: str
) -> None:
    response = world.post(f"/v1/workers/{ann}/{rest}", body, "worker")
    found = problem(response, 413, "too-large")
    assert found.detail == f"{what} has 9 entries; the limit is {LIMITS.claim_max}"


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("", {"name": "ann", "price": -1}, "#/price"),
        ("", {"name": "ann", "kind": "robot"}, "#/kind"),
        ("", {"name": "ann", "skills": ["a", 1]}, "#/skills/1"),
        ("", {"name": "ann", "owner": "eve"}, "#/owner"),
        ("/{ann}/claims", {"count": 0}, "#/count"),
        ("/{ann}/claims", {"count": True}, "#/count"),
        ("/{ann}/answers", {"answers": []}, "#/answers"),
        ("/{ann}/answers", {"answers": [{"token": "t"}]}, "#/answers/0/label"),
        (
            "/{ann}/answers",
            {"answers": [{"token": "t", "label": "c", "duration_s": -1}]},
            "#/answers/0/duration_s",
        ),
        ("/{ann}/releases", {"tokens": [5]}, "#/tokens/0"),
    ],
)
def test_a_wrong_field_is_named(
    world: World, ann: str, path: str, body: object, pointer: str
) -> None:
    response = world.post(f"/v1/workers{path.format(ann=ann)}", body, "worker")
    assert problem(response, 422, "invalid-request").errors[0].pointer == pointer


def test_a_job_that_has_ended_takes_no_more_answers(world: World, ann: str) -> None:
    job = world.asking(TEXTS)
    (offer,) = claim(world, ann)
    world.shard.close(job.job_id)
    world.moved(job, JobState.CANCELLED)
    refused(answer(world, ann, (offer["token"], "cat"))[0], "lease-expired", 410)


def test_a_client_key_may_not_work_and_a_worker_key_not_submit(world: World) -> None:
    problem(world.post("/v1/workers", {"name": "x"}, "client"), 403, "wrong-role")
    problem(world.post("/v1/jobs", job_body(), "worker"), 403, "wrong-role")

"""Fingerprints of requests: the same for the same wish, now and after an upgrade."""

from serve_apps.gateway.idempotency import idempotency_key
from serve_apps.gateway.schemas.job_request import GoalBody, ItemBody, JobRequest, LabelBody
from tests.unit.gateway.world import job_body


class LaterGoal(GoalBody):
    """A goal as a later release may have it."""

    kept_s: float = 60.0


class LaterItem(ItemBody):
    """An item as a later release may have it."""

    audio: str | None = None


class LaterRequest(JobRequest):
    """A request as a later release may have it."""

    goal: LaterGoal = LaterGoal()
    items: list[LaterItem] | None = None  # type: ignore[assignment]
    urgency: int = 3


def fingerprint(request: JobRequest) -> str:
    key = idempotency_key("k", request)
    assert key is not None
    return key.fingerprint


def test_a_field_that_comes_to_be_changes_no_fingerprint() -> None:
    # Given a request that two releases read, the later of which knows of more fields
    body = job_body(goal={"accuracy": 0.9}, weight=1.0)
    labels = [LabelBody(name="cat"), LabelBody(name="dog")]
    now, later = (
        of.model_validate({**body, "labels": labels}) for of in (JobRequest, LaterRequest)
    )
    # Then it is the same one, but not where it says something of them
    assert fingerprint(later) == fingerprint(now)
    for change in (
        {"urgency": 4},
        {"goal": {"accuracy": 0.9, "kept_s": 1.0}},
        {"items": [{"id": "i0", "text": "text 0", "audio": "x"}]},
    ):
        other = LaterRequest.model_validate({**body, "labels": labels, **change})
        assert fingerprint(other) != fingerprint(now)


def test_defaults_that_are_spelled_out_change_no_fingerprint() -> None:
    plain = JobRequest.model_validate(job_body(labels=[{"name": "a"}, {"name": "b"}]))
    spelled = JobRequest.model_validate(plain.model_dump())
    assert fingerprint(spelled) == fingerprint(plain)

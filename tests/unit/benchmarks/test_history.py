"""The checker of histories: a good one passes, and every broken promise is found."""

from dataclasses import replace

import pytest

from benchmarks.chaos.history import (
    Answered,
    Delivered,
    History,
    Offered,
    Stored,
    violations,
)

TTL_S, QUIET_S = 20.0, 60.0


def offered(position: int, at: float, *, epoch: int = 1, lease_id: int = 0) -> Offered:
    return Offered(
        worker_id="ann",
        partition=0,
        epoch=epoch,
        position=position,
        lease_id=lease_id,
        asked_at=at,
        given_at=at + 0.1,
    )


def answered(
    position: int, at: float, verdict: str = "accepted", *, epoch: int = 1, lost: bool = False
) -> Answered:
    return Answered(
        worker_id="ann",
        partition=0,
        epoch=epoch,
        position=position,
        label="cat",
        verdict=verdict,
        lost=lost,
        sent_at=at,
        told_at=at + 0.1,
    )


CAT = Stored(position=0, worker_id="ann", label="cat")
DOG = Stored(position=1, worker_id="ann", label="dog")

GOOD = History(
    job_id="job",
    accepted=("a", "b"),
    exported=(
        Delivered(item_id="a", label="cat", revision=1),
        Delivered(item_id="b", label="dog", revision=0),
    ),
    delivered=(
        Delivered(item_id="a", label="dog", revision=0),
        Delivered(item_id="b", label="dog", revision=0),
        Delivered(item_id="a", label="cat", revision=1),
    ),
    # Item 0 is leased, its shard dies, and it is leased again and answered; item 1's answer is
    # stored though its worker never heard so.
    offered=(offered(0, 1.0), offered(0, 5.0, epoch=2), offered(1, 9.0, epoch=2)),
    answered=(
        answered(0, 3.0, "urn:muster:problem:lease-expired"),
        answered(0, 6.0, epoch=2),
        replace(answered(0, 7.0, "replayed", epoch=2), lost=True),
        answered(1, 9.5, "urn:muster:problem:lease-expired", epoch=2, lost=True),
    ),
    stored=(CAT, DOG),
    counted=2,
    exports={"jsonl": ("x", "x"), "parquet": ("y",)},
    strangers=(404, 404),
    state="completed",
    quiet_s=12.0,
)


def test_a_history_of_kept_promises_has_no_violations() -> None:
    assert violations(GOOD, TTL_S, QUIET_S) == ()


LAST = GOOD.exported[-1]
PLANTED = {
    "items lost": replace(GOOD, exported=GOOD.exported[:1]),
    "items doubled": replace(GOOD, exported=(*GOOD.exported, LAST)),
    "items nobody submitted": replace(
        GOOD, delivered=(*GOOD.delivered, Delivered(item_id="c", label="cat", revision=0))
    ),
    "revisions told twice": replace(GOOD, delivered=(*GOOD.delivered, GOOD.delivered[0])),
    "labels other than the newest told": replace(GOOD, delivered=GOOD.delivered[:2]),
    "acknowledged answers lost": replace(GOOD, stored=(DOG,), counted=1),
    "answers doubled": replace(GOOD, stored=(CAT, CAT, DOG), counted=3),
    "answers stored otherwise than given": replace(GOOD, stored=(replace(CAT, label="dog"), DOG)),
    "refused answers stored": replace(
        GOOD, answered=(*GOOD.answered[:3], answered(1, 9.5, "urn:muster:problem:lease-expired"))
    ),
    "answers stored and not counted, or the reverse": replace(GOOD, counted=1),
    "two live leases of one item and worker": replace(
        GOOD, offered=(*GOOD.offered, offered(1, 9.2, epoch=2, lease_id=1))
    ),
    "answers accepted from an epoch that was over": replace(
        GOOD, answered=(*GOOD.answered, answered(0, 8.0))
    ),
    "exports that changed": replace(GOOD, exports={"jsonl": ("x", "z")}),
    "replies to another tenant": replace(GOOD, strangers=(404, 200)),
    "jobs not ended in time": replace(GOOD, quiet_s=QUIET_S + 1),
}


@pytest.mark.parametrize("what", PLANTED)
def test_every_planted_violation_is_found_and_nothing_else(what: str) -> None:
    (found,) = violations(PLANTED[what], TTL_S, QUIET_S)
    assert (found.what, found.count) == (what, 1)


def test_a_job_that_failed_has_not_ended_well() -> None:
    (found,) = violations(replace(GOOD, state="failed"), TTL_S, QUIET_S)
    assert (found.invariant, found.example) == ("I7", "job is failed")


def test_a_lease_whose_time_was_over_may_be_given_again() -> None:
    again = offered(1, 9.0 + TTL_S, epoch=2, lease_id=1)
    unanswered = replace(GOOD, answered=GOOD.answered[:3], offered=(*GOOD.offered, again))
    assert violations(unanswered, TTL_S, QUIET_S) == ()

"""The chore that takes versions further and back, over a real registry and a job's real files."""

from dataclasses import replace

import pytest

from cluster.domain.ids import JobId
from cluster.domain.jobs import Job
from cluster.domain.lines import Stage
from cluster.domain.models import ModelRecord, ModelSpec
from cluster.errors import ModelUnusable
from cluster.model_settings import RolloutSettings
from cluster.replica_errors import ReplicaLost
from serve_apps.jobs.rollout import LOADS_MAX, Rollouts
from tests.model_lines import WHY, go_live, try_out
from tests.unit.jobs.lines import OTHER, SETTINGS, Line
from tests.unit.training.worlds import JOB, LINE, StepClock
from training.building import build_snapshot
from training.lines import admit


def test_a_version_that_online_requests_like_goes_live_and_is_loaded_first() -> None:
    line = Line()
    try_out(line.world.stores.lines, LINE, 1, Stage.SHADOW)
    line.traffic(Stage.SHADOW, 49)
    line.rollouts.look()
    assert line.standing.stage is Stage.SHADOW

    line.traffic(Stage.SHADOW, 1)
    line.rollouts.look()
    line.traffic(Stage.CANARY, 50)
    line.rollouts.look()

    assert (line.standing.stage, line.standing.live) == (Stage.LIVE, 1)
    assert line.loaded == [1, 1]
    assert line.kinds() == ["model.canary", "model.promoted"]


def test_a_version_that_fails_on_live_inputs_is_rejected() -> None:
    line = Line()
    try_out(line.world.stores.lines, LINE, 1, Stage.SHADOW)
    line.traffic(Stage.SHADOW, 50, failed=20)

    line.rollouts.look()

    assert (line.standing.stage, line.standing.live) == (Stage.REJECTED, 0)
    assert line.kinds() == ["model.rejected"]


def test_a_version_that_cannot_be_loaded_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(spec: ModelSpec) -> None:
        raise ModelUnusable(f"{spec.name} version {spec.version}", "its weights are broken")

    line = Line()
    monkeypatch.setattr(line.rollouts, "_warm", broken)
    try_out(line.world.stores.lines, LINE, 1, Stage.SHADOW)
    line.traffic(Stage.SHADOW, 50)

    line.rollouts.look()

    assert line.standing.stage is Stage.REJECTED
    assert line.standing.reason.endswith("its weights are broken")


def test_a_version_that_replicas_die_of_waits_and_is_rejected_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[int] = []

    def crash(spec: ModelSpec) -> None:
        loads.append(spec.version)
        raise ReplicaLost("loading")

    line = Line()
    monkeypatch.setattr(line.rollouts, "_warm", crash)
    try_out(line.world.stores.lines, LINE, 1, Stage.SHADOW)
    line.traffic(Stage.SHADOW, 50)

    for _ in range(LOADS_MAX - 1):
        line.rollouts.look()
        assert line.standing.stage is Stage.SHADOW
    line.rollouts.look()

    assert (line.standing.stage, len(loads)) == (Stage.REJECTED, LOADS_MAX)


def test_replicas_that_were_lost_by_chance_delay_a_version_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line()
    losses = [ReplicaLost("loading")]

    def crash_once(spec: ModelSpec) -> None:
        if losses:
            raise losses.pop()
        line.warm(spec)

    monkeypatch.setattr(line.rollouts, "_warm", crash_once)
    try_out(line.world.stores.lines, LINE, 1, Stage.SHADOW)
    line.traffic(Stage.SHADOW, 50)

    line.rollouts.look()
    line.rollouts.look()

    assert (line.standing.stage, line.loaded) == (Stage.CANARY, [1])


def test_a_bad_version_is_rolled_back_though_replicas_are_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(_: ModelSpec) -> None:
        raise ReplicaLost("loading")

    line = Line()
    monkeypatch.setattr(line.rollouts, "_warm", crash)
    line.say(0, right=0.9)
    line.say(1, right=0.6)
    go_live(line.world.stores.lines, LINE, 1)

    line.rollouts.look()

    assert line.standing.live == 0


def test_a_candidate_that_audits_show_to_be_worse_is_rejected_at_once() -> None:
    line = Line()
    line.say(0, right=0.9)
    line.say(1, right=0.6)
    try_out(line.world.stores.lines, LINE, 1, Stage.SHADOW)

    line.rollouts.look()

    assert line.standing.stage is Stage.REJECTED
    assert line.standing.reason == "worse on 100 audited items"


def test_a_live_version_that_turns_out_worse_is_rolled_back_and_the_history_says_why() -> None:
    # Given a version that is live, and worse in a job of its line
    line = Line()
    line.say(0, right=0.9)
    line.say(1, right=0.6)
    go_live(line.world.stores.lines, LINE, 1)

    # When the chore looks twice
    line.rollouts.look()
    line.rollouts.look()

    # Then the one before it is live again
    step = line.standing
    assert (step.revision, step.stage, step.version, step.live) == (3, Stage.ROLLED_BACK, 1, 0)
    assert step.p_value is not None
    assert step.p_value < 0.05
    assert line.loaded == [0]
    (event,) = line.world.stores.events.read(OTHER, 0, 10)
    assert event.kind == "model.rolled_back"
    assert "of 100 audited items, version 0 on 0." in event.message


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.9), (0.6, 0.9)])
def test_a_live_version_that_is_no_worse_stays(before: float, after: float) -> None:
    line = Line()
    line.say(0, right=before)
    line.say(1, right=after)
    go_live(line.world.stores.lines, LINE, 1)

    line.rollouts.look()

    assert (line.standing.revision, line.kinds()) == (2, [])


def test_what_a_versions_own_gate_has_seen_is_not_held_against_it() -> None:
    line = Line(trained_by=JOB)
    build_snapshot(line.world.stores, line.world.job, 1)
    line.say(0, right=0.9)
    line.say(1, right=0.6)
    go_live(line.world.stores.lines, LINE, 1)

    line.rollouts.look()

    assert line.standing.live == 1


def test_without_both_versions_predictions_there_is_nothing_to_compare() -> None:
    line = Line()
    line.say(1, right=0.3)
    for chunk in line.world.chunks():
        path = f"jobs/{JOB}/predictions/000000/{chunk.number:06d}.parquet"
        line.world.stores.objects.delete(path)
    go_live(line.world.stores.lines, LINE, 1)

    line.rollouts.look()

    assert line.standing.live == 1


def test_rollback_can_be_left_to_people() -> None:
    line = Line()
    line.say(0, right=0.9)
    line.say(1, right=0.6)
    go_live(line.world.stores.lines, LINE, 1)
    by_hand = RolloutSettings(rollback=False)

    Rollouts(line.world.stores, by_hand, StepClock(), line.warm).look()

    assert line.standing.live == 1


def test_one_lines_broken_files_are_no_other_lines_trouble() -> None:
    line = Line()
    line.say(0, right=0.9)
    line.say(1, right=0.6)
    go_live(line.world.stores.lines, LINE, 1)
    job: Job = line.world.stores.jobs.load(JOB)
    line.world.stores.jobs.create(replace(job, job_id=JobId("job-0"), revision=0), None)

    line.rollouts.look()

    assert line.standing.stage is Stage.ROLLED_BACK


def test_a_line_with_online_requests_tries_a_candidate_and_one_at_a_time() -> None:
    line = Line()
    stores, why = line.world.stores, replace(WHY, at=1_500.0)
    spec = replace(stores.models.get(LINE, 1).spec, version=2)
    stores.models.add(ModelRecord(spec=spec, lineage=None, created_at=0.0))
    line.traffic(Stage.LIVE, 10)

    assert admit(stores, LINE, 1, 0, SETTINGS, why) is Stage.SHADOW
    assert admit(stores, LINE, 2, 0, SETTINGS, why) is Stage.REGISTERED
    assert admit(stores, LINE, 2, 1, SETTINGS, why) is Stage.SHADOW
    assert (line.standing.live, line.standing.candidate) == (0, 2)

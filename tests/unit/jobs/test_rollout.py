"""The chore that takes versions further and back, over a real registry and a job's real files."""

from dataclasses import replace
from typing import BinaryIO

import numpy as np
import pytest

from cluster.domain.ids import JobId
from cluster.domain.jobs import Job, JobState
from cluster.domain.lines import LineStep, Stage, Traffic
from cluster.domain.models import Lineage, ModelRecord, ModelSpec
from cluster.errors import ModelUnusable
from cluster.model_settings import RolloutSettings
from cluster.replica_errors import ReplicaLost
from serve_apps.jobs.rollout import LOADS_MAX, Rollouts
from tests.model_lines import WHY, go_back, go_live, try_out
from tests.unit.training.worlds import JOB, LINE, Points, StepClock, World
from training.building import build_snapshot
from training.lines import RollbackWatch, admit
from training.recipes import text_head
from training.snapshot import audited_positions
from training.step import fit

OTHER = JobId("job-other")
SETTINGS = RolloutSettings(shadow_items_min=50, canary_items_min=50)


class Line:
    """A line at zero-shot with a second version, in a world where a job is being asked."""

    def __init__(self, *, trained_by: JobId = OTHER) -> None:
        self.world = World.after_round()
        stores = self.world.stores
        job = stores.jobs.load(JOB)
        stores.jobs.save(replace(job, state=JobState.ASKING))
        zero_shot = stores.models.live(LINE)
        lineage = Lineage(
            job_id=trained_by,
            round=1,
            parent=0,
            recipe="text_head",
            snapshot_path="",
            snapshot_hash="",
            code_version="0.1.0",
            seed=0,
        )
        spec = replace(zero_shot.spec, version=1, weights_path="models/1")
        stores.models.add(ModelRecord(spec=spec, lineage=lineage, created_at=0.0))
        self.loaded: list[int] = []
        self.rollouts = Rollouts(stores, SETTINGS, StepClock(), self.warm)

    def warm(self, spec: ModelSpec) -> None:
        self.loaded.append(spec.version)

    def say(self, version: int, *, right: float) -> None:
        """Store what a version says of the job's items: the truth on a share of them."""
        labels = self.world.points.labels
        rng = np.random.default_rng(version)
        said = np.where(rng.random(len(labels)) < right, labels, (labels + 1) % 3)
        self.world.store_predictions(np.eye(3, dtype=np.float32)[said] * 0.7 + 0.1, version)

    def traffic(self, stage: Stage, items: int, failed: int = 0) -> None:
        seen = Traffic(name=LINE, version=1, stage=stage, items=items, failed=failed)
        self.world.stores.traffic.add([replace(seen, last_at=1_000.0)])

    @property
    def standing(self) -> LineStep:
        return self.world.stores.lines.standing(LINE)

    def kinds(self, job_id: JobId = OTHER) -> list[str]:
        return [event.kind for event in self.world.stores.events.read(job_id, 0, 100)]


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


def trained_head() -> bytes:
    """Return a head that has learnt the job's labels from other items like them."""
    data = Points.draw(300, seed=5).training_data()
    return fit(text_head(), data, seed=0).save()


def another_version(line: Line, version: int, weights: bytes | None) -> None:
    stores = line.world.stores
    record = stores.models.get(LINE, 1)
    spec = replace(record.spec, version=version, weights_path=f"models/{version}")
    stores.models.add(replace(record, spec=spec))
    if weights is not None:
        stores.objects.write(f"models/{version}", weights)


def test_a_job_that_began_after_the_promotion_tells_of_the_version_before_by_its_head() -> None:
    # Given a good head that was live before a bad version, which alone has pre-labelled the job
    line = Line()
    another_version(line, 2, trained_head())
    another_version(line, 3, None)
    go_live(line.world.stores.lines, LINE, 2)
    go_live(line.world.stores.lines, LINE, 3)
    line.say(3, right=0.6)

    # When the job's audit comes in
    line.rollouts.look()

    # Then the good one is live again
    assert (line.standing.stage, line.standing.live) == (Stage.ROLLED_BACK, 2)


def test_what_a_job_has_said_is_not_forgotten_with_the_job() -> None:
    # Given a job that does not show alone that a version is worse
    line = Line()
    line.say(0, right=0.87)
    line.say(1, right=0.72)
    go_live(line.world.stores.lines, LINE, 1)
    line.rollouts.look()
    alone = line.standing.live
    world = line.world.then(JobId("job-2"), 400, seed=9)
    job = line.world.stores.jobs.load(JOB)
    line.world.stores.jobs.save(replace(job, state=JobState.COMPLETED))
    line.world = world
    line.say(0, right=0.87)
    line.say(1, right=0.72)

    # When the second one speaks, the first being done, and another process looks
    Rollouts(line.world.stores, SETTINGS, StepClock(), line.warm).look()

    # Then both count
    assert alone == 1
    assert line.standing.stage is Stage.ROLLED_BACK
    assert "of 200 audited items" in line.standing.reason


def test_an_audit_is_read_again_only_where_there_is_more_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line, read = Line(), list[str]()
    line.say(0, right=0.9)
    line.say(1, right=0.9)
    go_live(line.world.stores.lines, LINE, 1)
    objects, jobs = line.world.stores.objects, line.world.stores.jobs
    opened = objects.open_input

    def counted(path: str) -> BinaryIO:
        read.append(path)
        return opened(path)

    def looked(**progress: int) -> list[str]:
        job = jobs.load(JOB)
        jobs.save(replace(job, progress=replace(job.progress, **progress)))
        read.clear()
        line.rollouts.look()
        return list(read)

    monkeypatch.setattr(objects, "open_input", counted)

    # When rounds are stored without more of an audit, only the first is read, to be sure
    assert len(looked(audit_answers=5)) > 2 * len(line.world.chunks())
    line.world.next_round()
    assert [path for path in looked() if "predictions" in path] == []
    for _ in range(3):
        line.world.next_round()
        assert looked() == []

    # And more of an audit has no prediction read again that was read before
    found = looked(audit_answers=6)
    assert found
    assert all("predictions" not in path and "snapshots" not in path for path in found)


def test_what_the_gate_has_seen_is_told_without_reading_what_was_learnt() -> None:
    world = World.after_round()
    snapshot = build_snapshot(world.stores, world.job, 1)
    world.stores.objects.delete(f"{snapshot.folder}/train.parquet")

    assert audited_positions(world.stores.objects, JOB, 1).tolist() == list(range(0, 400, 4))
    assert audited_positions(world.stores.objects, JOB, 2).tolist() == []


def test_a_job_hears_that_the_version_it_was_labelled_by_was_rolled_back() -> None:
    line = Line()
    go_live(line.world.stores.lines, LINE, 1)
    line.say(1, right=0.6)
    is_outdated = RollbackWatch(line.world.stores, line.world.stores.jobs.load(JOB))
    assert not is_outdated()

    # When a later version goes live nothing changes before the job learns; a rollback is heard
    another_version(line, 2, None)
    go_live(line.world.stores.lines, LINE, 2)
    assert not is_outdated()
    go_live(line.world.stores.lines, LINE, 1)
    go_back(line.world.stores.lines, LINE, 0)
    assert is_outdated()

    # And no more once another version has labelled it
    line.say(0, right=0.9)
    assert not RollbackWatch(line.world.stores, line.world.stores.jobs.load(JOB))()


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

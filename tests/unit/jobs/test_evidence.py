"""What tells that a live version is worse: which jobs, of which versions, and at what cost."""

from dataclasses import replace
from typing import BinaryIO

import pytest

from cluster.domain.ids import JobId
from cluster.domain.jobs import JobState
from cluster.domain.lines import Stage
from serve_apps.jobs.rollout import Rollouts
from tests.model_lines import go_back, go_live
from tests.unit.jobs.lines import SETTINGS, Line
from tests.unit.training.worlds import JOB, LINE, Points, StepClock, World
from training.building import build_snapshot
from training.lines import RollbackWatch
from training.recipes import text_head
from training.snapshot import audited_positions
from training.step import fit


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

"""Jobs whose workers rest, come late, or are too few, or whose model is taken back: what the asking
stage waits for."""

from dataclasses import replace

import numpy as np
import pytest

from allocation.stage import AskSession, AskStage
from cluster.domain.ids import UnixSeconds
from cluster.domain.jobs import CrowdTerms, Goal, JobSpec, JobState
from cluster.errors import StoreBusy
from cluster.settings import AskingSettings
from tests.unit.allocation.crowds import CrowdWorld, RestartableShard
from tests.unit.allocation.worlds import JOB, job, worker

GOOD_CROWD = (0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.9, 0.9)


def spec(crowd: CrowdTerms | None = None) -> JobSpec:
    return replace(job().spec, goal=Goal(accuracy=0.85), crowd=crowd or CrowdTerms())


def world(
    chosen: JobSpec,
    *,
    items: int = 240,
    accuracies: tuple[float, ...] = GOOD_CROWD,
    seed: int = 11,
) -> CrowdWorld:
    return CrowdWorld(chosen, items, accuracies, np.random.default_rng(seed))


def test_a_job_goes_on_when_the_tired_have_rested() -> None:
    # Given workers who may give twenty answers an hour, too few for the job
    given = world(spec(crowd=CrowdTerms(worker_hour_answers_max=20)))
    given.predict(accuracy=0.75)
    stage = given.stage()
    began = given.clock.time

    def slowly(seconds: float) -> None:
        given.wait(120.0 * seconds)

    stage._wait = slowly
    # When it runs, then it ends, over an hour later, and no hour holds more answers than that,
    # but for what two partitions round up
    stage.run(given.desk())
    answers = given.stores.answers.read(JOB, 0, 1_000_000)
    for who in range(len(answers.worker_ids)):
        at = np.sort(answers.answered_at[answers.workers == who])
        within = np.searchsorted(at, at + 3_600.0) - np.arange(len(at))
        assert within.max() <= 20 + 1
    assert given.clock.time - began > 3_600.0


def test_a_crowd_too_small_to_audit_what_it_has_labelled_ends_the_job_all_the_same() -> None:
    # Given three workers, who may not audit what they have labelled, and audits by three each
    given = world(spec(), items=80, accuracies=(0.95, 0.9, 0.9))

    # When the stage runs
    started = given.clock.time
    state = given.stage(crowd_patience_s=60.0).run(given.desk())

    # Then it waits for others, says so, and ends with the answers there are
    assert state is JobState.EXPORTING
    assert given.clock.time - started > 60.0
    kinds = [event.kind for event in given.stores.events.read(JOB, 0, 1_000)]
    assert kinds.count("crowd.awaited") == kinds.count("crowd.exhausted") == 1
    assert set(given.delivered()) == set(range(80))
    assert given.accuracy() >= 0.85
    certificate = given.desk().job.certificate
    assert certificate is not None
    assert certificate.overall.accuracy_lower < given.accuracy()


def test_a_crowd_that_comes_late_is_chosen_from_like_any_other() -> None:
    # Given good workers and bad ones who come when the job has waited for more than its patience
    given = world(spec(), items=300, accuracies=(*(0.95,) * 6, *(0.6,) * 6))
    crowd, given.living = given.living, []
    began = given.clock.time

    def wait(seconds: float) -> None:
        given.living = crowd if given.clock.time > began + 15.0 else []
        given.wait(seconds)

    # When the stage runs
    AskStage(given.stores, AskingSettings(), 0, given.shards, wait).run(given.desk())

    # Then nobody took just anybody
    kinds = [event.kind for event in given.stores.events.read(JOB, 0, 1_000)]
    assert "crowd.relaxed" not in kinds


def test_a_met_goal_whose_audits_nobody_can_give_ends_the_job() -> None:
    # Given a model, and three workers who leave two audits open, with items in doubt nobody wants
    given = world(spec(), items=300, accuracies=(0.95, 0.9, 0.9), seed=12)
    given.predict(accuracy=0.85, sure=0.8)

    state = given.stage(crowd_patience_s=60.0).run(given.desk())

    assert state is JobState.EXPORTING
    kinds = [event.kind for event in given.stores.events.read(JOB, 0, 1_000)]
    assert kinds.count("crowd.exhausted") == 1


def test_a_crowd_too_small_for_the_seed_sample_has_the_model_learn_from_what_there_is() -> None:
    given = world(spec(CrowdTerms(audit_answers_max=5)), items=300, accuracies=(0.95, 0.9, 0.9))

    state = given.stage(trainings_max=2, crowd_patience_s=60.0).run(given.desk())

    assert state is JobState.LEARNING


@pytest.mark.parametrize("newcomer", [False, True])
def test_answers_that_came_with_a_failure_are_fitted_before_anything_is_published(
    newcomer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job that rests from a long fit, while its crowd answers all that is asked
    given = world(spec(), accuracies=(0.95, 0.9, 0.9, 0.9, 0.9))
    session = AskSession(given.stores, AskingSettings(), 0, tuple(given.shards), given.desk())
    session.tick()
    for who in given.workers[: -1 if newcomer else None]:
        for shard in given.shards:
            given.answer(who, 0.9, shard, 2)
    session.tick()
    session._fits.begin(given.clock.time - 200.0, given.clock.time)
    while any(report.wanted for shard in given.shards for report in shard.reports(JOB)):
        given.wait(0.0)
    # When the store fails once its answers are read, and the stage looks again
    with monkeypatch.context() as failing:
        failing.setattr(session._track_records, "news", broken)
        assert session.tick() == "ask"
    session.tick()
    # Then what was published knows of them: nothing is as uncertain as it was
    errors = [report.expected_error for shard in given.shards for report in shard.reports(JOB)]
    assert max(errors) < 0.15


def test_a_crowd_at_work_while_a_long_fit_is_rested_from_is_not_taken_for_gone() -> None:
    # Given a job that rests from a long fit
    given = world(spec(), items=2_000)
    session = AskSession(given.stores, AskingSettings(), 0, tuple(given.shards), given.desk())
    session.tick()
    given.wait(1.0)
    session.tick()
    session._fits.begin(given.clock.time - 100.0, given.clock.time)

    # When its crowd goes on, faster than anybody looks
    for _ in range(30):
        given.wait(1.0)
        assert session.tick() == "ask"

    # Then it is as choosy as before
    kinds = [event.kind for event in given.stores.events.read(JOB, 0, 1_000)]
    assert "crowd.relaxed" not in kinds


def broken(now: UnixSeconds) -> None:
    raise StoreBusy(f"read workers at {now}")


def test_a_job_whose_version_was_rolled_back_is_prelabelled_by_another_at_once() -> None:
    # Given a job that asks, and somebody who rolls its version back at the third look
    given = world(spec())
    given.predict(accuracy=0.6)
    looks = iter((False, False, True))
    shards = [RestartableShard(given, number) for number in range(2)]
    settings = AskingSettings(delivery_rows_min=1)
    stage = AskStage(given.stores, settings, 0, shards, given.wait, lambda _: lambda: next(looks))

    # Then its next state is to be pre-labelled, and the crowd only audits meanwhile
    assert stage.run(given.desk()) is JobState.PRELABELLING
    offers = [offer for shard in given.shards for offer in shard.claim(worker("late"), 100)]
    assert {offer.purpose for offer in offers} <= {"audit"}

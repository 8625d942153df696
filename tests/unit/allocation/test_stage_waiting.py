"""Jobs whose workers rest, come late, or are too few: what the asking stage waits for."""

from dataclasses import replace

import numpy as np

from allocation.stage import AskStage
from cluster.domain.jobs import CrowdTerms, Goal, JobSpec, JobState
from cluster.settings import AskingSettings
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.worlds import JOB, job

GOOD_CROWD = (0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.9, 0.9)


def spec(crowd: CrowdTerms | None = None) -> JobSpec:
    return replace(job().spec, goal=Goal(accuracy=0.85), crowd=crowd or CrowdTerms())


def world(
    chosen: JobSpec, *, items: int = 240, accuracies: tuple[float, ...] = GOOD_CROWD
) -> CrowdWorld:
    return CrowdWorld(chosen, items, accuracies, np.random.default_rng(11))


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

"""Labels that were delivered and turn out wrong: recalled, corrected, exported once."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allocation.stage import AskStage
from cluster import paths
from cluster.domain.jobs import Budget, Goal, JobSpec
from cluster.domain.labels import DIFFICULTIES
from cluster.result_writer import SCHEMA, newest_revisions, segments
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.worlds import JOB, job

GOOD_CROWD = (0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.9, 0.9)


def world(accuracies: tuple[float, ...] = GOOD_CROWD, **changes: object) -> CrowdWorld:
    spec: JobSpec = replace(job().spec, **{"goal": Goal(accuracy=0.85), **changes})  # type: ignore[arg-type]
    return CrowdWorld(spec, 240, accuracies, np.random.default_rng(11))


def kinds(given: CrowdWorld) -> list[str]:
    return [event.kind for event in given.stores.events.read(JOB, 0, 1_000)]


def contradicted(given: CrowdWorld, stage: AskStage) -> Callable[[], int]:
    """Let strangers contradict the first label that `stage` delivers; return which that was."""
    found: list[int] = []

    def wait(seconds: float) -> None:
        given.wait(seconds)
        if not found and given.delivered():
            position, name = next(iter(given.delivered().items()))
            other = (given.spec.label_set.names.index(name) + 1) % len(given.spec.label_set)
            given.say_later(position, other, voices=8)
            found.append(position)

    stage._wait = wait
    return lambda: found[0]


def interrupted(_: float) -> None:
    raise KeyboardInterrupt


def test_a_label_that_later_answers_contradict_is_delivered_again() -> None:
    # Given a job with a label delivered that many good workers then deny
    given = world()
    given.predict(accuracy=0.75)
    stage = given.stage()
    denied = contradicted(given, stage)

    # When the job has run
    stage.run(given.desk())

    # Then the item came again as revision 1 before the end, under their label
    position, names = denied(), given.spec.label_set.names
    first, second = given.deliveries()[position]
    assert names.index(second) == (names.index(first) + 1) % 3
    told = kinds(given)
    assert told.index("labels.recalled") < told.index("certificate") - 2

    # And the export has every item once, that one with its new label
    rows = given.exported()
    assert sorted(row["position"] for row in rows) == list(range(given.items))  # type: ignore[type-var]
    assert {row["position"]: row["label"] for row in rows} == given.delivered()
    assert given.delivered()[position] == second
    (revision,) = (row["revision"] for row in rows if row["position"] == position)
    assert revision == 1
    assert given.desk().job.progress.final == given.items


def test_where_nothing_changes_nothing_is_recalled() -> None:
    # Given a job whose crowd is always right
    given = world(accuracies=(1.0,) * 6)
    given.predict(accuracy=1.0)

    # When it has run
    given.stage().run(given.desk())

    # Then every item came once
    assert [len(labels) for labels in given.deliveries().values()] == [1] * given.items
    assert "labels.recalled" not in kinds(given)


def test_a_stage_that_dies_after_a_recall_recalls_nothing_twice() -> None:
    # Given a stage that is killed as soon as it has recalled a label
    given = world()
    given.predict(accuracy=0.75)
    stage = given.stage()
    denied = contradicted(given, stage)
    contradict = stage._wait

    def killed(seconds: float) -> None:
        if "labels.recalled" in kinds(given):
            raise KeyboardInterrupt
        contradict(seconds)

    stage._wait = killed
    with pytest.raises(KeyboardInterrupt):
        stage.run(given.desk())
    before = given.deliveries()
    assert len(before[denied()]) == 2
    assert given.desk().job.progress.final <= len(before)

    # When another one takes over
    given.stage().run(given.desk())

    # Then what was delivered stands, and that item was not delivered a third time
    after = given.deliveries()
    assert after[denied()] == before[denied()]
    assert len(after) == given.desk().job.progress.final == given.items


def test_at_the_end_the_newest_labels_are_those_that_are_certified() -> None:
    # Given labels that a sure model decided, and a new model that says something else, unsurely
    given = world(accuracies=(), budget=Budget(deadline_s=2_000_000.0))
    given.predict(accuracy=0.75, sure=0.97)
    stage = given.stage()
    stage._wait = interrupted
    with pytest.raises(KeyboardInterrupt):
        stage.run(given.desk())
    early = given.delivered()
    assert len(early) == given.items - 40
    given.predict(accuracy=0.75, sure=0.4, version=2)

    # When another stage goes on under it, nothing is recalled while the job runs
    stage = given.stage()
    stage._wait = interrupted
    with pytest.raises(KeyboardInterrupt):
        stage.run(given.desk())
    assert given.delivered() == early

    # When the job ends
    given.clock.time = 3_000_000.0
    given.stage().run(given.desk())

    # Then what was delivered last is what is believed last
    path = paths.consensus(JOB, given.desk().job.progress.rounds)
    with given.stores.objects.open_input(path) as stream:
        believed = np.array(pq.read_table(stream)["posterior"].to_pylist()).argmax(axis=1)
    names = given.spec.label_set.names
    assert given.delivered() == {at: names[label] for at, label in enumerate(believed)}
    recalled = [at for at, labels in given.deliveries().items() if len(labels) > 1]
    assert 0 < len(recalled) < len(early)
    assert kinds(given).count("labels.recalled") == 1
    assert len(given.exported()) == given.items


def test_labels_of_an_older_release_count_as_never_corrected() -> None:
    # Given a job that a release without revisions and difficulties has begun
    given = world()
    given.predict(accuracy=0.75)
    stage = given.stage()

    def aged(seconds: float) -> None:
        if given.delivered():
            raise KeyboardInterrupt
        given.wait(seconds)

    stage._wait = aged
    with pytest.raises(KeyboardInterrupt):
        stage.run(given.desk())
    as_first_released(given)

    # When this release goes on, and a label is denied
    assert (newest_revisions(given.stores, JOB) <= 0).all()
    stage = given.stage()
    denied = contradicted(given, stage)
    stage.run(given.desk())

    # Then it is corrected, and everything is exported once
    assert len(given.deliveries()[denied()]) == 2
    exported = given.exported()
    assert len(exported) == given.items
    assert {row["difficulty"] for row in exported if row["position"] == denied()} < set(
        DIFFICULTIES
    )
    assert None in {row["difficulty"] for row in exported}


def as_first_released(given: CrowdWorld) -> None:
    later = ("revision", "difficulty", "model_failed")
    columns = [name for name in SCHEMA.names if name not in later]
    for segment in segments(given.stores.results, JOB):
        with given.stores.objects.open_input(segment.path) as stream:
            table: pa.Table = pq.read_table(stream, columns=columns)
        with given.stores.objects.open_output(segment.path) as stream:
            pq.write_table(table, stream)

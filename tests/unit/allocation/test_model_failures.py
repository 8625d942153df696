"""What is delivered of items on which the model has failed."""

import json

import numpy as np

from cluster import paths
from cluster.domain.jobs import Budget, Goal, JobSpec
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.worlds import JOB, job

FAILED = [3, 50]


def world(budget: Budget, accuracies: tuple[float, ...]) -> CrowdWorld:
    """Return a job pre-labelled by a model that failed on two items."""
    plain = job().spec
    spec = JobSpec(
        name=plain.name,
        modality=plain.modality,
        label_set=plain.label_set,
        source=plain.source,
        goal=Goal(accuracy=0.85),
        budget=budget,
    )
    found = CrowdWorld(spec, 120, accuracies, np.random.default_rng(11))
    found.predict(accuracy=0.75)
    (prediction,) = found.stores.chunks.predictions(JOB)
    lines = "".join(json.dumps({"position": position}) + "\n" for position in FAILED)
    path = paths.model_failures(JOB, prediction.model_version, prediction.number)
    found.stores.objects.write(path, lines.encode())
    return found


def test_an_item_that_neither_the_model_nor_anybody_labelled_is_marked() -> None:
    # Given a job that buys no answer
    given = world(Budget(answers_max=0), accuracies=())
    # When it is done
    given.stage().run(given.desk())
    # Then what the model failed on is told from what it labelled, in results, export and counts
    marked = [row["position"] for row in given.exported() if row["model_failed"]]
    assert marked == FAILED
    assert given.desk().job.progress.model_failed == len(FAILED)
    # And whoever ends the job again counts the same
    given.stage().run(given.desk())
    assert given.desk().job.progress.model_failed == len(FAILED)


def test_an_item_that_the_crowd_labelled_is_not_marked() -> None:
    # Given a crowd that is asked of every item the model is not sure of
    given = world(Budget(), accuracies=(0.95,) * 8)
    # When it is done
    given.stage().run(given.desk())
    # Then whatever is marked has no answer, and what has one is not
    rows = {row["position"]: row for row in given.exported()}
    for position in FAILED:
        answered = rows[position]["answers"] or rows[position]["audited"]
        assert rows[position]["model_failed"] == (not answered)
    assert not any(row["model_failed"] for at, row in rows.items() if at not in FAILED)

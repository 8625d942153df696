"""How many questions a job has open, told while it asks."""

from dataclasses import replace

import numpy as np

from cluster.domain.jobs import Goal
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.worlds import JOB, job


def test_a_job_tells_how_many_questions_are_open_until_none_is() -> None:
    # Given a job whose crowd answers for a while
    spec = replace(job().spec, goal=Goal(accuracy=0.85))
    crowd = (0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.9, 0.9)
    given = CrowdWorld(spec, 240, crowd, np.random.default_rng(11))
    given.predict(accuracy=0.6)
    stage, told = given.stage(), list[tuple[int, int]]()

    def watched(seconds: float) -> None:
        given.wait(seconds)
        wanted = [report for each in given.shards for report in each.reports(JOB)]
        shards_say = sum(report.wanted + report.leased for report in wanted)
        told.append((given.stores.jobs.load(JOB).progress.open_questions, shards_say))

    stage._wait = watched

    # When the stage runs
    stage.run(given.desk())

    # Then what is told is what the shards said a look or two before, and nothing in the end
    half = len(told) // 2
    around = [said for _, said in told[half - 2 : half + 1]]
    assert min(around) <= told[half][0] <= max(around)
    assert 0 < told[half][0] < told[1][0]
    assert given.stores.jobs.load(JOB).progress.open_questions == 0

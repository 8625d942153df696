"""Stages as spans below the request by which their job was submitted."""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.domain.jobs import JobState
from cluster.runner import JobDesk, Stage
from cluster.tracing import Tracing


@dataclass(frozen=True, slots=True)
class TracedStage:
    """A `Stage` each run of which is a span; what it calls are spans below."""

    stage: Stage
    state: JobState
    tracing: Tracing

    def run(self, desk: JobDesk) -> JobState:
        """Do the work and return the next state; raises what the stage raises."""
        job = desk.job
        with self.tracing.span(f"job.{self.state}", job.spec.traceparent, job_id=job.job_id):
            return self.stage.run(desk)


def traced(stages: Mapping[JobState, Stage], tracing: Tracing) -> Mapping[JobState, Stage]:
    """Return stages that are traced; the same ones where nothing is."""
    if not tracing.is_on:
        return stages
    return {state: TracedStage(stage, state, tracing) for state, stage in stages.items()}

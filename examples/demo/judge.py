"""From a finished job to its figures: what was delivered, judged against gold."""

from collections import Counter
from collections.abc import Mapping, Sequence

from examples.demo.crew import Crew, Given, Hired
from examples.demo.measure import (
    pace,
    part,
    promotions,
    reliability,
    stage_spans,
    states_entered,
)
from examples.demo.run_data import CertifiedPart, JobRun, WorkerRun
from examples.demo.scenarios import Comparison
from examples.demo.watch import JobWatch
from serve_apps.gateway.schemas.results import ResultView


def judge_job(
    watched: JobWatch,
    results: Sequence[ResultView],
    comparison: Comparison,
    given: Sequence[Given],
) -> JobRun:
    """Return everything the report says of one job; `given` are the answers to all jobs."""
    job, dataset = watched.job, watched.dataset
    progress, gold = job.progress, dataset.gold
    labels = {result.item_id: result.label for result in results}
    auto = {result.item_id: result.label for result in results if not result.answers}
    crowd = {item: label for item, label in labels.items() if item not in auto}
    known = [result for result in results if result.item_id in gold]
    states = states_entered(watched.events, watched.demo_start)
    start = watched.demo_start.timestamp()
    return JobRun(
        name=dataset.name,
        title=dataset.title,
        tenant=watched.tenant,
        modality=dataset.modality,
        labels=dataset.label_set.names,
        state=job.state,
        items=progress.items,
        goal_accuracy=job.goal.accuracy,
        confidence=job.goal.confidence,
        overall=part(labels, gold),
        auto=part(auto, gold),
        crowd=part(crowd, gold),
        asked=progress.asked,
        label_answers=progress.answers - progress.audit_answers,
        audit_answers=progress.audit_answers,
        cost=progress.cost,
        trainings=progress.trainings,
        promotions=promotions(watched.events),
        model_version=max((result.model_version for result in results), default=None),
        certificate=_certificate(watched),
        fixed=comparison.fixed,
        fixed_by=comparison.by,
        reliability=reliability(
            [result.probability for result in known],
            [gold[result.item_id] == result.label for result in known],
        ),
        samples=tuple(watched.samples),
        pace=pace([answer.at - start for answer in given if answer.job_id == job.id]),
        spans=stage_spans(states, progress.items, progress.answers),
        events=watched.timeline(),
    )


def judge_workers(crew: Crew) -> tuple[WorkerRun, ...]:
    """Return what every worker did; to be asked once the crew has stopped."""
    given = crew.given()
    total = Counter(answer.worker_id for answer in given)
    right = Counter(answer.worker_id for answer in given if answer.right)
    known = Counter(answer.worker_id for answer in given if answer.right is not None)
    return tuple(_worker(hired, total, right, known) for hired in crew.hired)


def _worker(
    hired: Hired, total: Mapping[str, int], right: Mapping[str, int], known: Mapping[str, int]
) -> WorkerRun:
    answers, judged = total[hired.worker_id], known[hired.worker_id]
    return WorkerRun(
        name=hired.name,
        persona=hired.persona,
        answers=answers,
        cost=answers * hired.price,
        accuracy=right[hired.worker_id] / judged if judged else None,
        estimated=None,
    )


def _certificate(watched: JobWatch) -> tuple[CertifiedPart, ...]:
    certificate = watched.job.certificate
    if certificate is None:
        return ()
    return tuple(
        CertifiedPart(
            name=stratum.name,
            items=stratum.items,
            audited=stratum.audited,
            estimate=stratum.accuracy_estimate,
            lower=stratum.accuracy_lower,
        )
        for stratum in certificate.strata
    )

"""`python -m benchmarks.kills`: a job of many items survives SIGKILL of every part of the service.

Starts `muster up` on fresh data, submits a job over plain HTTP, lets simulated workers answer,
and kills a model replica, a gateway, an allocator shard, the job's runner in each state of the job,
what of Ray Serve stands before and behind them, and twice all of the service at once, which is then
started again. In the end the job must be complete with each item once, every acknowledged answer
stored once, and none that was refused.
"""

import argparse
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from threading import Event
from time import monotonic

from rich.console import Console

from benchmarks.chaos.audit import AnswerAudit, ExportAudit, audit_answers, audit_export
from benchmarks.chaos.blows import Assailant, Blow, Hit, Part
from benchmarks.chaos.book import Book, Standing, sqlite_url
from benchmarks.chaos.corpus import Corpus, generate
from benchmarks.chaos.crowd import Crew, Crowd, Worker
from benchmarks.chaos.door import Door
from benchmarks.chaos.service import MusterUp
from benchmarks.chaos.submit import Submitted, submit
from benchmarks.figures import Figure, at_least, at_most, exactly, informing, present
from cluster.domain.jobs import JobState
from serve_apps.client import MusterClient

PARTITIONS = 8
"""Into how many partitions the job is cut, so that every shard owns some."""

LOOK_EVERY_S = 0.05

RUNNER_STATES = (
    JobState.INGESTING,
    JobState.PRELABELLING,
    JobState.LEARNING,
    JobState.ASKING,
    JobState.EXPORTING,
)

EXTRAS: tuple[Part, ...] = ("proxy", "controller", "supervisor", "service")
"""Parts that need not be killed. While the runner is away questions run out: its supervisor goes
last, and after it the whole service, which is killed while the model works as well."""

INLINE_ITEMS_MAX = 10_000
"""More items than this are uploaded as a file, as the service asks for."""

RECOVERY_MAX_S: Mapping[tuple[Part, str], float] = {
    ("gateway", "answers again"): 10.0,
    ("replica", "next chunk"): 30.0,
    ("proxy", "answers again"): 20.0,
    ("shard", "next lease"): 10.0,
    ("runner", "job goes on"): 30.0,
    ("service", "ready"): 90.0,
    ("service", "job goes on"): 120.0,
}
"""What a part may take at most; a model replica loads its model anew."""


class JobLost(Exception):
    """The job did not survive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run: the job, its crowd and the blows, in order."""

    items: int
    blows: tuple[Blow, ...]
    base_model: str = "minilm"
    accuracy: float = 0.97
    lease_ttl_s: float = 30.0
    crew: Crew = field(default_factory=Crew)
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run; `hits` are fewer than the plan's blows where the job ended before."""

    plan: Plan
    submitted: Submitted
    hits: tuple[Hit, ...]
    export: ExportAudit
    answers: AnswerAudit
    resent: int
    job_s: float


def blows(
    runner_in: Collection[JobState] = (JobState.ASKING,), extras: Sequence[Part] = ()
) -> tuple[Blow, ...]:
    """Return the blows in the order in which a job comes by them.

    One each to a model replica, a gateway and a shard, to the runner in each of the given states,
    and while the crowd answers to every further part.
    """
    asking = JobState.ASKING
    ordered = [
        Blow(part="runner", state=JobState.INGESTING),
        Blow(part="replica", state=JobState.PRELABELLING, done=0.1),
        Blow(part="runner", state=JobState.PRELABELLING, done=0.4),
        *(
            Blow(part=part, state=JobState.PRELABELLING, done=0.6)
            for part in extras
            if part == "service"
        ),
        Blow(part="gateway", state=asking, done=0.05),
        Blow(part="runner", state=JobState.LEARNING),
        Blow(part="shard", state=asking, done=0.4),
        *(Blow(part=part, state=asking, done=0.5) for part in sorted(extras, key=EXTRAS.index)),
        Blow(part="runner", state=asking, done=0.6),
        Blow(part="runner", state=JobState.EXPORTING),
    ]
    return tuple(blow for blow in ordered if blow.part != "runner" or blow.state in runner_in)


def run(plan: Plan, service: MusterUp, log: Console) -> Outcome:
    """Carry out a plan on a service that answers."""
    corpus = generate(plan.items, plan.seed)
    with (
        closing(Door(service.url, service.keys.client)) as client,
        closing(Door(service.url, service.keys.worker)) as gate,
    ):
        started_at = monotonic()
        request = _request(plan, corpus) | _source(service, corpus)
        submitted = submit(client, request, key=f"kills-{plan.seed}")
        log.print(f"{plan.items:,} items submitted {submitted.sent} times: {submitted.jobs} job")
        book = Book(sqlite_url(service.data_dir), submitted.job_id)
        workers = [Worker(gate, corpus, number, plan.seed) for number in range(plan.crew.workers)]
        idler = Worker(gate, corpus, len(workers), plan.seed)
        with Crowd(workers, plan.crew) as crowd:
            assailant = Assailant(service, book, crowd, idler)
            hits = _besiege(plan.blows, assailant, book, crowd, log)
        job_s = monotonic() - started_at
        crowd.check()
        standing = book.standing()
        if standing.state is not JobState.COMPLETED:
            raise JobLost(f"the job is {standing.state}: {standing.failure}")
        return Outcome(
            plan=plan,
            submitted=submitted,
            hits=tuple(hits),
            export=audit_export(client, submitted.job_id, corpus),
            answers=audit_answers(book, [*crowd.told, *idler.diary.told]),
            resent=crowd.resent,
            job_s=job_s,
        )


def figures(outcome: Outcome) -> list[Figure]:
    """Return what a run came to against what it should."""
    plan, export, answers = outcome.plan, outcome.export, outcome.answers
    return [
        exactly("kills dealt", len(outcome.hits), "kills", len(plan.blows)),
        exactly("jobs of all submits under one key", outcome.submitted.jobs, "jobs", 1),
        exactly("submits answered 201", outcome.submitted.created, "requests", 1),
        exactly("other body refused", outcome.submitted.mismatch, "requests", 1),
        exactly("items delivered", export.delivered, "items", plan.items),
        exactly("items missing", export.missing, "items", 0),
        exactly("items repeated", export.repeated, "items", 0),
        exactly("items nobody submitted", export.strangers, "items", 0),
        exactly("labels that differ between exports", export.differing, "items", 0),
        informing("accuracy", export.right / plan.items, "share"),
        informing("answers acknowledged", answers.acknowledged, "answers"),
        exactly("acknowledged answers lost", answers.lost, "answers", 0),
        exactly("answers stored otherwise than given", answers.changed, "answers", 0),
        exactly("answers stored twice", answers.twice, "answers", 0),
        exactly("refused answers stored", answers.smuggled, "answers", 0),
        exactly("stored answers not counted", answers.uncounted, "answers", 0),
        informing("stored answers nobody heard of", answers.unheard, "answers"),
        informing("requests sent again", outcome.resent, "requests"),
        *(figure for hit in outcome.hits for figure in _of_hit(hit)),
        informing("submit to completion", outcome.job_s, "s"),
    ]


def _of_hit(hit: Hit) -> Iterator[Figure]:
    state = f" ({hit.blow.state})" if hit.blow.part in ("runner", "service") else ""
    for what, seconds in hit.back_s:
        name, limit = f"{hit.blow.part}{state}: {what}", RECOVERY_MAX_S.get((hit.blow.part, what))
        # A job that learns gives no sign of life before its training has ended.
        if limit is None or hit.blow.state is JobState.LEARNING:
            yield informing(name, seconds, "s")
        else:
            yield at_most(name, seconds, "s", limit)
    if hit.blow.part == "shard":
        yield at_least("leases out over the kill of their shard", hit.held, "leases", 1)
        yield exactly("of these refused as expired", hit.refused, "leases", hit.held)
    if hit.blow.part == "service":
        when = f"kill of all while {hit.blow.state}"
        yield informing(f"{when}: chunks pre-labelled before", hit.kept, "chunks")
        yield exactly(f"{when}: of these pre-labelled again", hit.redone, "chunks", 0)


def _request(plan: Plan, corpus: Corpus) -> dict[str, object]:
    return {
        "name": f"kills {plan.seed}",
        "modality": "text",
        "labels": corpus.labels,
        "base_model": plan.base_model,
        "goal": {"accuracy": plan.accuracy},
        "crowd": {"lease_ttl_s": plan.lease_ttl_s},
        "seed": plan.seed,
    }


def _source(service: MusterUp, corpus: Corpus) -> dict[str, object]:
    """Return the fields of a submit that say where the items are, uploaded where they are many."""
    if len(corpus) <= INLINE_ITEMS_MAX:
        return {"items": corpus.items}
    with NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(item) + "\n" for item in corpus.items)
        file.flush()
        with MusterClient(service.url, service.keys.client) as client:
            upload = client.upload(Path(file.name))
    return {"upload_id": upload.id, "format": "jsonl"}


def _besiege(
    plan: Sequence[Blow], assailant: Assailant, book: Book, crowd: Crowd, log: Console
) -> list[Hit]:
    """Deal blow after blow, each when it is due, and return once the job has ended."""
    hits: list[Hit] = []
    left, pause = list(plan), Event()
    while not (standing := book.standing()).state.is_terminal:
        crowd.check()
        due = next((blow for blow in left if blow.is_due(standing)), None)
        if due is not None:
            left.remove(due)
            hits.append(assailant.strike(due))
            log.print(_line(hits[-1], standing))
        pause.wait(LOOK_EVERY_S)
    return hits


def _line(hit: Hit, standing: Standing) -> str:
    back = ", ".join(f"{what} after {seconds:.1f} s" for what, seconds in hit.back_s)
    return f"{hit.blow.part} killed while {standing.state}: {back}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=Crew().workers)
    parser.add_argument("--base-model", default="minilm")
    parser.add_argument("--accuracy", type=float, default=0.97)
    parser.add_argument("--trainings", type=int, default=1)
    parser.add_argument("--gateways", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kill-runner-in",
        nargs="*",
        type=JobState,
        default=list(RUNNER_STATES),
        choices=[JobState(state) for state in RUNNER_STATES],
    )
    parser.add_argument("--also", nargs="*", choices=EXTRAS, default=list(EXTRAS))
    parser.add_argument("--folder", type=Path, help="keep the service's data and log here")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark as the command line asks."""
    asked, log = _arguments(), Console(stderr=True, soft_wrap=True)
    plan = Plan(
        items=asked.items,
        blows=blows(asked.kill_runner_in, asked.also),
        base_model=asked.base_model,
        accuracy=asked.accuracy,
        crew=Crew(workers=asked.workers),
        seed=asked.seed,
    )
    settings = {
        "MUSTER_LEARNING__TRAININGS_MAX": str(asked.trainings),
        "MUSTER_HTTP__REPLICAS": str(asked.gateways),
        "MUSTER_ALLOCATOR__PARTITION_ITEMS_MAX": str(-(-asked.items // PARTITIONS)),
    }
    with TemporaryDirectory(prefix="muster-kills-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with MusterUp(folder, settings) as service:
            service.wait_ready()
            outcome = run(plan, service, log)
    present("kills", figures(outcome), Console(width=100))


if __name__ == "__main__":
    main()

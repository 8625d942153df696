"""Domain values with sensible contents, for tests to vary."""

from collections.abc import Callable
from dataclasses import replace

from cluster.domain.access import KeyRecord
from cluster.domain.ids import ItemId, JobId, KeyId, ModelName, ShardId, TenantId, WorkerId
from cluster.domain.items import Chunk, ChunkPrediction
from cluster.domain.jobs import (
    Amendment,
    Budget,
    Certificate,
    CrowdTerms,
    Goal,
    IdempotencyKey,
    Job,
    JobEvent,
    JobSpec,
    JobState,
    Progress,
    Source,
    Stratum,
)
from cluster.domain.labels import Label, LabelSet
from cluster.domain.lines import LineStep, Stage, Traffic
from cluster.domain.models import Lineage, ModelRecord, ModelSpec
from cluster.domain.results import ResultSegment
from cluster.domain.uploads import Upload
from cluster.domain.webhooks import (
    Attempt,
    Delivery,
    Notice,
    Verdict,
    Webhook,
    WebhookKind,
    WebhookState,
)
from cluster.domain.work import Answer, Partition, Purpose, WorkerProfile
from cluster.ports import AnswerLog

TENANT = TenantId("acme")
JOB = JobId("job-0001")
LABELS = LabelSet((Label("cat", "a small feline"), Label("dög")))
CERTIFICATE = Certificate(
    confidence=0.95,
    strata=(
        Stratum(name="overall", items=10, audited=4, accuracy_estimate=0.97, accuracy_lower=0.91),
    ),
)


def job_spec() -> JobSpec:
    """Return a spec with every field away from its default."""
    return JobSpec(
        name="pets ✓",
        modality="image",
        label_set=LABELS,
        source=Source(uri="s3://bucket/pets.csv", format="csv", id_field="n", content_field="url"),
        goal=Goal(accuracy=0.9, confidence=0.99),
        budget=Budget(answers_max=1_000, cost_max=0.1, deadline_s=3_600.5),
        crowd=CrowdTerms(required_skills=frozenset({"vet", "de"}), instructions="look\nclosely"),
        base_model="resnet",
        weight=2.5,
        seed=7,
    )


def amendment() -> Amendment:
    """Return other terms than the spec's."""
    return Amendment(weight=0.5, budget=Budget(answers_max=None, cost_max=2.5, deadline_s=9.0))


def job(number: int = 1, tenant_id: TenantId = TENANT, state: JobState = JobState.QUEUED) -> Job:
    """Return a new job; ids rise with `number`."""
    return Job(
        job_id=JobId(f"job-{number:04d}"),
        tenant_id=tenant_id,
        spec=job_spec(),
        model_name=ModelName("acme/pets"),
        state=state,
        created_at=1_700_000_000.125,
        updated_at=1_700_000_000.125,
        progress=Progress(items=3, cost=0.3),
    )


def key(name: str = "retry-1", fingerprint: str = "sha") -> IdempotencyKey:
    """Return a client's retry key."""
    return IdempotencyKey(key=name, fingerprint=fingerprint)


def event(kind: str = "state", job_id: JobId = JOB, **figures: float) -> JobEvent:
    """Return an event that is not stored yet."""
    return JobEvent(job_id=job_id, kind=kind, at=12.5, message=f"it is {kind}", figures=figures)


def chunk(number: int, job_id: JobId = JOB, rows: int = 10) -> Chunk:
    """Return a chunk of equally sized ones."""
    return Chunk(
        job_id=job_id,
        number=number,
        first_position=number * rows,
        rows=rows,
        items_path=f"jobs/{job_id}/items/{number:06d}.parquet",
    )


def prediction(number: int, version: int, job_id: JobId = JOB) -> ChunkPrediction:
    """Return where a model version's pre-labels of a chunk lie."""
    return ChunkPrediction(
        job_id=job_id,
        number=number,
        model_version=version,
        line_revision=version + 1,
        predictions_path=f"jobs/{job_id}/predictions/{version:06d}/{number:06d}.parquet",
    )


def partition(number: int = 0, shard: int = 0, job_id: JobId = JOB) -> Partition:
    """Return a partition of 1,000 items, not acquired yet."""
    return Partition(
        job_id=job_id,
        number=number,
        first_position=number * 1_000,
        items=1_000,
        shard_id=ShardId(shard),
    )


def answer(
    position: int = 0,
    worker: str = "ann",
    label: int = 1,
    purpose: Purpose = "label",
    job_id: JobId = JOB,
) -> Answer:
    """Return one worker's answer."""
    return Answer(
        job_id=job_id,
        position=position,
        worker_id=WorkerId(worker),
        label=label,
        purpose=purpose,
        price=0.03,
        answered_at=1_700_000_000.5 + position,
        duration_s=4.25,
    )


def worker(worker_id: str, skills: frozenset[str] = frozenset({"vet", "de"})) -> WorkerProfile:
    """Return a registered worker."""
    return WorkerProfile(
        worker_id=WorkerId(worker_id),
        owner=KeyId("key-1"),
        name="Ann Ångström",
        kind="llm",
        skills=skills,
        price=0.01,
        registered_at=1_700_000_000.0,
    )


def step(revision: int = 1, version: int = 0, stage: Stage = Stage.LIVE, live: int = 0) -> LineStep:
    """Return a step of acme's line of pets."""
    return LineStep(
        name=ModelName("acme/pets"),
        revision=revision,
        version=version,
        stage=stage,
        over=live - 1 if live else None,
        live=live,
        by="job-0001",
        reason="better on 40 audited items",
        p_value=0.01 if version else None,
        at=1_000.0 + revision,
    )


def traffic(version: int = 1, stage: Stage = Stage.SHADOW) -> Traffic:
    """Return what a gateway has seen of a version of acme's line of pets."""
    return Traffic(
        name=ModelName("acme/pets"),
        version=version,
        stage=stage,
        items=10,
        disagreed=3,
        failed=2,
        live_failed=1,
        seconds=0.5,
        live_seconds=0.25,
        last_at=1_000.0,
    )


def model(version: int = 1, name: str = "acme/pets") -> ModelRecord:
    """Return a trained version, or the zero-shot one for version 0."""
    lineage = Lineage(
        job_id=JOB,
        round=2,
        parent=version - 1,
        recipe="head",
        snapshot_path="jobs/job-0001/snapshots/000002",
        snapshot_hash="ab12",
        code_version="0.1.0",
        seed=3,
    )
    return ModelRecord(
        spec=ModelSpec(
            name=ModelName(name),
            version=version,
            base_model="resnet",
            modality="image",
            label_set=LABELS,
            weights_path=f"models/pets/{version:06d}" if version else None,
        ),
        lineage=lineage if version else None,
        metrics={"accuracy": 0.93, "items": 12.0},
        created_at=1_700_000_000.0,
    )


def segment(number: int, first_row: int, rows: int, job_id: JobId = JOB) -> ResultSegment:
    """Return a run of final labels."""
    return ResultSegment(
        job_id=job_id,
        number=number,
        first_row=first_row,
        rows=rows,
        path=f"jobs/{job_id}/results/{number:06d}.parquet",
    )


def api_key(key_id: str = "key-1") -> KeyRecord:
    """Return an API key as stored."""
    return KeyRecord(
        key_id=KeyId(key_id),
        secret_sha256=bytes(range(32)),
        tenant_id=TENANT,
        role="client",
        created_at=1_700_000_000.0,
    )


def follow(log: AnswerLog, is_over: Callable[[], bool]) -> list[int]:
    """Page through the answers of the sample job until it is over; return the positions seen."""
    seen: list[int] = []
    after = 0
    while True:
        over = is_over()
        page = log.read(JOB, after, 7)
        if over and not len(page):
            return seen
        seen += page.positions.tolist()
        after = int(page.seq[-1]) if len(page) else after


def item_id(position: int) -> ItemId:
    """Return the client's name of an item."""
    return ItemId(f"item-{position}")


def upload(upload_id: str = "upl-1") -> Upload:
    return Upload(
        upload_id=upload_id,
        tenant_id=TENANT,
        length_bytes=100,
        received_bytes=0,
        parts=0,
        metadata="filename aXRlbXMuY3N2",
        expires_at=100.0,
    )


def webhook(webhook_id: str = "whk-1", tenant_id: TenantId = TENANT) -> Webhook:
    """Return an endpoint that nothing was sent to yet."""
    return Webhook(
        webhook_id=webhook_id,
        tenant_id=tenant_id,
        url="https://hooks.example/muster?a=b",
        kinds=frozenset({WebhookKind.JOB_COMPLETED, WebhookKind.JOB_FAILED}),
        description="our ✓ receiver",
        secret="whsec_YQ==",  # noqa: S106
        created_at=1_700_000_000.25,
    )


def delivery(
    message_id: str = "msg_1", webhook_id: str = "whk-1", due_at: float = 50.0
) -> Delivery:
    """Return a message that is on its way."""
    return Delivery(
        webhook_id=webhook_id,
        message_id=message_id,
        body='{"type":"job.completed"}',
        created_at=40.5,
        due_at=due_at,
    )


def notice() -> Notice:
    """Return an event that webhooks may tell of, as it is stored."""
    return Notice(kind=WebhookKind.JOB_PAUSED, event=replace(event("paused"), seq=1))


def verdict(
    at: float = 60.0,
    status: int | None = 500,
    due_at: float | None = 65.0,
    state: WebhookState = WebhookState.ENABLED,
) -> Verdict:
    """Return what came of an attempt."""
    error = "no answer within 15 s" if status is None else None
    attempt = Attempt(at=at, status=status, error=error)
    return Verdict(attempt=attempt, due_at=due_at, state=state)

"""Every metric of the service (docs/observability.md is made from this)."""

from typing import Final

from cluster.domain.jobs import JobState
from cluster.domain.webhooks import WebhookKind
from cluster.telemetry.metrics import Counter, Gauge, Histogram, Label, Metric

_RUNNING = frozenset(state.value for state in JobState if not state.is_terminal)
_ENDED = frozenset({"completed", "cancelled", "failed"})

ROUTE = Label("route", values_max=200)
SHARD = Label("shard", values_max=1_000)
JOB = Label("job_id", values_max=100)
TENANT = Label("tenant", values_max=50)
STATE = Label("state", _RUNNING)

QUICK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONG_S = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0)
ROWS = (1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0)

# The gateways

HTTP_REQUESTS: Final = Counter(
    name="muster_http_requests",
    meaning="Requests that were answered; a route is a path as the API describes it.",
    labels=(Label("method", values_max=10), ROUTE, Label("status", values_max=60)),
)
HTTP_SECONDS: Final = Histogram(
    name="muster_http_request_seconds",
    unit="seconds",
    meaning="Time from a request's head to the head of its answer.",
    labels=(ROUTE,),
    bounds=QUICK_S,
)
HTTP_REFUSALS: Final = Counter(
    name="muster_http_refusals",
    meaning="Requests answered by a problem; the reason is the end of the problem's type.",
    labels=(Label("reason", values_max=100),),
)

# Jobs, as the leader's supervisor reads them from the database

JOBS: Final = Gauge(name="muster_jobs", meaning="Jobs that have not ended.", labels=(STATE,))
JOBS_PAUSED: Final = Gauge(name="muster_jobs_paused", meaning="Jobs that their owner has paused.")
JOBS_WAITING: Final = Gauge(
    name="muster_jobs_waiting", meaning="Jobs that want a runner and have none."
)
JOBS_ENDED: Final = Counter(
    name="muster_jobs_ended", meaning="Jobs that have ended.", labels=(Label("state", _ENDED),)
)
JOBS_SHORT: Final = Counter(
    name="muster_jobs_short_of_goal",
    meaning="Jobs that completed with a certificate below their goal.",
)
STAGE_SECONDS: Final = Histogram(
    name="muster_job_stage_seconds",
    unit="seconds",
    meaning="How long a runner was at a job's stage, told when it left it; from its last restart.",
    labels=(STATE,),
    bounds=LONG_S,
)
JOB_GOAL: Final = Gauge(
    name="muster_job_goal_accuracy",
    unit="ratio",
    meaning="The accuracy that a running job has promised.",
    labels=(JOB,),
)
JOB_EXPECTED: Final = Gauge(
    name="muster_job_expected_accuracy",
    unit="ratio",
    meaning="The accuracy that the consensus of a running job expects of itself.",
    labels=(JOB,),
)
JOB_REACHABLE: Final = Gauge(
    name="muster_job_reachable_accuracy",
    unit="ratio",
    meaning="About what a running job's certificate can say in the end, at best.",
    labels=(JOB,),
)
JOB_CERTIFIED: Final = Gauge(
    name="muster_job_certified_accuracy",
    unit="ratio",
    meaning="The lower bound that a running job's newest certificate gives; none before its first.",
    labels=(JOB,),
)
JOB_ITEMS: Final = Gauge(
    name="muster_job_items",
    meaning="Items of a running job: all that were accepted, and those whose label is delivered.",
    labels=(JOB, Label("part", frozenset({"accepted", "delivered"}))),
)
JOB_OPEN: Final = Gauge(
    name="muster_job_open_questions",
    meaning="Questions of a running job that are out, or would be asked next.",
    labels=(JOB,),
)
JOB_IDLE: Final = Gauge(
    name="muster_job_idle_seconds",
    unit="seconds",
    meaning="How long ago a running job last came further; paused jobs are not told.",
    labels=(JOB, STATE),
)
ITEMS_INGESTED: Final = Counter(
    name="muster_items_ingested", unit="rows", meaning="Rows of sources that became items."
)
ITEMS_REFUSED: Final = Counter(
    name="muster_items_refused",
    unit="rows",
    meaning="Rows of sources that became no item.",
    labels=(Label("why", frozenset({"rejected", "duplicate"})),),
)
ITEMS_PRELABELLED: Final = Counter(
    name="muster_items_prelabelled",
    unit="rows",
    meaning="Items that a model has labelled, again for every version.",
)
ITEMS_POISONED: Final = Counter(
    name="muster_items_poisoned", unit="rows", meaning="Items on which a model itself failed."
)
PRELABEL_BACKLOG: Final = Gauge(
    name="muster_prelabel_backlog_items",
    unit="rows",
    meaning="Items that jobs in the state `prelabelling` still have to pre-label.",
)
LABELS_DELIVERED: Final = Counter(
    name="muster_labels_delivered", unit="rows", meaning="Items whose first label was delivered."
)
ANSWERS_BOUGHT: Final = Counter(
    name="muster_answers_bought",
    meaning="Answers that jobs have counted: towards labels, and of audits.",
    labels=(Label("purpose", frozenset({"label", "audit"})),),
)
SPEND: Final = Counter(
    name="muster_spend",
    unit="money",
    meaning="What answers have cost, by tenant.",
    labels=(TENANT,),
)
THOUSAND_COST: Final = Gauge(
    name="muster_cost_per_thousand_labels",
    unit="money",
    meaning="What a running job has spent, for each thousand labels delivered so far.",
    labels=(JOB,),
)
TRAININGS: Final = Counter(name="muster_trainings", meaning="Models that jobs have trained.")

# The supervisor

SUPERVISOR_AT: Final = Gauge(
    name="muster_supervisor_heartbeat",
    unit="seconds",
    meaning="When the supervisor last looked after its jobs, in seconds since 1970.",
)
RUNNERS: Final = Gauge(name="muster_runners", meaning="Jobs that have a runner now.")
RUNNERS_LOST: Final = Counter(
    name="muster_runners_lost",
    meaning="Runners that ended before their job: killed, or by an error of their own.",
    labels=(Label("why", frozenset({"killed", "broken"})),),
)
LEADS: Final = Gauge(
    name="muster_leads", meaning="1 where a cluster leads, 0 where it waits; none from `muster up`."
)
PART_READY: Final = Gauge(
    name="muster_part_ready",
    meaning="1 where a part of the service answers the supervisor, else 0.",
    labels=(Label("part", values_max=1_000),),
)
DISK_FREE: Final = Gauge(
    name="muster_disk_free_bytes",
    unit="bytes",
    meaning="Room left on the disk of the data folder, at the supervisor.",
)
DISK_SIZE: Final = Gauge(
    name="muster_disk_size_bytes",
    unit="bytes",
    meaning="Size of the disk of the data folder, at the supervisor.",
)

# The allocator's shards

CLAIMS: Final = Counter(
    name="muster_claims", meaning="Calls of workers for questions.", labels=(SHARD,)
)
LEASES_GRANTED: Final = Counter(
    name="muster_leases_granted", meaning="Questions that were leased to workers.", labels=(SHARD,)
)
LEASES_EXPIRED: Final = Counter(
    name="muster_leases_expired", meaning="Leases that ran out unanswered.", labels=(SHARD,)
)
LEASES_OUT: Final = Gauge(
    name="muster_leases_out", meaning="Leases that are out now.", labels=(SHARD,)
)
ANSWERS: Final = Counter(
    name="muster_answers",
    meaning="Answers of workers: stored, stored before, refused, or turned away for a while.",
    labels=(SHARD, Label("outcome", frozenset({"stored", "replayed", "refused", "unavailable"}))),
)
WRITE_SECONDS: Final = Histogram(
    name="muster_answer_write_seconds",
    unit="seconds",
    meaning="How long one write to the answer log took, for all answers in it.",
    labels=(SHARD,),
    bounds=QUICK_S,
)
WRITE_ROWS: Final = Histogram(
    name="muster_answer_write_rows",
    unit="rows",
    meaning="Answers that came to a shard together, to be written together.",
    labels=(SHARD,),
    bounds=ROWS,
)
OPEN_QUESTIONS: Final = Gauge(
    name="muster_open_questions",
    meaning="Questions that a shard would ask if somebody came.",
    labels=(SHARD,),
)
PARTITIONS: Final = Gauge(
    name="muster_partitions", meaning="Parts of jobs that a shard has.", labels=(SHARD,)
)
WORKERS_ACTIVE: Final = Gauge(
    name="muster_workers_active",
    meaning="Workers that claimed or answered at a shard in the last five minutes.",
    labels=(SHARD,),
)

# Model replicas

PRELABEL_SECONDS: Final = Histogram(
    name="muster_prelabel_seconds",
    unit="seconds",
    meaning="How long a replica took for a chunk, or for an online request.",
    labels=(Label("kind", frozenset({"chunk", "online"})),),
    bounds=(*QUICK_S, 120.0, 600.0),
)
PRELABEL_ROWS: Final = Histogram(
    name="muster_prelabel_rows",
    unit="rows",
    meaning="Items in a chunk, or in an online request.",
    labels=(Label("kind", frozenset({"chunk", "online"})),),
    bounds=ROWS,
)
PRELABEL_ERRORS: Final = Counter(
    name="muster_prelabel_errors",
    meaning="Chunks and online requests that a replica failed on, by the class of the error.",
    labels=(Label("kind", frozenset({"chunk", "online"})), Label("error", values_max=30)),
)

# Webhooks

NOTICES: Final = Counter(
    name="muster_notices",
    meaning="What happened that tenants may be told of: ends of jobs, promotions, rollbacks.",
    labels=(Label("kind", frozenset(kind.value for kind in WebhookKind)),),
)
WEBHOOK_ATTEMPTS: Final = Counter(
    name="muster_webhook_attempts",
    meaning="Messages sent to webhooks: taken, to be sent again, or given up.",
    labels=(Label("outcome", frozenset({"taken", "again", "given_up"})),),
)
WEBHOOK_BACKLOG: Final = Gauge(
    name="muster_webhook_backlog",
    meaning="Webhooks that have had a message due for over a minute.",
)

CATALOGUE: Final[tuple[Metric, ...]] = (
    HTTP_REQUESTS,
    HTTP_SECONDS,
    HTTP_REFUSALS,
    JOBS,
    JOBS_PAUSED,
    JOBS_WAITING,
    JOBS_ENDED,
    JOBS_SHORT,
    STAGE_SECONDS,
    JOB_GOAL,
    JOB_EXPECTED,
    JOB_REACHABLE,
    JOB_CERTIFIED,
    JOB_ITEMS,
    JOB_OPEN,
    JOB_IDLE,
    ITEMS_INGESTED,
    ITEMS_REFUSED,
    ITEMS_PRELABELLED,
    ITEMS_POISONED,
    PRELABEL_BACKLOG,
    LABELS_DELIVERED,
    ANSWERS_BOUGHT,
    SPEND,
    THOUSAND_COST,
    TRAININGS,
    SUPERVISOR_AT,
    RUNNERS,
    RUNNERS_LOST,
    LEADS,
    PART_READY,
    DISK_FREE,
    DISK_SIZE,
    CLAIMS,
    LEASES_GRANTED,
    LEASES_EXPIRED,
    LEASES_OUT,
    ANSWERS,
    WRITE_SECONDS,
    WRITE_ROWS,
    OPEN_QUESTIONS,
    PARTITIONS,
    WORKERS_ACTIVE,
    PRELABEL_SECONDS,
    PRELABEL_ROWS,
    PRELABEL_ERRORS,
    NOTICES,
    WEBHOOK_ATTEMPTS,
    WEBHOOK_BACKLOG,
)

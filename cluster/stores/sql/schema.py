"""The tables, as `migrations` leaves them behind (a test compares the two).

Nested values nobody queries (specs, progress, certificates, lineage) are JSON text beside the
columns that are queried. No job id is a foreign key: rows of a job are written by owners that
hold the job, and jobs are never deleted. Nor is a number of `names`: they are never deleted either,
and to have PostgreSQL look each one up again made an answer three times as dear to store.
"""

from typing import Any

from sqlalchemy import (
    TEXT,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

HEAD = "0013"
"""The migration that makes a database fit these tables."""

KEY: TypeEngine[str] = String().with_variant(TEXT(collation="C"), "postgresql")
"""Text that is paged by: ordered by code point everywhere, as Python orders it."""

REF: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit row number; SQLite gives one out only for the type name INTEGER."""


def _col(name: str, kind: TypeEngine[Any], **options: Any) -> Column[Any]:
    return Column(name, kind, **{"nullable": False, **options})


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    _col("job_id", KEY, primary_key=True),
    _col("tenant_id", KEY),
    _col("spec", Text()),
    _col("model_name", KEY),
    _col("state", String()),
    _col("finished", Boolean()),
    _col("revision", Integer()),
    _col("created_at", Float(53)),
    _col("updated_at", Float(53)),
    _col("cancel_requested", Boolean()),
    _col("paused", Boolean()),
    _col("amendment", Text()),
    _col("progress", Text()),
    _col("certificate", Text()),
    _col("failure", Text(), nullable=True),
    _col("stored_items", BigInteger()),
    _col("source_uri", KEY),
    _col("expires_at", Float(53), nullable=True),
    Index(None, "tenant_id", "job_id"),
    Index(None, "tenant_id", "finished"),
    Index(None, "tenant_id", "source_uri"),
    Index(None, "expires_at"),
    Index(None, "finished", "job_id"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    _col("tenant_id", KEY, primary_key=True),
    _col("key", KEY, primary_key=True),
    _col("fingerprint", String()),
    _col("job_id", KEY),
)

events = Table(
    "events",
    metadata,
    _col("job_id", KEY, primary_key=True),
    _col("seq", BigInteger(), primary_key=True),
    _col("kind", String()),
    _col("at", Float(53)),
    _col("message", Text()),
    _col("figures", Text()),
)

chunks = Table(
    "chunks",
    metadata,
    _col("job_id", KEY, primary_key=True),
    _col("number", Integer(), primary_key=True),
    _col("first_position", BigInteger()),
    _col("rows", Integer()),
    _col("items_path", String()),
    Index(None, "job_id", "first_position"),
)

predictions = Table(
    "predictions",
    metadata,
    _col("job_id", KEY, primary_key=True),
    _col("number", Integer(), primary_key=True),
    _col("model_version", Integer()),
    _col("line_revision", BigInteger()),
    _col("predictions_path", String()),
)

partitions = Table(
    "partitions",
    metadata,
    _col("job_id", KEY, primary_key=True),
    _col("number", Integer(), primary_key=True),
    _col("first_position", BigInteger()),
    _col("items", BigInteger()),
    _col("shard_id", Integer()),
    _col("epoch", BigInteger()),
    Index(None, "shard_id", "job_id", "number"),
)

names = Table(
    "names",
    metadata,
    _col("ref", REF, primary_key=True),
    _col("name", KEY),
    UniqueConstraint("name"),
)
"""Small numbers for the long ids of the one large table."""

answers = Table(
    "answers",
    metadata,
    _col("job_ref", BigInteger(), primary_key=True, autoincrement=False),
    _col("seq", BigInteger(), primary_key=True, autoincrement=False),
    _col("position", BigInteger()),
    _col("worker_ref", BigInteger()),
    _col("label", SmallInteger()),
    _col("audit", Boolean()),
    _col("price", Float(53)),
    _col("answered_at", Float(53)),
    _col("duration_s", Float(53)),
    UniqueConstraint("job_ref", "position", "worker_ref"),
    sqlite_with_rowid=False,
)

worker_totals = Table(
    "worker_totals",
    metadata,
    _col("worker_ref", BigInteger(), primary_key=True, autoincrement=False),
    _col("answers", BigInteger()),
    _col("earned", Float(53)),
    _col("first_answered_at", Float(53)),
    _col("last_answered_at", Float(53)),
    sqlite_with_rowid=False,
)
"""What the answers of each worker come to, counted where they are appended."""

workers = Table(
    "workers",
    metadata,
    _col("worker_id", KEY, primary_key=True),
    _col("owner", KEY),
    _col("name", String()),
    _col("kind", String()),
    _col("skills", Text()),
    _col("price", Float(53)),
    _col("registered_at", Float(53)),
    _col("paused", Boolean()),
)

keys = Table(
    "api_keys",
    metadata,
    _col("key_id", KEY, primary_key=True),
    _col("secret_sha256", LargeBinary()),
    _col("tenant_id", KEY),
    _col("role", String()),
    _col("created_at", Float(53)),
    _col("revoked", Boolean()),
    _col("clearances", Text()),
)

models = Table(
    "models",
    metadata,
    _col("name", KEY, primary_key=True),
    _col("version", Integer(), primary_key=True, autoincrement=False),
    _col("spec", Text()),
    _col("lineage", Text()),
    _col("metrics", Text()),
    _col("created_at", Float(53)),
)

live_models = Table(
    "live_models",
    metadata,
    _col("name", KEY, primary_key=True),
    _col("version", Integer()),
    _col("revision", BigInteger()),
    _col("candidate", Integer(), nullable=True),
    ForeignKeyConstraint(["name", "version"], ["models.name", "models.version"]),
    Index(None, "candidate", "name"),
)
"""How each line stands: what its newest step says, where it can be compared and set."""

line_steps = Table(
    "line_steps",
    metadata,
    _col("name", KEY, primary_key=True),
    _col("revision", BigInteger(), primary_key=True, autoincrement=False),
    _col("version", Integer()),
    _col("stage", String()),
    _col("over", Integer(), nullable=True),
    _col("live", Integer()),
    _col("by", KEY),
    _col("reason", Text()),
    _col("p_value", Float(53), nullable=True),
    _col("at", Float(53)),
    Index(None, "name", "version", "revision"),
)

model_traffic = Table(
    "model_traffic",
    metadata,
    _col("name", KEY, primary_key=True),
    _col("version", Integer(), primary_key=True, autoincrement=False),
    _col("stage", String(), primary_key=True),
    _col("items", BigInteger()),
    _col("disagreed", BigInteger()),
    _col("failed", BigInteger()),
    _col("live_failed", BigInteger()),
    _col("seconds", Float(53)),
    _col("live_seconds", Float(53)),
    _col("last_at", Float(53)),
)
"""What online requests have shown of versions."""

segments = Table(
    "result_segments",
    metadata,
    _col("job_id", KEY, primary_key=True),
    _col("number", Integer(), primary_key=True),
    _col("first_row", BigInteger()),
    _col("end_row", BigInteger()),
    _col("path", String()),
    Index(None, "job_id", "end_row"),
)

uploads = Table(
    "uploads",
    metadata,
    _col("upload_id", KEY, primary_key=True),
    _col("tenant_id", KEY),
    _col("length_bytes", BigInteger()),
    _col("received_bytes", BigInteger()),
    _col("parts", Integer()),
    _col("metadata", Text()),
    _col("whole", Boolean()),
    _col("expires_at", Float(53)),
    Index(None, "tenant_id", "whole"),
    Index(None, "tenant_id", "upload_id"),
    Index(None, "whole", "expires_at"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    _col("upload_id", KEY, primary_key=True),
    _col("offset_bytes", BigInteger(), primary_key=True, autoincrement=False),
    _col("size_bytes", BigInteger()),
    _col("path", String()),
)

tenant_quotas = Table(
    "tenant_quotas",
    metadata,
    _col("tenant_id", KEY, primary_key=True),
    _col("jobs_unfinished_max", BigInteger(), nullable=True),
    _col("items_max", BigInteger(), nullable=True),
    _col("upload_bytes_max", BigInteger(), nullable=True),
)
"""How the quotas of some tenants differ from everybody's."""

notices = Table(
    "notices",
    metadata,
    _col("job_id", KEY, primary_key=True),
    _col("seq", BigInteger(), primary_key=True, autoincrement=False),
    _col("webhook_kind", String()),
)
"""Events that webhooks may tell of, until somebody has seen to it."""

webhooks = Table(
    "webhooks",
    metadata,
    _col("webhook_id", KEY, primary_key=True),
    _col("tenant_id", KEY),
    _col("url", Text()),
    _col("kinds", Text()),
    _col("description", Text()),
    _col("secret", String()),
    _col("created_at", Float(53)),
    _col("old_secret", String(), nullable=True),
    _col("old_secret_until", Float(53), nullable=True),
    _col("state", String()),
    _col("last_at", Float(53), nullable=True),
    _col("last_status", Integer(), nullable=True),
    _col("last_error", Text(), nullable=True),
    _col("last_success_at", Float(53), nullable=True),
    _col("due_at", Float(53), nullable=True),
    _col("claimed_until", Float(53)),
    Index(None, "tenant_id", "webhook_id"),
    Index(None, "due_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    _col("webhook_id", KEY, primary_key=True),
    _col("message_id", KEY, primary_key=True),
    _col("body", Text()),
    _col("created_at", Float(53)),
    _col("due_at", Float(53)),
    _col("attempts", Integer()),
    Index(None, "webhook_id", "due_at"),
)

audit_log = Table(
    "audit_log",
    metadata,
    _col("seq", BigInteger(), primary_key=True, autoincrement=False),
    _col("at", Float(53)),
    _col("tenant_id", KEY),
    _col("actor", KEY),
    _col("action", String()),
    _col("subject", Text()),
    _col("request_id", String()),
    _col("details_sha256", LargeBinary()),
    _col("previous_sha256", LargeBinary()),
    _col("sha256", LargeBinary()),
)
"""Who did what, each entry tied by its hash to all before it; rows are only ever added."""

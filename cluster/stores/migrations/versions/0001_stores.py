"""All stores of the first version."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.String().with_variant(sa.TEXT(collation="C"), "postgresql")
_REF = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_jobs()
    _create_ledger()
    _create_work()
    _create_people()
    _create_models()


def downgrade() -> None:
    for table in (
        "live_models",
        "models",
        "api_keys",
        "workers",
        "answers",
        "names",
        "partitions",
        "result_segments",
        "predictions",
        "chunks",
        "events",
        "idempotency_keys",
        "jobs",
    ):
        op.drop_table(table)


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("job_id", _KEY, nullable=False),
        sa.Column("tenant_id", _KEY, nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("model_name", _KEY, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_finished_job_id"), "jobs", ["finished", "job_id"])
    op.create_index(op.f("ix_jobs_tenant_id_job_id"), "jobs", ["tenant_id", "job_id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", _KEY, nullable=False),
        sa.Column("key", _KEY, nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("job_id", _KEY, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "events",
        sa.Column("job_id", _KEY, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_events")),
    )


def _create_ledger() -> None:
    op.create_table(
        "chunks",
        sa.Column("job_id", _KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("items_path", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_chunks")),
    )
    op.create_table(
        "predictions",
        sa.Column("job_id", _KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("predictions_path", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_predictions")),
    )
    op.create_table(
        "result_segments",
        sa.Column("job_id", _KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first_row", sa.BigInteger(), nullable=False),
        sa.Column("end_row", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_result_segments")),
    )
    op.create_index(
        op.f("ix_result_segments_job_id_end_row"),
        "result_segments",
        ["job_id", "end_row"],
        unique=False,
    )


def _create_work() -> None:
    op.create_table(
        "partitions",
        sa.Column("job_id", _KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first_position", sa.BigInteger(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column("shard_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_partitions")),
    )
    op.create_index(
        op.f("ix_partitions_shard_id_job_id_number"), "partitions", ["shard_id", "job_id", "number"]
    )
    op.create_table(
        "names",
        sa.Column("ref", _REF, nullable=False),
        sa.Column("name", _KEY, nullable=False),
        sa.PrimaryKeyConstraint("ref", name=op.f("pk_names")),
        sa.UniqueConstraint("name", name=op.f("uq_names_name")),
    )
    op.create_table(
        "answers",
        sa.Column("job_ref", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("worker_ref", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.SmallInteger(), nullable=False),
        sa.Column("audit", sa.Boolean(), nullable=False),
        sa.Column("price", sa.Float(53), nullable=False),
        sa.Column("answered_at", sa.Float(53), nullable=False),
        sa.Column("duration_s", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(["job_ref"], ["names.ref"], name=op.f("fk_answers_job_ref")),
        sa.ForeignKeyConstraint(["worker_ref"], ["names.ref"], name=op.f("fk_answers_worker_ref")),
        sa.PrimaryKeyConstraint("job_ref", "seq", name=op.f("pk_answers")),
        sa.UniqueConstraint(
            "job_ref", "position", "worker_ref", name=op.f("uq_answers_job_ref_position_worker_ref")
        ),
        sqlite_with_rowid=False,
    )


def _create_people() -> None:
    op.create_table(
        "workers",
        sa.Column("worker_id", _KEY, nullable=False),
        sa.Column("owner", _KEY, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("skills", sa.Text(), nullable=False),
        sa.Column("price", sa.Float(53), nullable=False),
        sa.Column("registered_at", sa.Float(53), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("worker_id", name=op.f("pk_workers")),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", _KEY, nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", _KEY, nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
    )


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("name", _KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("lineage", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_models")),
    )
    op.create_table(
        "live_models",
        sa.Column("name", _KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["name", "version"],
            ["models.name", "models.version"],
            name=op.f("fk_live_models_name_version"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_live_models")),
    )

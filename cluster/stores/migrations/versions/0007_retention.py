"""What jobs hold and until when, and exceptions from the quotas of tenants."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KEY = sa.String().with_variant(sa.TEXT(collation="C"), "postgresql")
_JOBS_AT_ONCE = 1_000


def upgrade() -> None:
    # The defaults are for the jobs there are; whoever writes one gives both.
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(
            sa.Column("stored_items", sa.BigInteger(), nullable=False, server_default="0")
        )
        batch.add_column(sa.Column("source_uri", _KEY, nullable=False, server_default=""))
        batch.add_column(sa.Column("expires_at", sa.Float(53), nullable=True))
    _fill(op.get_bind())
    op.create_index(op.f("ix_jobs_tenant_id_finished"), "jobs", ["tenant_id", "finished"])
    op.create_index(op.f("ix_jobs_tenant_id_source_uri"), "jobs", ["tenant_id", "source_uri"])
    op.create_index(op.f("ix_jobs_expires_at"), "jobs", ["expires_at"])
    op.create_table(
        "tenant_quotas",
        sa.Column("tenant_id", _KEY, nullable=False),
        sa.Column("jobs_unfinished_max", sa.BigInteger(), nullable=True),
        sa.Column("items_max", sa.BigInteger(), nullable=True),
        sa.Column("upload_bytes_max", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant_quotas")),
    )


def downgrade() -> None:
    op.drop_table("tenant_quotas")
    for name in ("expires_at", "tenant_id_source_uri", "tenant_id_finished"):
        op.drop_index(op.f(f"ix_jobs_{name}"), "jobs")
    with op.batch_alter_table("jobs") as batch:
        for name in ("expires_at", "source_uri", "stored_items"):
            batch.drop_column(name)


def _fill(connection: sa.Connection) -> None:
    """Write what the jobs there are hold, and where it was read from, into the new columns."""
    jobs = sa.table(
        "jobs", *map(sa.column, ("job_id", "spec", "progress", "stored_items", "source_uri"))
    )
    page = sa.select(jobs.c.job_id, jobs.c.spec, jobs.c.progress).order_by(jobs.c.job_id)
    change = (
        sa.update(jobs)
        .where(jobs.c.job_id == sa.bindparam("of_job"))
        .values(stored_items=sa.bindparam("its_items"), source_uri=sa.bindparam("its_source"))
    )
    after = ""
    while True:
        of_page = page.where(jobs.c.job_id > after).limit(_JOBS_AT_ONCE)
        rows = connection.execute(of_page).all()
        if not rows:
            return
        connection.execute(change, [_filled(row) for row in rows])
        after = rows[-1].job_id


def _filled(row: sa.Row[Any, Any, Any]) -> dict[str, object]:
    return {
        "of_job": row.job_id,
        "its_items": json.loads(row.progress)["items"],
        "its_source": json.loads(row.spec)["source"]["uri"],
    }

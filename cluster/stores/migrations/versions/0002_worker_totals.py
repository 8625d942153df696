"""What each worker has given, counted where answers are appended."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worker_totals",
        sa.Column("worker_ref", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("answers", sa.BigInteger(), nullable=False),
        sa.Column("earned", sa.Float(53), nullable=False),
        sa.Column("first_answered_at", sa.Float(53), nullable=False),
        sa.Column("last_answered_at", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(
            ["worker_ref"], ["names.ref"], name=op.f("fk_worker_totals_worker_ref")
        ),
        sa.PrimaryKeyConstraint("worker_ref", name=op.f("pk_worker_totals")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO worker_totals "
        "SELECT worker_ref, count(*), sum(price), min(answered_at), max(answered_at) "
        "FROM answers GROUP BY worker_ref"
    )


def downgrade() -> None:
    op.drop_table("worker_totals")

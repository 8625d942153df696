"""Chunks are found by the positions they hold."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_chunks_job_id_first_position"), "chunks", ["job_id", "first_position"])


def downgrade() -> None:
    op.drop_index(op.f("ix_chunks_job_id_first_position"), "chunks")

"""Uploads that arrive in pieces, and their parts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = sa.String().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("upload_id", _KEY, nullable=False),
        sa.Column("tenant_id", _KEY, nullable=False),
        sa.Column("length_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_uploads")),
    )
    op.create_index(op.f("ix_uploads_tenant_id_whole"), "uploads", ["tenant_id", "whole"])
    op.create_index(op.f("ix_uploads_whole_expires_at"), "uploads", ["whole", "expires_at"])
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", _KEY, nullable=False),
        sa.Column("offset_bytes", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "offset_bytes", name=op.f("pk_upload_parts")),
    )


def downgrade() -> None:
    op.drop_table("upload_parts")
    op.drop_table("uploads")

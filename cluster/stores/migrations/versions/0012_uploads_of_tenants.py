"""Uploads of a tenant in the order of their ids, to be listed page by page."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_uploads_tenant_id_upload_id"), "uploads", ["tenant_id", "upload_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_uploads_tenant_id_upload_id"), table_name="uploads")

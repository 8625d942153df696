"""Where tenants want to be told of events, and the messages on their way there."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEY = sa.String().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("job_id", _KEY, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("webhook_kind", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_notices")),
    )
    op.create_table(
        "webhooks",
        sa.Column("webhook_id", _KEY, nullable=False),
        sa.Column("tenant_id", _KEY, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("old_secret", sa.String(), nullable=True),
        sa.Column("old_secret_until", sa.Float(53), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("last_at", sa.Float(53), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_success_at", sa.Float(53), nullable=True),
        sa.Column("due_at", sa.Float(53), nullable=True),
        sa.Column("claimed_until", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_webhooks")),
    )
    op.create_index(
        op.f("ix_webhooks_tenant_id_webhook_id"), "webhooks", ["tenant_id", "webhook_id"]
    )
    op.create_index(op.f("ix_webhooks_due_at"), "webhooks", ["due_at"])
    op.create_table(
        "deliveries",
        sa.Column("webhook_id", _KEY, nullable=False),
        sa.Column("message_id", _KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("due_at", sa.Float(53), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("webhook_id", "message_id", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_webhook_id_due_at"), "deliveries", ["webhook_id", "due_at"])


def downgrade() -> None:
    op.drop_table("deliveries")
    op.drop_table("webhooks")
    op.drop_table("notices")

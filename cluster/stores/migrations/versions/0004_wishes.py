"""What a job's owner wishes beside its end: to pause it, to run it on other terms."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The defaults are for the jobs there are; whoever writes one gives both.
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(
            sa.Column("paused", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch.add_column(sa.Column("amendment", sa.Text(), nullable=False, server_default="null"))


def downgrade() -> None:
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("amendment")
        batch.drop_column("paused")

"""What API keys are cleared for, beside their role."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default is for the keys there are; whoever issues one says what it is cleared for.
    with op.batch_alter_table("api_keys") as batch:
        batch.add_column(sa.Column("clearances", sa.Text(), nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("api_keys") as batch:
        batch.drop_column("clearances")

"""Numbers of names without a foreign key, which cost more than all else about an answer."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KEYS = (
    ("answers", "job_ref"),
    ("answers", "worker_ref"),
    ("worker_totals", "worker_ref"),
)


def upgrade() -> None:
    for table, column in _KEYS:
        with op.batch_alter_table(table, table_kwargs={"sqlite_with_rowid": False}) as batch:
            batch.drop_constraint(op.f(f"fk_{table}_{column}"), type_="foreignkey")


def downgrade() -> None:
    for table, column in _KEYS:
        with op.batch_alter_table(table, table_kwargs={"sqlite_with_rowid": False}) as batch:
            batch.create_foreign_key(op.f(f"fk_{table}_{column}"), "names", [column], ["ref"])

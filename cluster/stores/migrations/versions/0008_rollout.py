"""The history of every model line, versions on trial, and what online requests showed of them."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_KEY = sa.String().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    # Until now versions only ever rose, so what was predicted by a version was chosen at that
    # place of its line's history; numbers of steps begin at 1.
    with op.batch_alter_table("predictions") as batch:
        batch.add_column(
            sa.Column("line_revision", sa.BigInteger(), nullable=False, server_default="0")
        )
    op.execute("UPDATE predictions SET line_revision = model_version + 1")
    with op.batch_alter_table("live_models") as batch:
        batch.add_column(sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("candidate", sa.Integer(), nullable=True))
    op.execute("UPDATE live_models SET revision = version + 1")
    op.create_index(op.f("ix_live_models_candidate_name"), "live_models", ["candidate", "name"])
    op.create_table(
        "line_steps",
        sa.Column("name", _KEY, nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("over", sa.Integer(), nullable=True),
        sa.Column("live", sa.Integer(), nullable=False),
        sa.Column("by", _KEY, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("p_value", sa.Float(53), nullable=True),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("name", "revision", name=op.f("pk_line_steps")),
    )
    op.create_index(
        op.f("ix_line_steps_name_version_revision"), "line_steps", ["name", "version", "revision"]
    )
    op.create_table(
        "model_traffic",
        sa.Column("name", _KEY, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column("disagreed", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("live_failed", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
        sa.Column("live_seconds", sa.Float(53), nullable=False),
        sa.Column("last_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", "stage", name=op.f("pk_model_traffic")),
    )
    _begin_histories(op.get_bind())


def downgrade() -> None:
    op.drop_table("model_traffic")
    op.drop_index(op.f("ix_line_steps_name_version_revision"), "line_steps")
    op.drop_table("line_steps")
    op.drop_index(op.f("ix_live_models_candidate_name"), "live_models")
    with op.batch_alter_table("live_models") as batch:
        batch.drop_column("candidate")
        batch.drop_column("revision")
    with op.batch_alter_table("predictions") as batch:
        batch.drop_column("line_revision")


def _begin_histories(connection: sa.Connection) -> None:
    """Write how each line came to the version that is live, as far as its lineage tells."""
    columns = ("name", "version", "lineage", "created_at")
    models = sa.table("models", *map(sa.column, columns))
    live = sa.table("live_models", *map(sa.column, ("name", "version")))
    found = sa.select(models).join(
        live, sa.and_(live.c.name == models.c.name, live.c.version == models.c.version)
    )
    names = ("name", "revision", "version", "stage", "over", "live", "by", "reason", "at")
    steps = sa.table("line_steps", *map(sa.column, names))
    for row in connection.execute(found).all():
        lineage = json.loads(row.lineage)
        step = {
            "name": row.name,
            "revision": row.version + 1,
            "version": row.version,
            "stage": "live",
            "over": lineage and lineage["parent"],
            "live": row.version,
            "by": lineage["job_id"] if lineage else "muster",
            "reason": "live since before steps were kept",
            "at": row.created_at,
        }
        connection.execute(sa.insert(steps).values(step))

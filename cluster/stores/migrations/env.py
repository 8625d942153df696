"""Runs migrations on the connection that `cluster.stores.upgrade` hands over, and only so."""

from alembic import context

from cluster.stores.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()

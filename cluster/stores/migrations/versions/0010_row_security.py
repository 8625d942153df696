"""Row-level security: what a transaction on behalf of a tenant may see, whatever it asks for.

PostgreSQL only. Such a transaction takes the role `muster_tenant` and names its tenant in
`muster.tenant`; the owner of the tables, as whom all else works, is not bound by the policies.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ROLE = "muster_tenant"
_TENANT = "current_setting('muster.tenant', true)"
_BY_TENANT = ("jobs", "idempotency_keys", "uploads", "webhooks", "tenant_quotas")
_BY_JOB = ("events", "notices", "chunks", "predictions", "partitions", "result_segments")
_BY_LINE = ("models", "live_models", "line_steps", "model_traffic")
_ALL = "SELECT, INSERT, UPDATE, DELETE"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    _make_role()
    for table, rule in _rules().items():
        op.execute(f"GRANT {_ALL} ON {table} TO {ROLE}")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY of_tenant ON {table} TO {ROLE} USING ({rule}) WITH CHECK ({rule})"
        )
    # One chain for all tenants: its end must be seen to be gone on from.
    op.execute(f"GRANT SELECT, INSERT ON audit_log TO {ROLE}")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in _rules():
        op.execute(f"DROP POLICY of_tenant ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        op.execute(f"REVOKE ALL ON {table} FROM {ROLE}")
    op.execute(f"REVOKE ALL ON audit_log FROM {ROLE}")
    op.execute(sa.text(f"REVOKE USAGE ON SCHEMA {_schema()} FROM {ROLE}"))
    # The role stays: it belongs to the whole server, and other databases may use it.


def _rules() -> dict[str, str]:
    """Return which rows of each table are the tenant's; a table's rule may ask another table."""
    rules = dict.fromkeys(_BY_TENANT, f"tenant_id = {_TENANT}")
    rules |= {table: _exists(table, "jobs", "job_id") for table in _BY_JOB}
    rules |= dict.fromkeys(_BY_LINE, f"split_part(name, '/', 1) = {_TENANT}")
    rules["upload_parts"] = _exists("upload_parts", "uploads", "upload_id")
    rules["deliveries"] = _exists("deliveries", "webhooks", "webhook_id")
    return rules


def _exists(table: str, owner: str, key: str) -> str:
    return f"EXISTS (SELECT FROM {owner} WHERE {owner}.{key} = {table}.{key})"


def _make_role() -> None:
    """Make the role, unless the server has it, and let this user take it."""
    connection = op.get_bind()
    named = sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role").bindparams(role=ROLE)
    member = sa.text("SELECT pg_has_role(current_user, :role, 'MEMBER')").bindparams(role=ROLE)
    is_new = connection.scalar(named) is None
    if is_new:
        op.execute(f"CREATE ROLE {ROLE} NOLOGIN NOBYPASSRLS")
    # Whoever makes a role is a member from PostgreSQL 16 on, but one that may not take it yet.
    if is_new or not connection.scalar(member):
        op.execute(f"GRANT {ROLE} TO CURRENT_USER")
    op.execute(f"GRANT USAGE ON SCHEMA {_schema()} TO {ROLE}")


def _schema() -> str:
    return str(op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())")))

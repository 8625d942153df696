"""`muster audit` against a real service over real sockets."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cluster.domain.audit import Act, AuditEntry
from cluster.domain.ids import TenantId
from cluster.stores.memory import memory_stores
from cluster.stores.memory.audit import MemoryAudit
from cluster.stores.objects import MemoryObjects
from serve_apps.cli.audit import BROKEN
from serve_apps.cli.main import app
from serve_apps.cli.options import REFUSED, WRONG_USE
from tests.unit.cli.test_commands import last_json
from tests.unit.gateway.serving import serving
from tests.unit.gateway.world import World

SAMPLE = Act(
    at=5.0, tenant_id=TenantId("acme"), actor="key-1", action="job.submit", subject="job-1"
)

Audit = Callable[..., Result]


class Doctored(MemoryAudit):
    """An audit log of which somebody changed an entry behind its back."""

    def read(self, after_seq: int, limit: int) -> tuple[AuditEntry, ...]:
        read = super().read(after_seq, limit)
        return tuple(
            replace(entry, act=replace(entry.act, actor="nobody")) if entry.seq == 2 else entry
            for entry in read
        )


@pytest.fixture
def log() -> MemoryAudit:
    return MemoryAudit()


@pytest.fixture
def audit(log: MemoryAudit, tmp_path: Path) -> Iterator[Audit]:
    stores = replace(memory_stores(MemoryObjects()), audit=log)
    with World.of(stores, tmp_path) as world, serving(world.http.app) as url:
        for number in range(150):  # more than a page
            log.append(replace(SAMPLE, subject=f"job-{number}"))
        environment = {"MUSTER_URL": url, "MUSTER_KEY": world.key("admin"), "COLUMNS": "200"}

        def run(*arguments: str, role: str = "admin") -> Result:
            key = world.key("client") if role == "client" else world.key("admin")
            return CliRunner().invoke(
                app, ["audit", *arguments], env={**environment, "MUSTER_KEY": key}
            )

        yield run


def test_entries_are_listed(audit: Audit) -> None:
    lines = audit("list", "--json").output.splitlines()
    assert len(lines) == 150
    assert "job-149" in lines[-1]
    assert len(audit("list", "--json", "--after", "148").output.splitlines()) == 2
    told = audit("list", "--after", "148").output
    assert "job.submit" in told
    assert "job-149" in told
    assert audit("list", role="client").exit_code == REFUSED


def test_a_whole_log_is_verified_and_its_head_anchors_the_next_time(
    audit: Audit, log: MemoryAudit
) -> None:
    verified = audit("verify", "--json")
    assert verified.exit_code == 0
    head = last_json(verified)["head"]
    assert (last_json(verified)["entries"], head.split(":")[0]) == (150, "150")
    log.append(SAMPLE)
    again = audit("verify", "--anchor", head)
    assert again.exit_code == 0
    assert "151 entries, none changed; head: 151:" in again.output
    # A head of another chain, or of more than there is, is not that of this one
    other = audit("verify", "--anchor", f"150:{'0' * 64}", "--json")
    assert (other.exit_code, last_json(other)["broken_at"]) == (BROKEN, 150)
    assert audit("verify", "--anchor", f"152:{'0' * 64}").exit_code == BROKEN
    assert audit("verify", "--anchor", "150").exit_code == WRONG_USE


@pytest.mark.parametrize("log", [Doctored()])
def test_a_changed_entry_is_named(audit: Audit) -> None:
    broken = audit("verify")
    assert broken.exit_code == BROKEN
    assert "entry 2: it was changed after it was written" in broken.output
    assert last_json(audit("verify", "--json"))["broken_at"] == 2

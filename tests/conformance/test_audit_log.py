"""`AuditLog`: one chain of who did what, written with what was done."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, text

from cluster.audit import Fault, checked
from cluster.domain.audit import EMPTY, Act, Head
from cluster.domain.ids import KeyId, ModelName, TenantId
from cluster.domain.quotas import Quotas
from cluster.errors import MusterError, StaleRevision
from cluster.ports import Stores
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from tests.conformance import samples

Storing = Callable[[Stores, Act], object]


def act(subject: str = "job-1") -> Act:
    return Act(
        at=5.25,
        tenant_id=TenantId("acme"),
        actor="key-1",
        action="job.submit",
        subject=subject,
        request_id="req-1",
        details_sha256=bytes(range(32)),
    )


def test_entries_come_back_in_order_and_are_one_chain(stores: Stores) -> None:
    assert stores.audit.read(0, 10) == ()
    first, second = stores.audit.append(act("a")), stores.audit.append(act("b"))

    assert stores.audit.read(0, 10) == (first, second)
    assert stores.audit.read(1, 10) == (second,)
    assert stores.audit.read(0, 1) == (first,)
    assert (first.seq, first.act, first.previous_sha256) == (1, act("a"), EMPTY.sha256)
    assert checked(stores.audit.read(0, 10)) == Head(2, second.sha256)


def test_many_who_write_at_once_keep_one_chain(stores: Stores) -> None:
    def write(number: int) -> None:
        stores.audit.append(act(f"audit-{number}"))
        stores.keys.add(samples.api_key(f"key-{number}"), act(f"key-{number}"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(40)))

    entries = stores.audit.read(0, 1_000)
    assert checked(entries) == Head(80, entries[-1].sha256)
    assert len({entry.act.subject for entry in entries}) == 80


def save_job(stores: Stores, made: Act) -> None:
    stores.jobs.save(stores.jobs.create(samples.job(), None), (), made)


def take_step(stores: Stores, made: Act) -> None:
    stores.models.add(samples.model(0))
    stores.lines.take(samples.step(), (), made)


def with_webhook(change: Storing) -> Storing:
    def add_and_change(stores: Stores, made: Act) -> None:
        stores.webhooks.add(samples.webhook(), 10)
        change(stores, made)

    return add_and_change


@pytest.mark.parametrize(
    "storing",
    [
        lambda stores, made: stores.keys.add(samples.api_key(), made),
        lambda stores, made: stores.keys.revoke(KeyId("key-1"), made),
        lambda stores, made: stores.jobs.create(samples.job(), None, None, made),
        lambda stores, made: stores.workers.add(samples.worker("ann"), made),
        lambda stores, made: stores.uploads.create(samples.upload(), 10_000, made),
        lambda stores, made: stores.quotas.set_exception(samples.TENANT, Quotas(), made),
        lambda stores, made: stores.webhooks.add(samples.webhook(), 10, made),
        with_webhook(lambda s, made: s.webhooks.rotate(samples.TENANT, "whk-1", "x", 9.0, made)),
        with_webhook(lambda s, made: s.webhooks.enable(samples.TENANT, "whk-1", made)),
        with_webhook(lambda s, made: s.webhooks.remove(samples.TENANT, "whk-1", made)),
        save_job,
        take_step,
    ],
)
def test_an_act_is_recorded_with_what_is_stored(stores: Stores, storing: Storing) -> None:
    storing(stores, act())

    (entry,) = stores.audit.read(0, 10)
    assert entry.act == act()


@pytest.mark.parametrize(
    "refused",
    [
        lambda stores, made: stores.webhooks.add(samples.webhook(), 0, made),
        lambda stores, made: stores.webhooks.remove(samples.TENANT, "whk-1", made),
        lambda stores, made: stores.webhooks.enable(samples.TENANT, "whk-1", made),
        lambda stores, made: stores.jobs.create(samples.job(), None, 0, made),
        lambda stores, made: stores.jobs.save(samples.job(), (), made),
        lambda stores, made: stores.uploads.create(samples.upload(), 0, made),
        lambda stores, made: stores.lines.take(
            replace(samples.step(), name=ModelName("acme/none")), (), made
        ),
    ],
)
def test_what_is_refused_is_not_recorded(stores: Stores, refused: Storing) -> None:
    with pytest.raises(MusterError):
        refused(stores, act())

    assert stores.audit.read(0, 10) == ()


def test_a_save_that_comes_late_is_not_recorded(stores: Stores) -> None:
    job = stores.jobs.create(samples.job(), samples.key())
    stores.jobs.save(job)
    with pytest.raises(StaleRevision):
        stores.jobs.save(job, (), act())
    # Nor is a submit that was there already
    stores.jobs.create(samples.job(2), samples.key(), None, act())

    assert stores.audit.read(0, 10) == ()


@pytest.mark.parametrize(
    ("statement", "found_at"),
    [
        ("UPDATE audit_log SET subject = 'other' WHERE seq = 2", 2),
        ("UPDATE audit_log SET actor = 'other' WHERE seq = 3", 3),
        ("UPDATE audit_log SET at = 5.5 WHERE seq = 1", 1),
        ("DELETE FROM audit_log WHERE seq = 2", 2),
        ("DELETE FROM audit_log WHERE seq = 1", 1),
        ("UPDATE audit_log SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3)", 2),
        ("UPDATE audit_log SET tenant_id = actor, actor = tenant_id WHERE seq = 4", 4),
    ],
)
def test_a_row_changed_deleted_or_moved_behind_its_back_is_found(
    settings: Settings, statement: str, found_at: int
) -> None:
    # Given four entries
    audit = open_stores(settings).audit
    for number in range(4):
        audit.append(act(str(number)))
    # When somebody who has the database changes it
    engine = create_engine(settings.database)
    with engine.begin() as connection:
        connection.execute(text(statement))
        connection.execute(text("UPDATE audit_log SET seq = -seq WHERE seq < 0"))
    engine.dispose()
    # Then that is found
    found = checked(audit.read(0, 10))
    assert isinstance(found, Fault)
    assert found.seq == found_at

"""Secrets in the database: sealed, bound to their place, renewed with their keys."""

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import create_engine, text

from cluster.domain.ids import KeyId
from cluster.domain.webhooks import Webhook
from cluster.settings import Settings
from cluster.stores.opened import migrate, open_stores
from cluster.stores.sealing import Seals
from cluster.stores.secrets import encryption_keys
from cluster.tenant_errors import SecretUnreadable
from serve_apps.gateway.keys import mint
from serve_apps.webhooks.messages import secret_of
from tests.conformance import samples

OLD, NEW = "the old key of this deployment...", "the new key of this deployment..."
SECRETS = tuple(secret_of(bytes([number]) * 32) for number in range(3))
SEALS = Seals([OLD.encode()])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, encryption_keys=(OLD,))


def rotated(settings: Settings) -> Webhook:
    """Store a webhook with a secret and the one it had before."""
    webhooks = open_stores(settings).webhooks
    webhooks.add(replace(samples.webhook(), secret=SECRETS[0]), 10)
    return webhooks.rotate(samples.TENANT, "whk-1", SECRETS[1], 9.0)


def stored_secrets(settings: Settings) -> tuple[str, str]:
    engine = create_engine(settings.database)
    with engine.begin() as connection:
        row = connection.execute(text("SELECT secret, old_secret FROM webhooks")).one()
    engine.dispose()
    return row.secret, row.old_secret


def dumped(settings: Settings) -> Iterator[bytes]:
    """Yield the files of a database, and all it says in SQL."""
    for path in settings.data_dir.glob("muster.db*"):
        yield path.read_bytes()
    connection = sqlite3.connect(settings.data_dir / "muster.db")
    yield "\n".join(connection.iterdump()).encode()
    connection.close()


@given(st.text(), st.text())
def test_what_is_sealed_opens_again_and_never_looks_the_same(secret: str, place: str) -> None:
    sealed = SEALS.seal(secret, place)
    assert SEALS.open(sealed, place) == secret
    assert SEALS.is_current(sealed)
    assert sealed != SEALS.seal(secret, place)
    assert len(secret) < 4 or secret not in sealed


def test_a_seal_opens_in_its_own_place_only() -> None:
    sealed = SEALS.seal("secret", "whk-1")
    for seals, place in ((SEALS, "whk-2"), (Seals([NEW.encode()]), "whk-1")):
        with pytest.raises(SecretUnreadable):
            seals.open(sealed, place)


def test_any_changed_character_is_found() -> None:
    sealed = SEALS.seal("ok", "whk-1")
    assert "=" not in sealed  # so that each character stands for six bits
    first = sealed.index(".", len("sealed1.")) + 1
    for index in range(first, len(sealed)):
        if sealed[index] == ".":
            continue
        other = "A" if sealed[index] != "A" else "B"
        with pytest.raises(SecretUnreadable, match="it was changed"):
            SEALS.open(sealed[:index] + other + sealed[index + 1 :], "whk-1")


def test_a_dump_of_the_database_holds_no_usable_secret(settings: Settings) -> None:
    # Given a deployment with webhooks and API keys
    webhook = rotated(settings)
    minted = mint(KeyId("key-7"), samples.TENANT, "client", 1.0, bytes(range(32)))
    open_stores(settings).keys.add(minted.record)
    # When all files of its database are read, and what it says in SQL
    dump = b"".join(dumped(settings))
    # Then the webhook and the key are found in it, but nothing that signs or opens
    assert b"whk-1" in dump
    assert b"key-7" in dump
    secret = minted.text.rpartition("_")[2]
    for usable in (webhook.secret, webhook.old_secret or "", secret, OLD):
        assert usable
        assert usable.encode() not in dump
        assert usable.removeprefix("whsec_").encode() not in dump
    assert b"whsec_" not in dump


def test_secrets_of_before_are_sealed_when_the_deployment_is_opened(settings: Settings) -> None:
    # Given a database of a version that stored secrets as they are
    webhook = rotated(settings)
    engine = create_engine(settings.database)
    with engine.begin() as connection:
        plain = {"new": SECRETS[1], "old": SECRETS[0]}
        connection.execute(text("UPDATE webhooks SET secret = :new, old_secret = :old"), plain)
    engine.dispose()
    assert stored_secrets(settings) == (SECRETS[1], SECRETS[0])
    # When this one opens it
    stores = open_stores(settings)
    # Then they are sealed, and as they were
    assert all(SEALS.is_current(stored) for stored in stored_secrets(settings))
    assert stores.webhooks.get(samples.TENANT, "whk-1") == webhook


def test_an_old_key_may_go_when_all_was_sealed_anew(settings: Settings) -> None:
    webhook = rotated(settings)
    for keys in ((OLD, NEW), (NEW, OLD), (NEW,)):
        changed = settings.model_copy(update={"encryption_keys": keys})
        assert open_stores(changed).webhooks.get(samples.TENANT, "whk-1") == webhook
        seals = Seals([keys[0].encode()])
        assert all(seals.is_current(stored) for stored in stored_secrets(settings))


def test_without_its_key_a_deployment_is_not_opened(settings: Settings) -> None:
    rotated(settings)
    before = stored_secrets(settings)
    for open_again in (open_stores, migrate):
        with pytest.raises(SecretUnreadable, match=r"whk-1 cannot be read: key [0-9a-f]{8} is not"):
            open_again(settings.model_copy(update={"encryption_keys": (NEW,)}))
    assert stored_secrets(settings) == before


def test_a_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    open_stores(settings).webhooks.add(samples.webhook(), 10)
    file = tmp_path / "encryption.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert encryption_keys(settings) == (file.read_bytes(),)
    assert len(file.read_bytes()) == 32
    assert open_stores(settings).webhooks.get(samples.TENANT, "whk-1") == samples.webhook()


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 32 characters"):
        Settings(encryption_keys=("too short",))

"""`KeyStore`: keys by public id, until they are revoked."""

from dataclasses import replace

from cluster.domain.ids import KeyId
from cluster.ports import Stores
from tests.conformance import samples


def test_a_key_comes_back_as_it_was_stored(stores: Stores) -> None:
    stores.keys.add(samples.api_key())

    assert stores.keys.find(KeyId("key-1")) == samples.api_key()
    assert stores.keys.find(KeyId("KEY-1")) is None


def test_storing_a_key_again_replaces_nothing(stores: Stores) -> None:
    stores.keys.add(samples.api_key())

    stores.keys.add(replace(samples.api_key(), role="admin"))

    assert stores.keys.find(KeyId("key-1")) == samples.api_key()


def test_what_a_key_is_cleared_for_is_stored_with_it(stores: Stores) -> None:
    cleared = replace(samples.api_key(), role="worker", clearances=frozenset({"pii"}))
    stores.keys.add(cleared)

    assert stores.keys.find(KeyId("key-1")) == cleared
    stores.keys.revoke(KeyId("key-1"))
    assert stores.keys.find(KeyId("key-1")) == replace(cleared, revoked=True)


def test_a_revoked_key_stays_revoked(stores: Stores) -> None:
    stores.keys.add(samples.api_key())
    stores.keys.add(samples.api_key("key-2"))

    stores.keys.revoke(KeyId("key-1"))
    stores.keys.revoke(KeyId("nobody's"))
    stores.keys.add(samples.api_key())

    assert stores.keys.find(KeyId("key-1")) == replace(samples.api_key(), revoked=True)
    assert stores.keys.find(KeyId("key-2")) == samples.api_key("key-2")

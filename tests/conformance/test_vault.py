"""`Vault`: what was masked, for nobody but the job it was masked in."""

from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster import paths
from cluster.domain.ids import JobId, TenantId
from cluster.domain.items import Chunk
from cluster.errors import ObjectMissing
from cluster.ports import ObjectStore, Stores
from cluster.stores.objects import MemoryObjects
from cluster.stores.sealing import Envelope, Seals
from cluster.stores.vault import SealedVault
from cluster.tenant_errors import SecretUnreadable

ACME, RIVAL = TenantId("acme"), TenantId("rival")
JOB = JobId("job-1")
CHUNK = Chunk(job_id=JOB, number=1, first_position=10, rows=5, items_path=paths.items(JOB, 1))
ORIGINALS = {
    10: {"<EMAIL_ADDRESS_1>": "ann@example.com"},
    13: {"<PERSON_1>": "Zoë", "<PERSON_2>": 'O"Neil\n'},
}
KEYS = (b"a" * 32, b"b" * 32)


class Counted(MemoryObjects):
    """Objects that say what was opened, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    def open_input(self, path: str) -> BinaryIO:
        self.opened.append(path)
        return super().open_input(path)


@pytest.fixture
def vault(objects: ObjectStore) -> SealedVault:
    return SealedVault(objects, Seals(KEYS[:1]))


def test_what_was_masked_comes_back_by_place(stores: Stores) -> None:
    stores.vault.put(ACME, CHUNK, ORIGINALS)
    assert stores.vault.get(ACME, CHUNK, [13, 11]) == {13: ORIGINALS[13]}
    assert stores.vault.get(ACME, CHUNK, list(range(10, 15))) == ORIGINALS
    assert stores.vault.get(ACME, CHUNK, []) == {}


def test_a_chunk_in_which_nothing_was_masked_is_told_from_one_that_is_missing(
    vault: SealedVault,
) -> None:
    vault.put(ACME, CHUNK, {})
    assert vault.get(ACME, CHUNK, [10]) == {}
    with pytest.raises(ObjectMissing):
        vault.get(ACME, replace(CHUNK, number=2), [10])


def test_nothing_of_it_can_be_read_where_it_is_stored(
    vault: SealedVault, objects: ObjectStore
) -> None:
    vault.put(ACME, CHUNK, ORIGINALS)
    stored = objects.read(paths.vault(JOB, 1))
    for secret in ("ann@example.com", "EMAIL_ADDRESS", "PERSON", "Neil"):
        assert secret.encode() not in stored


def test_putting_it_again_replaces_it(vault: SealedVault, objects: ObjectStore) -> None:
    vault.put(ACME, CHUNK, ORIGINALS)
    before = objects.read(paths.vault(JOB, 1))
    vault.put(ACME, CHUNK, {10: ORIGINALS[10]})
    assert vault.get(ACME, CHUNK, [10, 13]) == {10: ORIGINALS[10]}
    assert objects.read(paths.vault(JOB, 1)) != before


def test_it_opens_for_its_own_tenant_job_and_chunk_alone(
    vault: SealedVault, objects: ObjectStore
) -> None:
    # Given a vault whose bytes somebody has put into the places of others
    vault.put(ACME, CHUNK, ORIGINALS)
    stored = objects.read(paths.vault(JOB, 1))
    other_job, other_chunk = replace(CHUNK, job_id=JobId("job-2")), replace(CHUNK, number=2)
    objects.write(paths.vault(other_job.job_id, 1), stored)
    objects.write(paths.vault(JOB, 2), stored)
    # When it is asked for as theirs, it does not open
    for tenant_id, chunk in ((RIVAL, CHUNK), (ACME, other_job), (ACME, other_chunk)):
        with pytest.raises(SecretUnreadable):
            vault.get(tenant_id, chunk, [10])


def test_a_key_that_nobody_sealed_opens_nothing(vault: SealedVault, objects: ObjectStore) -> None:
    # Given originals that somebody has sealed under a key of their own, put beside them as it is
    key = Envelope.new_key()
    forged = Envelope(key).seal(b'{"<PERSON_1>": "forged"}', f"vault of {ACME}/{JOB}/10")
    table = pa.table({"position": pa.array([10]), "sealed": pa.array([forged], pa.binary())})
    plain = {b"muster.vault_key": urlsafe_b64encode(key)}
    with objects.open_output(paths.vault(JOB, 1)) as stream:
        pq.write_table(table.replace_schema_metadata(plain), stream)
    with pytest.raises(SecretUnreadable, match="its key is missing"):
        vault.get(ACME, CHUNK, [10])


def test_what_is_no_vault_is_told_as_one_that_does_not_open(
    vault: SealedVault, objects: ObjectStore
) -> None:
    objects.write(paths.vault(JOB, 1), b"damaged")
    with pytest.raises(SecretUnreadable, match="no vault"):
        vault.get(ACME, CHUNK, [10])


def test_columns_that_are_not_a_vaults_are_told_as_one_that_does_not_open(
    vault: SealedVault, objects: ObjectStore
) -> None:
    nothing = pa.array([None], pa.binary())
    for table in (
        pa.table({"position": [10]}),
        pa.table({"position": ["x"], "sealed": nothing}),
        pa.table({"position": [10], "sealed": nothing}),
    ):
        with objects.open_output(paths.vault(JOB, 1)) as stream:
            pq.write_table(table, stream)
        with pytest.raises(SecretUnreadable, match="no vault"):
            vault.get(ACME, CHUNK, [10])


def test_a_chunks_originals_are_read_once_and_only_so_many_are_kept() -> None:
    # Given originals of three chunks, of which two may be kept
    objects = Counted()
    vault = SealedVault(objects, Seals(KEYS[:1]), cached_chunks_max=2)
    chunks = [replace(CHUNK, number=number) for number in range(3)]
    for chunk in chunks:
        vault.put(ACME, chunk, ORIGINALS)
    # When some of each are asked for, and again of the last two
    for number in (0, 1, 2, 1, 2, 1):
        assert vault.get(ACME, chunks[number], [13]) == {13: ORIGINALS[13]}
    # Then each was read once
    assert objects.opened == [paths.vault(JOB, number) for number in range(3)]
    # And the first was not kept
    assert vault.get(ACME, chunks[0], [10]) == {10: ORIGINALS[10]}
    assert objects.opened[3:] == [paths.vault(JOB, 0)]


def test_what_is_kept_opens_for_nobody_else(vault: SealedVault) -> None:
    vault.put(ACME, CHUNK, ORIGINALS)
    assert vault.get(ACME, CHUNK, [10]) == {10: ORIGINALS[10]}
    with pytest.raises(SecretUnreadable):
        vault.get(RIVAL, CHUNK, [10])


def test_it_opens_under_an_older_key_and_not_without_it(
    vault: SealedVault, objects: ObjectStore
) -> None:
    vault.put(ACME, CHUNK, ORIGINALS)
    rotated = SealedVault(objects, Seals((KEYS[1], KEYS[0])))
    assert rotated.get(ACME, CHUNK, [10]) == {10: ORIGINALS[10]}
    with pytest.raises(SecretUnreadable):
        SealedVault(objects, Seals(KEYS[1:])).get(ACME, CHUNK, [10])

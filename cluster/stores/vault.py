"""Originals of masked items as sealed objects, one beside each chunk."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId, Position, TenantId
from cluster.domain.items import Chunk
from cluster.domain.masking import Originals
from cluster.ports import ObjectStore
from cluster.stores.sealing import Envelope, Seals
from cluster.table_cache import TableCache
from cluster.tenant_errors import SecretUnreadable

_CACHED_CHUNKS_MAX = 64
_CACHED_BYTES_MAX = 16 * 2**20

_KEY = b"muster.vault_key"
_SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("sealed", pa.binary(), nullable=False),
    ]
)


class SealedVault:
    """A `Vault` in an object store.

    A chunk's originals are sealed under a key of its own, and that one under the deployment's. The
    key is bound to its tenant, job and chunk, each item's originals to their tenant, job and place.

    What was read last is kept as it is stored, sealed; only what is asked for is opened.
    """

    def __init__(
        self,
        objects: ObjectStore,
        seals: Seals,
        cached_chunks_max: int = _CACHED_CHUNKS_MAX,
        cached_bytes_max: int = _CACHED_BYTES_MAX,
    ) -> None:
        self._objects, self._seals = objects, seals
        self._tables = TableCache(cached_chunks_max, cached_bytes_max)

    def put(
        self, tenant_id: TenantId, chunk: Chunk, originals: Mapping[Position, Originals]
    ) -> None:
        """Store what was masked in a chunk, replacing what was there of it."""
        key = Envelope.new_key()
        envelope, job_id = Envelope(key), chunk.job_id
        stored = self._seals.seal(urlsafe_b64encode(key).decode(), _chunk_place(tenant_id, chunk))
        sealed = [
            envelope.seal(json.dumps(dict(found)).encode(), _place(tenant_id, job_id, position))
            for position, found in originals.items()
        ]
        schema = _SCHEMA.with_metadata({_KEY: stored})
        table = pa.Table.from_arrays([pa.array(list(originals)), pa.array(sealed)], schema=schema)
        path = paths.vault(job_id, chunk.number)
        with self._objects.open_output(path) as stream:
            pq.write_table(table, stream, compression="none", use_dictionary=False)
        self._tables.forget(path)

    def get(
        self, tenant_id: TenantId, chunk: Chunk, positions: Sequence[Position]
    ) -> Mapping[Position, Originals]:
        """Return what was masked at some places of a chunk; those without anything are left out.

        Raises ObjectMissing, and SecretUnreadable where a key is not there or something was
        changed, or put in the place of another.
        """
        place = _chunk_place(tenant_id, chunk)
        try:
            table = self._tables.get(paths.vault(chunk.job_id, chunk.number), self._read)
        except (ValueError, KeyError):  # what Arrow makes of other bytes, or of other columns
            raise SecretUnreadable(place, "it is no vault") from None
        stored = (table.schema.metadata or {}).get(_KEY)
        if stored is None or not self._seals.is_sealed(stored.decode()):
            raise SecretUnreadable(place, "its key is missing")
        envelope = Envelope(urlsafe_b64decode(self._seals.open(stored.decode(), place)))
        asked = table.filter(pc.is_in(table["position"], pa.array(positions, pa.int64())))
        return {
            position: json.loads(
                envelope.open(sealed, _place(tenant_id, chunk.job_id, Position(position)))
            )
            for position, sealed in zip(
                asked["position"].to_pylist(), asked["sealed"].to_pylist(), strict=True
            )
        }

    def _read(self, path: str) -> pa.Table:
        with self._objects.open_input(path) as stream:
            table = pq.read_table(stream)
        return table.select(_SCHEMA.names).cast(_SCHEMA.with_metadata(table.schema.metadata))


def _chunk_place(tenant_id: TenantId, chunk: Chunk) -> str:
    return f"vault key of {tenant_id}/{chunk.job_id}/{chunk.number}"


def _place(tenant_id: TenantId, job_id: JobId, position: Position) -> str:
    return f"vault of {tenant_id}/{job_id}/{position}"

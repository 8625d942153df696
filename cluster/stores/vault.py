"""Originals of masked items as sealed objects, one beside each chunk."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId, Position, TenantId
from cluster.domain.items import Chunk
from cluster.domain.masking import Originals
from cluster.ports import ObjectStore
from cluster.stores.sealing import Envelope, Seals
from cluster.tenant_errors import SecretUnreadable

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
    """

    def __init__(self, objects: ObjectStore, seals: Seals) -> None:
        self._objects, self._seals = objects, seals

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
        with self._objects.open_output(paths.vault(job_id, chunk.number)) as stream:
            pq.write_table(table, stream, compression="none", use_dictionary=False)

    def get(
        self, tenant_id: TenantId, chunk: Chunk, positions: Sequence[Position]
    ) -> Mapping[Position, Originals]:
        """Return what was masked at some places of a chunk; those without anything are left out.

        Raises ObjectMissing, and SecretUnreadable where a key is not there or something was
        changed, or put in the place of another.
        """
        place = _chunk_place(tenant_id, chunk)
        try:
            with self._objects.open_input(paths.vault(chunk.job_id, chunk.number)) as stream:
                table = pq.read_table(stream, filters=[("position", "in", list(positions))])
        except pa.ArrowInvalid:
            raise SecretUnreadable(place, "it is no vault") from None
        stored = (table.schema.metadata or {}).get(_KEY)
        if stored is None or not self._seals.is_sealed(stored.decode()):
            raise SecretUnreadable(place, "its key is missing")
        envelope = Envelope(urlsafe_b64decode(self._seals.open(stored.decode(), place)))
        return {
            position: json.loads(
                envelope.open(sealed, _place(tenant_id, chunk.job_id, Position(position)))
            )
            for position, sealed in zip(
                table["position"].to_pylist(), table["sealed"].to_pylist(), strict=True
            )
        }


def _chunk_place(tenant_id: TenantId, chunk: Chunk) -> str:
    return f"vault key of {tenant_id}/{chunk.job_id}/{chunk.number}"


def _place(tenant_id: TenantId, job_id: JobId, position: Position) -> str:
    return f"vault of {tenant_id}/{job_id}/{position}"

"""Whether the parts a gateway leans on answer."""

from collections.abc import Sequence

from allocation.ports import Shard
from cluster.domain.ids import KeyId
from cluster.errors import Unavailable
from cluster.ports import KeyStore

_NOBODY = KeyId("readiness")


def unready_reasons(keys: KeyStore, shards: Sequence[Shard]) -> tuple[str, ...]:
    """Return what does not answer now; jobs need the database alone, workers their shards too."""
    reasons = []
    try:
        keys.find(_NOBODY)
    except Unavailable:
        reasons.append("the database does not answer")
    for shard_id, shard in enumerate(shards):
        try:
            shard.demands()
        except Unavailable:
            reasons.append(f"allocator shard {shard_id} does not answer")
    return tuple(reasons)

"""Keys a gateway has just looked up, so that a client who polls costs one look a moment."""

from collections import OrderedDict
from threading import Lock

from cluster.clock import Clock
from cluster.domain.access import KeyRecord
from cluster.domain.ids import KeyId, UnixSeconds
from cluster.ports import KeyStore

KEYS_MAX = 10_000


class KnownKeys:
    """Remembers what the store said of a key for `kept_s`; keys that do not exist are looked up.

    For many threads.
    """

    def __init__(self, keys: KeyStore, clock: Clock, kept_s: float) -> None:
        self._keys, self._clock, self._kept_s = keys, clock, kept_s
        self._known: OrderedDict[KeyId, tuple[KeyRecord, UnixSeconds]] = OrderedDict()
        self._lock = Lock()

    def recall(self, key_id: KeyId) -> KeyRecord | None:
        """Return a key that was looked up lately, without asking the store."""
        with self._lock:
            record, until = self._known.get(key_id, (None, 0.0))
        return record if self._clock.now() < until else None

    def find(self, key_id: KeyId) -> KeyRecord | None:
        """Look a key up and remember it."""
        asked_at = self._clock.now()
        record = self._keys.find(key_id)
        if record is not None:
            with self._lock:
                self._known[key_id] = record, asked_at + self._kept_s
                self._known.move_to_end(key_id)
                if len(self._known) > KEYS_MAX:
                    self._known.popitem(last=False)
        return record

    def forget(self, key_id: KeyId) -> None:
        """Look a key up anew the next time."""
        with self._lock:
            self._known.pop(key_id, None)

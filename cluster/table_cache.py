"""Tables of stored objects, the ones used last."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import pyarrow as pa


class TableCache:
    """Keeps up to `tables_max` tables and `bytes_max` bytes of them; for many threads.

    Objects are immutable: what is kept of one is as good as the object.
    """

    def __init__(self, tables_max: int, bytes_max: int) -> None:
        self._tables_max, self._bytes_max = tables_max, bytes_max
        self._tables: OrderedDict[str, pa.Table] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, path: str, read: Callable[[str], pa.Table]) -> pa.Table:
        """Return the table of an object, read where it is not kept; raises what `read` raises."""
        with self._lock:
            if path in self._tables:
                self._tables.move_to_end(path)
                return self._tables[path]
        table = read(path)
        with self._lock:
            self._drop(path)
            self._tables[path] = table
            self._bytes += table.nbytes
            while len(self._tables) > self._tables_max or self._bytes > self._bytes_max:
                self._drop(next(iter(self._tables)))
        return table

    def forget(self, path: str) -> None:
        """Drop what is kept of an object, which was replaced."""
        with self._lock:
            self._drop(path)

    def _drop(self, path: str) -> None:
        if path in self._tables:
            self._bytes -= self._tables.pop(path).nbytes

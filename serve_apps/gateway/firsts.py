"""Which contents are seen for the first time in a trial: the same request again tells no more."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from cluster.domain.lines import Traffic
from serve_apps.prelabel.model import Content

SEEN_MAX = 16_384
"""So many contents are remembered, of all trials together; the oldest are forgotten first."""


class Firsts:
    """Remembers, by hash, which contents a version has had in a stage."""

    def __init__(self, seen_max: int = SEEN_MAX) -> None:
        self._seen_max = seen_max
        self._seen: dict[bytes, None] = {}

    def among(self, contents: Sequence[Content], place: Traffic) -> npt.NDArray[np.bool_]:
        """Return which contents (n,) are new to the version and stage of a `place`; note them."""
        return np.array([self._is_first(content, place) for content in contents], np.bool_)

    def _is_first(self, content: Content, place: Traffic) -> bool:
        digest = blake2b(f"{place.name} {place.version} {place.stage} ".encode(), digest_size=16)
        digest.update(content.encode() if isinstance(content, str) else content)
        key = digest.digest()
        if key in self._seen:
            return False
        if len(self._seen) >= self._seen_max:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = None
        return True

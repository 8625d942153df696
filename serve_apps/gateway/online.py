"""What the gateway asks of the model replicas: labels of a few contents, now."""

from collections.abc import Sequence
from typing import Protocol

from cluster.domain.models import ModelSpec
from serve_apps.prelabel.answers import OnlineAnswer
from serve_apps.prelabel.model import Content


class OnlineModels(Protocol):
    """The replicas that pre-label, for those who wait for the answer."""

    async def predict(self, contents: Sequence[Content], spec: ModelSpec) -> OnlineAnswer:
        """Return what exactly this version says of some contents, ahead of bulk work.

        A content the model cannot handle gets a uniform row. Raises Unavailable errors where the
        same may be asked again, and Faults where the model cannot be used.
        """
        ...

    async def warm(self, spec: ModelSpec) -> None:
        """Load a version on every replica, so that its first request waits for nothing.

        Raises Unavailable errors where that cannot be told, and Faults where it cannot be used.
        """
        ...

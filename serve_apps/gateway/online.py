"""What the gateway asks of the model replicas: labels of a few contents, now."""

from collections.abc import Sequence
from typing import Protocol

from cluster.domain.models import ModelSpec
from serve_apps.prelabel.model import Content, Probabilities


class OnlineModels(Protocol):
    """The replicas that pre-label, for those who wait for the answer."""

    async def predict(self, contents: Sequence[Content], spec: ModelSpec) -> Probabilities:
        """Return probabilities (contents, labels), ahead of bulk work.

        A content the model cannot handle gets a uniform row. Raises Unavailable errors where the
        same may be asked again, and Faults where the model cannot be used.
        """
        ...

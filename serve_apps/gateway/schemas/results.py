"""Labels on the wire: final ones, and the provisional ones of a running job."""

from cluster.domain.labels import DecidedBy, Difficulty
from serve_apps.gateway.schemas.base import Outgoing


class ResultView(Outgoing):
    """A final label; a later one of the same item, with a higher `revision`, corrects it.

    `difficulty` is what was known of the item when it was delivered: foretold where nobody had
    answered it. It is null for labels that an older release delivered. Where `model_failed`, the
    model could not handle the item and nobody has answered it: its label means nothing.
    """

    item_id: str
    label: str
    probability: float
    decided_by: DecidedBy
    answers: int
    model_version: int
    audited: bool
    revision: int = 0
    difficulty: Difficulty | None = None
    model_failed: bool = False


class ResultPage(Outgoing):
    """Final labels in delivery order, corrections among them.

    `next_cursor` reads on and may be kept for later; it is null once the job has ended and every
    label was read. While the job runs a page may be short or empty.
    """

    results: tuple[ResultView, ...]
    next_cursor: str | None


class ProvisionalView(Outgoing):
    """What the service believes of an item so far; it may still change."""

    item_id: str
    label: str
    probability: float
    answers: int


class ProvisionalPage(Outgoing):
    """Provisional labels by position, all of one round of consensus; null `next_cursor` ends it."""

    round: int
    labels: tuple[ProvisionalView, ...]
    next_cursor: str | None

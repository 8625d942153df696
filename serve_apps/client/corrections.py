"""Results as they stand, from results as they were delivered."""

from collections.abc import Iterable

from serve_apps.gateway.schemas.results import ResultView


def newest(results: Iterable[ResultView]) -> tuple[ResultView, ...]:
    """Return every item once, under its highest revision; in the order of first delivery."""
    items: dict[str, ResultView] = {}
    for result in results:
        known = items.get(result.item_id)
        if known is None or result.revision > known.revision:
            items[result.item_id] = result
    return tuple(items.values())

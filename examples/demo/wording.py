"""How the demo words things, in the terminal and in the report."""

STAGE_TITLES = {
    "queued": "queued",
    "ingesting": "ingest",
    "prelabelling": "pre-label",
    "asking": "ask",
    "learning": "retrain",
    "exporting": "export",
}
"""What the stages of a job are called; other states keep their own name."""


def percent(share: float, digits: int = 1) -> str:
    """Return a share as text, such as 96.2 %."""
    return f"{share * 100:.{digits}f} %"


def percent_or_dash(share: float | None) -> str:
    """Return a share as text, and a dash where there is none."""
    return "–" if share is None else percent(share)

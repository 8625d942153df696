"""Entity tags: a job's revision, so that polling an unchanged job costs no body (RFC 9110)."""


def etag_of(revision: int) -> str:
    """Return the strong entity tag of a revision."""
    return f'"{revision}"'


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the tag; weak comparison (RFC 9110, 8.8.3.2)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags

"""Entity tags (RFC 9110): a job's revision, to poll it without a body, to change what was seen."""


def etag_of(revision: int) -> str:
    """Return the strong entity tag of a revision."""
    return f'"{revision}"'


def expected(if_match: str | None, etag: str) -> bool:
    """Whether an If-Match header, if there is one, allows a change; strong comparison."""
    if if_match is None:
        return True
    tags = [tag.strip() for tag in if_match.split(",")]
    return "*" in tags or etag in tags


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the tag; weak comparison (RFC 9110, 8.8.3.2)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags

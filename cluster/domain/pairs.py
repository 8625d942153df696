"""Two texts as the one content of an item: joined where they come in, split where they go out."""

SEPARATOR = "\x1f"
"""Stands between the texts: the unit separator of ASCII, which neither of them may hold."""


def joined(first: str, second: str) -> str:
    """Return two texts as one content; another order is another content.

    Raises ValueError where one of them holds the separator.
    """
    if SEPARATOR in first or SEPARATOR in second:
        raise ValueError("a text of a pair holds U+001F")
    return f"{first}{SEPARATOR}{second}"


def split(content: str) -> tuple[str, str]:
    """Return the two texts of a content; raises ValueError where it is no pair."""
    first, second = content.split(SEPARATOR)
    return first, second

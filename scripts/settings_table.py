"""Writes the tables of settings in docs/operations.md anew: `python -m scripts.settings_table`.

The settings tree is the only source; a test fails where the page does not say the same.
"""

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cluster.settings import PREFIX, Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operations.md"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def main() -> None:
    """Write the page with the table as the code has it."""
    PAGE.write_text(with_table(PAGE.read_text("utf-8"), table()), "utf-8")


def with_table(page: str, new: str) -> str:
    """Return a page with what stands between its two marks replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{new}\n{END}{after}"


def table() -> str:
    """Return every setting, a table for each branch of the tree."""
    leaves = {name: info for name, info in Settings.model_fields.items() if branch(info) is None}
    parts = ["### The service as a whole\n\n" + rows_of(leaves, PREFIX)]
    for name, info in Settings.model_fields.items():
        below = branch(info)
        if below is not None:
            title = f"### {name}\n\n{paragraph(below)}\n\n"
            parts.append(title + rows_of(below.model_fields, f"{PREFIX}{name.upper()}__"))
    return "\n".join(parts)


def rows_of(fields: dict[str, FieldInfo], prefix: str) -> str:
    """Return a table of fields: variable, type, allowed values, default."""
    lines = ["| variable | value | default |", "|---|---|---|"]
    lines += [
        f"| `{prefix}{name.upper()}` | {' '.join(allowed(info))} | {default(info)} |"
        for name, info in fields.items()
    ]
    return "\n".join(lines) + "\n"


def branch(info: FieldInfo) -> type[BaseModel] | None:
    """Return the branch a field holds; None for a leaf."""
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def paragraph(below: type[BaseModel]) -> str:
    """Return what a branch says of itself, as one paragraph."""
    return " ".join((below.__doc__ or "").split())


def allowed(info: FieldInfo) -> Iterator[str]:
    """Yield the words that tell a field's type and bounds."""
    annotation: object = info.annotation
    kinds: tuple[object, ...] = get_args(annotation) if isinstance(annotation, UnionType) else ()
    (kind,) = [each for each in kinds if each is not NoneType] or [annotation]
    names = {int: "integer", float: "number", str: "text", bool: "true or false", Path: "path"}
    yield names.get(kind, "JSON list of texts") if isinstance(kind, type) else "JSON list of texts"
    for bound in info.metadata:
        for name, sign in SIGNS.items():
            if hasattr(bound, name):
                yield f"{sign} {getattr(bound, name):,}"


def default(info: FieldInfo) -> str:
    """Return a field's default as one would write it."""
    value = info.default
    if value in ("", None, ()):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


if __name__ == "__main__":
    main()

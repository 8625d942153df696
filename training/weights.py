"""Model files: safetensors and nothing else, read without torch and without unpickling."""

import json
from typing import get_args

from cluster.errors import ModelUnusable
from training.config import Kind, Shape

FORMAT = "muster-cross-fitted-1"

_HEADER_BYTES_MAX = 1_048_576


def metadata_of(shape: Shape) -> dict[str, str]:
    """Return the safetensors metadata that names an architecture."""
    return {
        "format": FORMAT,
        "kind": shape.kind,
        "features": str(shape.features),
        "classes": str(shape.classes),
        "folds": str(shape.folds),
        "widths": ",".join(map(str, shape.widths)),
    }


def shape_of(content: bytes, model: str) -> Shape:
    """Return the architecture a model file declares.

    Raises ModelUnusable for bytes that are not safetensors, or not of a cross-fitted model;
    `model` names it in the message.
    """
    metadata = _metadata(content, model)
    if metadata.get("format") != FORMAT:
        raise ModelUnusable(model, f"it is not of the format {FORMAT}")
    kind = next((kind for kind in get_args(Kind) if kind == metadata.get("kind")), None)
    if kind is None:
        raise ModelUnusable(model, f"its kind {metadata.get('kind')!r} is unknown")
    try:
        widths = tuple(int(width) for width in metadata["widths"].split(",") if width)
        sizes = tuple(int(metadata[name]) for name in ("features", "classes", "folds"))
    except (KeyError, ValueError):
        raise ModelUnusable(model, "its sizes are missing or no numbers") from None
    if min((*sizes, *widths)) < 1:
        raise ModelUnusable(model, "its sizes are not positive")
    return Shape(kind=kind, features=sizes[0], classes=sizes[1], folds=sizes[2], widths=widths)


def _metadata(content: bytes, model: str) -> dict[str, str]:
    """Return the metadata of the safetensors header (8 bytes of length, then JSON)."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= min(_HEADER_BYTES_MAX, len(content) - 8):
        raise ModelUnusable(model, "it is not a safetensors file")
    try:
        header = json.loads(content[8 : 8 + length])
    except ValueError:
        raise ModelUnusable(model, "it is not a safetensors file") from None
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return {str(name): str(value) for name, value in metadata.items()}

"""Model files: safetensors and nothing else, read without torch and without unpickling.

The metadata of the file's header holds one entry, the architecture as JSON; several would be
stored in no particular order, and equal models must be equal files.
"""

import json
from dataclasses import asdict
from typing import get_args

from cluster.errors import ModelUnusable
from training.config import Kind, Shape

FORMAT = "muster-cross-fitted-1"

_HEADER_BYTES_MAX = 1_048_576


def metadata_of(shape: Shape) -> dict[str, str]:
    """Return the safetensors metadata that names an architecture."""
    return {FORMAT: json.dumps(asdict(shape), sort_keys=True)}


def shape_of(content: bytes, model: str) -> Shape:
    """Return the architecture a model file declares.

    Raises ModelUnusable for bytes that are not safetensors, or not of a cross-fitted model;
    `model` names it in the message.
    """
    declared = _metadata(content, model).get(FORMAT)
    if declared is None:
        raise ModelUnusable(model, f"it is not of the format {FORMAT}")
    try:
        fields = json.loads(declared)
        shape = Shape(**{**fields, "widths": tuple(fields["widths"])})
        sizes = (shape.features, shape.classes, shape.folds, *shape.widths)
        sound = shape.kind in get_args(Kind) and all(type(size) is int for size in sizes)
    except (ValueError, TypeError, KeyError):
        sound = False
    if not sound or min(sizes) < 1:
        raise ModelUnusable(model, "it declares no architecture of this service")
    return shape


def _metadata(content: bytes, model: str) -> dict[str, str]:
    """Return the metadata of the safetensors header (8 bytes of length, then JSON)."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= min(_HEADER_BYTES_MAX, len(content) - 8):
        raise ModelUnusable(model, "it is not a safetensors file")
    try:
        header = json.loads(content[8 : 8 + length])
    except ValueError:
        raise ModelUnusable(model, "it is not a safetensors file") from None
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return metadata if isinstance(metadata, dict) else {}

"""Model files: safetensors and nothing else, read without torch and without unpickling.

The metadata of the file's header holds one entry, the architecture as JSON; several would be
stored in no particular order, and equal models must be equal files.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, get_args

from cluster.errors import ModelUnusable
from training.config import Base, Inputs, Kind, Shape

FORMAT = "muster-cross-fitted-1"

RANK_MAX = 1_024
"""Adapters of a higher rank would be larger than what they adapt."""

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
        shape = _shape(json.loads(declared))
        sound = _is_sound(shape)
    except (ValueError, TypeError, KeyError):
        sound = False
    if not sound:
        raise ModelUnusable(model, "it declares no architecture of this service")
    return shape


def _shape(fields: Mapping[str, Any]) -> Shape:
    base = fields.get("base")  # files from before there were tuned encoders do not name it
    if base is not None:
        lists = {name: tuple(base[name]) for name in ("targets", "frozen")}
        base = Base(**{**base, **lists})
    return Shape(**{**fields, "widths": tuple(fields["widths"]), "base": base})


def _is_sound(shape: Shape) -> bool:
    sizes = (shape.features, shape.classes, shape.folds, *shape.widths)
    known = shape.kind in get_args(Kind) and all(type(size) is int for size in sizes)
    tuned = shape.kind in ("lora", "full")
    return known and min(sizes) >= 1 and tuned == (shape.base is not None) and _fits(shape)


def _fits(shape: Shape) -> bool:
    """Return whether what a tuned encoder says of its base model can be."""
    base = shape.base
    if base is None:
        return True
    texts = (base.model, *base.targets, *base.frozen)
    return (
        all(type(text) is str for text in texts)
        and base.inputs in set(get_args(Inputs)) - {"features"}
        and type(base.rank) is int
        and 0 <= base.rank <= RANK_MAX
        and (base.rank > 0) == (shape.kind == "lora")
        and type(base.alpha) is int
    )


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

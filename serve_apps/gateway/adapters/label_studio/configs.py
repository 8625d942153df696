"""What a labelling interface of Label Studio asks of a model, read from its XML."""

from dataclasses import dataclass
from typing import Any

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from cluster.domain.items import Modality
from cluster.domain.models import ModelSpec
from cluster.errors import InvalidField

_OBJECTS: dict[Modality, tuple[str, ...]] = {
    "text": ("Text", "HyperText"),
    "image": ("Image",),
    "text_pair": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A control that takes one label for an object, whose content a task has as `data_key`."""

    from_name: str
    to_name: str
    data_key: str


def choice_of(config: str, field: str, spec: ModelSpec) -> Choice:
    """Return the control of an interface that a model can answer.

    Raises InvalidField under the name `field` where it is not XML, has no such control or more
    than one, lacks a label that the model may answer with, or shows texts that tasks only name by
    their URLs; and for a model of text pairs, as a control is for one object.
    """
    if spec.modality == "text_pair":
        reason = "cannot be answered: the model takes pairs of texts, a control is for one object"
        raise InvalidField(field, reason)
    root = _parsed(config, field)
    tags = _OBJECTS[spec.modality]
    objects = {node.get("name"): node for node in root.iter() if node.tag in tags}
    controls = [
        node
        for node in root.iter("Choices")
        if node.get("toName") in objects and node.get("choice", "single") != "multiple"
    ]
    if len(controls) != 1:
        wanted = f"Choices of one label for a {' or '.join(tags)}, which the model takes"
        raise InvalidField(field, f"must have exactly one control with {wanted}")
    (control,) = controls
    offered = {node.get("alias") or node.get("value") for node in control.iter("Choice")}
    missing = next((name for name in spec.label_set.names if name not in offered), None)
    if missing is not None:
        raise InvalidField(field, f"has no choice {missing!r}, which the model may answer")
    labelled = objects[control.get("toName")]
    if spec.modality == "text" and labelled.get("valueType") == "url":
        reason = "the texts themselves must be in the tasks; what their URLs name is not fetched"
        raise InvalidField(field, f'has a {labelled.tag} of valueType "url": {reason}')
    return Choice(
        from_name=control.get("name", ""),
        to_name=control.get("toName", ""),
        data_key=(labelled.get("value") or "").removeprefix("$"),
    )


def _parsed(config: str, field: str) -> Any:
    try:
        return fromstring(config, forbid_dtd=True)
    except (ParseError, DefusedXmlException):
        raise InvalidField(field, "is not XML, or has a document type") from None

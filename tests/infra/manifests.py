"""The documents of infra/k8s, and what is wrong with one that no schema of others would find."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "infra" / "k8s"

Document = dict[str, Any]
Place = tuple[str | int, ...]

LABELS = frozenset(
    {
        "app.kubernetes.io/name",
        "app.kubernetes.io/component",
        "grafana_dashboard",
        "kueue.x-k8s.io/queue-name",
        "ray.io/node-type",
        "k8s-app",
        "kubernetes.io/metadata.name",
        "kueue.x-k8s.io/managed",
        "pod-security.kubernetes.io/enforce",
        "pod-security.kubernetes.io/enforce-version",
    }
)
RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"})
FREE_MAPS: Mapping[str, frozenset[str]] = {
    "labels": LABELS,
    "matchLabels": LABELS,
    "annotations": frozenset({"cluster-autoscaler.kubernetes.io/safe-to-evict"}),
    "nodeSelector": frozenset({"muster.dev/pool"}),
    "requests": RESOURCES,
    "limits": RESOURCES,
    "rayStartParams": frozenset({"dashboard-host", "num-cpus", "num-gpus"}),
}
"""Maps in which Kubernetes allows any key, and the keys that mean something."""

KUBERNETES = "1.34"
GROUPS = frozenset({"v1", "policy/v1", "networking.k8s.io/v1", "scheduling.k8s.io/v1"})
"""Kubernetes' own kinds; those of operators have schemas elsewhere."""


def documents(*folders: str) -> list[Document]:
    """Return every document of some folders of infra/k8s."""
    files = [file for folder in folders for file in sorted((K8S / folder).glob("*.yaml"))]
    found = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    return [document for document in found if document["kind"] != "Kustomization"]


def of_kind(kind: str, *folders: str) -> list[Document]:
    """Return the documents of one kind."""
    return [document for document in documents(*folders or ("base",)) if document["kind"] == kind]


def rayservice() -> Document:
    """Return the RayService."""
    (found,) = of_kind("RayService")
    return found


def serve_config() -> Document:
    """Return the Serve config within the RayService."""
    config: Document = yaml.safe_load(rayservice()["spec"]["serveConfigV2"])
    return config


def pods() -> dict[str, Document]:
    """Return the pod templates by the name of their group; the head's is `head`."""
    cluster = rayservice()["spec"]["rayClusterConfig"]
    groups = {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
    return {"head": cluster["headGroupSpec"]["template"], **groups}


def labels_of_pods() -> dict[str, dict[str, str]]:
    """Return the labels of each group's pods, with those that KubeRay adds."""
    return {
        group: {
            **template["metadata"]["labels"],
            "ray.io/node-type": "head" if group == "head" else "worker",
        }
        for group, template in pods().items()
    }


def rayservice_problems(service: Document) -> list[str]:
    """Return what is wrong with a RayService, by KubeRay's schema and for maps of any key."""
    found = [error.message for error in _kuberay().iter_errors(service)]
    if set(service) != {"apiVersion", "kind", "metadata", "spec"}:
        found.append("a RayService has apiVersion, kind, metadata and spec")
    elif service["metadata"] != {"name": "muster", "namespace": "muster"}:
        found.append("the RayService is muster in muster")
    return [*found, *_strangers(service)]


def kubernetes_problems(document: Document) -> list[str]:
    """Return what is wrong with a document of one of Kubernetes' own kinds."""
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return [str(error)]
    except KeyError as error:  # neither kind nor apiVersion is looked for
        return [f"there is no {error}"]
    return list(_strangers(document))


def typos(document: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield the place of every key, and the document with a typo in that key alone."""
    for path in _places(document):
        wrong = deepcopy(document)
        holder = wrong
        for step in path[:-1]:
            holder = holder[step]
        holder[f"{path[-1]}x"] = holder.pop(path[-1])
        yield (*place, *path), wrong


def mistakes(document: Document, problems: Callable[[Document], list[str]]) -> list[Place]:
    """Return the places of all typos that nobody finds."""
    return [place for place, wrong in typos(document) if not problems(wrong)]


@cache
def _kuberay() -> jsonschema.Draft7Validator:
    text = (Path(os.environ["KUBERAY_SCHEMAS"]) / "RayService.v1.json").read_text()
    return jsonschema.Draft7Validator(json.loads(text))


def _places(value: Any, place: Place = ()) -> Iterator[Place]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield (*place, key)
            yield from _places(below, (*place, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _places(below, (*place, number))


def _strangers(value: Any) -> Iterator[str]:
    """Yield keys of free maps that mean nothing."""
    for place in _places(value):
        *_, holder, key = ("", *place)
        if holder in FREE_MAPS and key not in FREE_MAPS[str(holder)]:
            yield f"{'.'.join(map(str, place))} means nothing"

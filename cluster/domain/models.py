"""Model versions: what can pre-label a job, and where it came from."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from cluster.domain.ids import JobId, ModelName, TenantId, UnixSeconds
from cluster.domain.items import Modality
from cluster.domain.jobs import JobSpec
from cluster.domain.labels import LabelSet

Precision = Literal["fastest", "float32"]
"""In which numbers networks compute: what their device is fastest in, or the same ones on any."""

ZERO_SHOT = 0
"""The version every model line starts from: no trained head, label names against the encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """All a replica needs to pre-label; `weights_path` is None for the zero-shot version."""

    name: ModelName
    version: int
    base_model: str
    modality: Modality
    label_set: LabelSet
    weights_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a version came from; enough to train it again."""

    job_id: JobId
    round: int
    parent: int
    recipe: str
    snapshot_path: str
    snapshot_hash: str
    code_version: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """An immutable row of the registry; which version is live is kept beside it."""

    spec: ModelSpec
    lineage: Lineage | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    created_at: UnixSeconds


def model_name_of(tenant_id: TenantId, spec: JobSpec) -> ModelName:
    """Return the model line that pre-labels a job: `{tenant}/{modality}-{base}-{hash}`.

    Jobs of one tenant over the same label names in the same order, modality and base model share
    a line, so that a later job starts from what an earlier one taught it. The part after the
    tenant holds no slash.
    """
    key = json.dumps([spec.modality, spec.base_model, spec.label_set.names]).encode()
    base = re.sub(r"[^A-Za-z0-9.]+", "-", spec.base_model)[:40]
    return ModelName(
        f"{tenant_id}/{spec.modality}-{base}-{blake2b(key, digest_size=6).hexdigest()}"
    )

"""Model versions: immutable, each with its lineage."""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import PurePosixPath

from cluster import paths
from cluster.domain.ids import ModelName, UnixSeconds
from cluster.domain.jobs import Job
from cluster.domain.models import ZERO_SHOT, Lineage, ModelRecord, ModelSpec
from cluster.ports import ModelRegistry, ObjectStore, Stores
from training.plan import TrainedModel
from training.weights import shape_of


def register(
    stores: Stores, job: Job, trained: TrainedModel, lineage: Lineage, now: UnixSeconds
) -> ModelRecord:
    """Store a model as the next version of its job's line and return it; it is not live yet.

    A line holds one version for a job, a round and weights; what is registered again is the version
    there is. A round that was run again with another recipe has other weights, and was judged by
    these: it is another version. Raises ModelUnusable for weights that are not a model file of this
    service.
    """
    shape_of(trained.weights, job.model_name)
    file_name = f"model-{sha256(trained.weights).hexdigest()[:16]}"
    while (registered := _find(stores.models, job.model_name, lineage, file_name)) is None:
        version = _next_version(stores.models, job.model_name)
        stem = f"{paths.model(job.model_name, version)}/{file_name}"
        weights_path = _store_weights(stores.objects, stem, trained, lineage)
        spec = ModelSpec(
            name=job.model_name,
            version=version,
            base_model=job.spec.base_model,
            modality=job.spec.modality,
            label_set=job.spec.label_set,
            weights_path=weights_path,
        )
        # Another job of the line may take the number first; then nothing is added, and we go on.
        stores.models.add(
            ModelRecord(spec=spec, lineage=lineage, metrics=trained.metrics, created_at=now)
        )
    return registered


def _find(
    models: ModelRegistry, name: ModelName, lineage: Lineage, file_name: str
) -> ModelRecord | None:
    run = (lineage.job_id, lineage.round)
    for record in models.versions(name):
        path = record.spec.weights_path
        if record.lineage is None or path is None or PurePosixPath(path).stem != file_name:
            continue
        if (record.lineage.job_id, record.lineage.round) == run:
            return record
    return None


def _next_version(models: ModelRegistry, name: ModelName) -> int:
    return 1 + max((record.spec.version for record in models.versions(name)), default=ZERO_SHOT)


def _store_weights(objects: ObjectStore, stem: str, trained: TrainedModel, lineage: Lineage) -> str:
    """Write a model file with its lineage beside it and return its path.

    The file's name holds its hash, so that two jobs which try for one version do not overwrite
    each other's weights.
    """
    card = {"lineage": asdict(lineage), "metrics": dict(trained.metrics)}
    objects.write(f"{stem}.json", json.dumps(card, indent=2, sort_keys=True).encode())
    objects.write(f"{stem}.safetensors", trained.weights)
    return f"{stem}.safetensors"

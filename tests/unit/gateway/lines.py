"""Model lines that tests of a gateway ask."""

from dataclasses import replace

from cluster.domain.ids import JobId, ModelName
from cluster.domain.items import Modality
from cluster.domain.labels import Label, LabelSet
from cluster.domain.models import ZERO_SHOT, Lineage, ModelRecord, ModelSpec
from tests.model_lines import go_live
from tests.unit.gateway.world import World

LABELS = LabelSet((Label("cat"), Label("dog"), Label("owl")))


def add_line(world: World, name: str, modality: Modality, base_model: str) -> None:
    """Give acme a line at its zero-shot version."""
    spec = ModelSpec(
        name=ModelName(f"acme/{name}"),
        version=ZERO_SHOT,
        base_model=base_model,
        modality=modality,
        label_set=LABELS,
        weights_path=None,
    )
    world.stores.models.add(ModelRecord(spec=spec, lineage=None, created_at=0.0))
    go_live(world.stores.lines, spec.name, ZERO_SHOT)


def add_versions(world: World, name: str, count: int, tenant: str = "acme") -> None:
    """Give a tenant a line of versions that any replica can load, the first of them live."""
    for version in range(count):
        made = record(f"{tenant}/{name}", version)
        spec = replace(made.spec, base_model="fake", weights_path=None)
        world.stores.models.add(replace(made, spec=spec))
    go_live(world.stores.lines, ModelName(f"{tenant}/{name}"), ZERO_SHOT)


def record(name: str, version: int) -> ModelRecord:
    """Return a version of a line, trained by job-1; version 0 is zero-shot."""
    lineage = Lineage(
        job_id=JobId("job-1"),
        round=version,
        parent=version - 1,
        recipe="linear",
        snapshot_path="jobs/job-1/snapshots/1",
        snapshot_hash="abc",
        code_version="0.1.0",
        seed=3,
    )
    return ModelRecord(
        spec=ModelSpec(
            name=ModelName(name),
            version=version,
            base_model="minilm",
            modality="text",
            label_set=LabelSet((Label("cat"), Label("dog"))),
            weights_path=f"models/x/{version}" if version else None,
        ),
        lineage=lineage if version else None,
        metrics={"accuracy": 0.5 + version / 10},
        created_at=1_000_000.0,
    )

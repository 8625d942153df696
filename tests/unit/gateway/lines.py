"""Model lines that tests of a gateway ask."""

from cluster.domain.ids import ModelName
from cluster.domain.items import Modality
from cluster.domain.labels import Label, LabelSet
from cluster.domain.models import ZERO_SHOT, ModelRecord, ModelSpec
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
    world.stores.models.promote(spec.name, ZERO_SHOT, None)

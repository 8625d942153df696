"""A job that asks for a tuned encoder: learnt, judged, promoted, and used by a replica."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import pytest

from cluster.domain.jobs import JobState
from cluster.domain.models import ModelSpec
from cluster.model_settings import PrelabelSettings, RolloutSettings
from serve_apps.prelabel.cache import ModelCache
from serve_apps.prelabel.loading import ModelLoader
from serve_apps.prelabel.predictor import ChunkPredictor
from serve_apps.prelabel.work import ChunkWork
from tests.unit.training.encoders import TINY_BERT, backbone, data_of, texts
from tests.unit.training.worlds import JOB, LINE, Points, StepClock, World
from training.config import TunedEncoder
from training.heed import Heed, unheeded
from training.local import LocalTrainer
from training.plan import TrainedModel, Trainer, TrainingPlan
from training.stage import LearnStage
from training.tables import matrix_of

ITEMS = 240


class Eager:
    """A `Trainer` that gives networks of random weights the steps they need."""

    def __init__(self, inner: Trainer) -> None:
        self._inner = inner

    def fit(self, plan: TrainingPlan, heed: Heed = unheeded) -> TrainedModel:
        head = plan.recipe.head
        if isinstance(head, TunedEncoder):
            head = replace(head, learning_rate=1e-2, epochs=12, batch_rows=16, patience=8)
        return self._inner.fit(replace(plan, recipe=replace(plan.recipe, head=head)), heed)


def learnt(world: World) -> JobState:
    trainer = Eager(LocalTrainer(world.stores.objects))
    stage = LearnStage(world.stores, trainer, "0.1.0", RolloutSettings(), warm=_nowhere)
    return stage.run(world.desk())


def _nowhere(_: ModelSpec) -> None:
    """Load a version on no replica."""


def labels_of(world: World, contents: Sequence[str]) -> np.ndarray:
    """Return what a replica says of every item by the live version."""
    loader = ModelLoader(threads=1, image_pixels_max=1, pause=lambda _: None)
    models = ModelCache(loader, world.stores.objects, 2)
    predictor = ChunkPredictor(world.stores.objects, PrelabelSettings(), models, StepClock())
    spec = world.stores.models.live(LINE).spec
    labels = []
    for chunk in world.stores.chunks.chunks(JOB):
        outcome = predictor.predict(ChunkWork(chunk=chunk, model=spec))
        table = pq.read_table(BytesIO(world.stores.objects.read(outcome.predictions_path)))
        labels.append(matrix_of(table["probabilities"]).argmax(1))
    online = predictor.predict_online(contents, spec).probabilities.argmax(1)
    found = np.concatenate(labels)
    assert (online == found).mean() > 0.9
    return found


@pytest.mark.usefixtures("hub")
def test_a_job_of_the_recipe_lora_learns_what_its_frozen_encoder_could_not() -> None:
    contents, labels = texts(ITEMS)
    points = Points(data_of(contents, labels, backbone()).features, labels)
    frozen = World.of_texts(points, contents, TINY_BERT, "head")
    tuned = World.of_texts(points, contents, TINY_BERT, "lora")

    assert learnt(frozen) is JobState.ASKING
    assert learnt(tuned) is JobState.PRELABELLING

    record = tuned.stores.models.live(LINE)
    assert record.lineage is not None
    assert record.lineage.recipe == "text_lora"
    assert (labels_of(tuned, contents) == labels).mean() > 0.8

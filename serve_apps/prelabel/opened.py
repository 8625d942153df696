"""One replica's predictor as the settings describe it, whatever shell holds it."""

import time

from cluster.clock import SystemClock
from cluster.settings import Settings
from cluster.stores.objects import open_objects
from serve_apps.prelabel.cache import ModelCache
from serve_apps.prelabel.loading import ModelLoader
from serve_apps.prelabel.predictor import ChunkPredictor


def open_predictor(settings: Settings) -> ChunkPredictor:
    """Return a predictor over the real object store and real models; it loads them when asked."""
    prelabel = settings.prelabel
    objects = open_objects(settings.objects)
    loader = ModelLoader(
        threads=prelabel.threads_per_replica,
        image_pixels_max=settings.limits.image_pixels_max,
        pause=time.sleep,
        precision=prelabel.precision,
        compiles=prelabel.compile_networks,
    )
    models = ModelCache(loader, objects, prelabel.models_per_replica_max)
    return ChunkPredictor(objects, prelabel, models, SystemClock())

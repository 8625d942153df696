"""The live pre-labels of a job, read back from the replicas' files."""

import numpy as np
import pyarrow.parquet as pq

from allocation.quality.votes import Floats
from cluster.domain.ids import JobId
from cluster.ports import Stores


def read_predictions(
    stores: Stores, job_id: JobId, items: int, labels: int
) -> tuple[int, Floats] | None:
    """Return the version last chosen and the probabilities (items, K) of all versions in use.

    None before any chunk was pre-labelled; an item without a pre-label has a uniform row.
    """
    predictions = stores.chunks.predictions(job_id)
    if not predictions:
        return None
    probabilities = np.full((items, labels), 1.0 / labels)
    for prediction in predictions:
        with stores.objects.open_input(prediction.predictions_path) as stream:
            table = pq.read_table(stream)
        flat = table["probabilities"].combine_chunks().flatten().to_numpy()
        probabilities[table["position"].to_numpy()] = flat.reshape(-1, labels)
    newest = max(predictions, key=lambda prediction: prediction.line_revision)
    return newest.model_version, probabilities

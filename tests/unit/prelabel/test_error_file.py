"""The error file once a job is pre-labelled: all its models failed on, once, whoever died."""

import json

from cluster import paths
from cluster.domain.models import ModelRecord
from cluster.model_failures import failed_positions, open_errors
from cluster.ports import Stores
from serve_apps.prelabel.fake import POISON
from tests.model_lines import go_live
from tests.unit.prelabel.support import JOB, MODEL, model_spec, predictor_over, store_chunk
from tests.unit.prelabel.test_stage import Replicas, run, some_stores


def errors_of(stores: Stores) -> list[dict[str, object]]:
    with open_errors(stores.objects, JOB) as file:
        return [json.loads(line) for line in file]


def test_the_error_file_has_every_item_the_model_failed_on_behind_the_refused_rows() -> None:
    # Given a job with a refused row, and two chunks of nothing but poison and one sound item
    stores, _ = some_stores(chunks=0)
    stores.objects.write(paths.errors(JOB), b'{"line": 9, "code": "field-empty"}\n')
    contents = [POISON] * 15 + ["sound"]
    for number in range(2):
        stores.chunks.add([store_chunk(stores.objects, contents, number, number * 16)])
    # When it is pre-labelled
    _, job = run(stores, Replicas(predictor_over(stores.objects)))
    # Then the history names ten of each, and the file all
    refused, *failed = errors_of(stores)
    assert refused == {"line": 9, "code": "field-empty"}
    assert [row["position"] for row in failed] == [*range(15), *range(16, 31)]
    assert failed[0] == {
        "line": 1,
        "field": "content",
        "code": "model-failed",
        "detail": "the model fails on this item (ValueError); its pre-label is uniform",
        "id": "item-0",
        "position": 0,
    }
    assert job.progress.poisoned == 30


def test_who_dies_between_a_chunk_and_its_entry_tells_of_no_item_twice() -> None:
    # Given a runner that died when it had stored what failed, and had not recorded the chunk
    stores, _ = some_stores(chunks=2, poison_in=0)
    stale = paths.model_failures(JOB, 0, 1)
    stores.objects.write(stale, b'{"position": 15}\n')
    replicas = Replicas(predictor_over(stores.objects))
    stores.objects.write(paths.model_failures(JOB, 0, 0), b'{"position": 4}\n')
    # When another goes on, and one more after it
    for _ in range(2):
        _, job = run(stores, replicas)
        # Then the file tells what is so, once
        assert [row["position"] for row in errors_of(stores)] == [4]
        assert job.progress.poisoned == 1


def test_the_error_file_tells_of_the_versions_in_use() -> None:
    # Given a job in which a version has failed on an item
    stores, _ = some_stores(chunks=2, poison_in=0)
    replicas = Replicas(predictor_over(stores.objects))
    run(stores, replicas)
    # When a later version has done every chunk
    stores.models.add(ModelRecord(spec=model_spec(version=1), lineage=None, created_at=0.0))
    go_live(stores.lines, MODEL, 1)
    _, job = run(stores, replicas)
    # Then the item is told of once
    assert [row["position"] for row in errors_of(stores)] == [4]
    assert (job.progress.poisoned, list(failed_positions(stores, JOB))) == (1, [4])

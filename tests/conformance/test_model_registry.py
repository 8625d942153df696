"""`ModelRegistry`: immutable versions, and a live one that changes by compare-and-set."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cluster.domain.ids import ModelName
from cluster.errors import ModelNotFound, StaleRevision
from cluster.ports import Stores
from tests.conformance import samples

PETS = ModelName("acme/pets")


def test_versions_come_back_as_they_were_stored_oldest_first(stores: Stores) -> None:
    for version in (2, 0, 10):
        stores.models.add(samples.model(version))
    stores.models.add(samples.model(1, "acme/news"))

    assert stores.models.versions(PETS) == tuple(map(samples.model, (0, 2, 10)))
    assert stores.models.get(PETS, 2) == samples.model(2)
    assert stores.models.versions(ModelName("acme/unknown")) == ()


def test_a_version_never_changes(stores: Stores) -> None:
    stores.models.add(samples.model(1))

    stores.models.add(replace(samples.model(1), metrics={"accuracy": 1.0}))

    assert stores.models.get(PETS, 1) == samples.model(1)


def test_metrics_are_kept_apart_from_the_callers_mapping(stores: Stores) -> None:
    metrics = {"accuracy": 0.5}
    stores.models.add(replace(samples.model(1), metrics=metrics))

    metrics["accuracy"] = 1.0

    assert stores.models.get(PETS, 1).metrics == {"accuracy": 0.5}


def test_unknown_models_are_not_found(stores: Stores) -> None:
    stores.models.add(samples.model(1))

    for name, version in ((PETS, 2), (ModelName("acme/pet"), 1)):
        with pytest.raises(ModelNotFound):
            stores.models.get(name, version)
    with pytest.raises(ModelNotFound):
        stores.models.live(PETS)
    with pytest.raises(ModelNotFound):
        stores.models.promote(PETS, 2, None)


def test_names_are_listed_by_exact_prefix_in_pages(stores: Stores) -> None:
    names = ["acme/Pets", "acme/a_b", "acme/axb", "acme/pets", "acme2/x", "ACME/x", "acme%/x"]
    for name in names:
        stores.models.add(samples.model(0, name))
        stores.models.add(samples.model(1, name))

    first = stores.models.names("acme/", None, 3)
    rest = stores.models.names("acme/", first[-1], 10)

    assert [*first, *rest] == ["acme/Pets", "acme/a_b", "acme/axb", "acme/pets"]
    assert stores.models.names("acme/a_", None, 10) == ("acme/a_b",)
    assert stores.models.names("acme%", None, 10) == ("acme%/x",)
    assert list(stores.models.names("", None, 10)) == sorted(names)


def test_promotion_is_compare_and_set(stores: Stores) -> None:
    for version in range(3):
        stores.models.add(samples.model(version))

    with pytest.raises(StaleRevision):
        stores.models.promote(PETS, 1, expected_live=0)
    stores.models.promote(PETS, 0, expected_live=None)
    with pytest.raises(StaleRevision):
        stores.models.promote(PETS, 1, expected_live=None)
    stores.models.promote(PETS, 2, expected_live=0)
    with pytest.raises(StaleRevision):
        stores.models.promote(PETS, 1, expected_live=0)

    assert stores.models.live(PETS) == samples.model(2)


def test_a_promotion_can_be_taken_back(stores: Stores) -> None:
    for version in range(2):
        stores.models.add(samples.model(version))
    stores.models.promote(PETS, 0, None)
    stores.models.promote(PETS, 1, 0)

    stores.models.promote(PETS, 0, expected_live=1)

    assert stores.models.live(PETS) == samples.model(0)


@pytest.mark.parametrize("before", [None, 0])
def test_of_parallel_promotions_one_wins(stores: Stores, before: int | None) -> None:
    for version in range(9):
        stores.models.add(samples.model(version))
    if before is not None:
        stores.models.promote(PETS, before, None)

    def promote(version: int) -> int | None:
        try:
            stores.models.promote(PETS, version, before)
        except StaleRevision:
            return None
        return version

    with ThreadPoolExecutor(8) as threads:
        won = [version for version in threads.map(promote, range(1, 9)) if version is not None]

    assert [stores.models.live(PETS).spec.version] == won

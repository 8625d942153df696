"""`ModelRegistry`: immutable versions of every line."""

from dataclasses import replace

import pytest

from cluster.domain.ids import ModelName
from cluster.errors import ModelNotFound
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

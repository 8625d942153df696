"""Object paths: one segment a name, different for different names, and never out of the root."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cluster import paths
from cluster.domain.ids import JobId, ModelName, TenantId
from cluster.stores.objects import checked

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
NUMBERS = st.integers(0, 10**7)
JOB = JobId("job-0001")


@given(NAMES)
@example("")
@example(".")
@example("..")
@example("../../etc/passwd")
@example("a/b")
@example("a\\b")
@example("a\0b")
@example("a\n")
@example("Qwen/Qwen3-0.6B")
@example("x" * 64)
@example("x" * 65)
@example("Ünïcödé")
def test_a_slug_is_one_safe_segment(name: str) -> None:
    slug = paths.slug(name)

    assert "/" not in checked(slug)
    assert len(slug) <= 64
    assert slug.isascii()
    assert slug == paths.slug(name)


@given(NAMES, NAMES)
@example("a b", "a-b")
@example("a/b", "a b")
@example("", "-")
@example("x" * 65, "x" * 66)
def test_different_names_have_different_slugs(one: str, other: str) -> None:
    assert (paths.slug(one) == paths.slug(other)) == (one == other)


def test_a_plain_name_is_its_own_slug() -> None:
    for name in ("minilm", "acme", "resnet-18_v1.5", "A"):
        assert paths.slug(name) == name


@given(tenant=NAMES, upload=NAMES, model=NAMES, number=NUMBERS, other=NUMBERS)
def test_every_path_stays_in_the_store(
    tenant: str, upload: str, model: str, number: int, other: int
) -> None:
    for path in (
        paths.upload(TenantId(tenant), upload),
        paths.upload_part(TenantId(tenant), upload, model),
        paths.upload_manifest(TenantId(tenant), upload),
        paths.items(JOB, number),
        paths.features(JOB, model, number),
        paths.predictions(JOB, number, other),
        paths.errors(JOB),
        paths.joined_errors(JOB),
        paths.model_failures(JOB, number, other),
        paths.consensus(JOB, number),
        paths.snapshot(JOB, number),
        paths.results(JOB, number),
        paths.export(JOB, "parquet"),
        paths.model(ModelName(model), number),
    ):
        assert checked(path) == path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (paths.items(JOB, 3), "jobs/job-0001/items/000003.parquet"),
        (paths.predictions(JOB, 2, 3), "jobs/job-0001/predictions/000002/000003.parquet"),
        (paths.results(JOB, 3), "jobs/job-0001/results/000003.parquet"),
        (paths.export(JOB, "jsonl"), "jobs/job-0001/export/labels.jsonl"),
        (paths.upload(TenantId("acme"), "u1"), "uploads/acme/u1"),
    ],
)
def test_paths_are_what_deployments_already_hold(path: str, expected: str) -> None:
    assert path == expected


@given(st.lists(st.integers(0, 999_999), unique=True, max_size=20))
def test_numbered_paths_sort_by_number(numbers: list[int]) -> None:
    listed = sorted(paths.items(JOB, number) for number in numbers)

    assert listed == [paths.items(JOB, number) for number in sorted(numbers)]

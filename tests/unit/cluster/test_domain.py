"""Domain values refuse what they could not keep."""

import math
from collections import Counter
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.clock import SystemClock
from cluster.domain.ids import TenantId
from cluster.domain.items import fold_of
from cluster.domain.jobs import Budget, Certificate, CrowdTerms, Goal, Stratum
from cluster.domain.labels import LABEL_CHARS_MAX, LABELS_MAX, Label, LabelSet
from cluster.domain.models import model_name_of
from cluster.domain.work import AnswerColumns
from tests.conformance import samples


@pytest.mark.parametrize("accuracy", [0.0, 1.0, -0.1, 1.1, math.nan])
def test_an_accuracy_lies_between_0_and_1(accuracy: float) -> None:
    with pytest.raises(ValueError, match=r"goal\.accuracy"):
        Goal(accuracy=accuracy)


@pytest.mark.parametrize("confidence", [0.49, 1.0, math.nan])
def test_a_confidence_is_better_than_a_coin(confidence: float) -> None:
    with pytest.raises(ValueError, match=r"goal\.confidence"):
        Goal(confidence=confidence)


@pytest.mark.parametrize("name", ["answers_max", "cost_max", "deadline_s"])
def test_a_budget_is_not_negative_but_may_be_nothing(name: str) -> None:
    Budget(**{name: 0})
    Budget(**{name: None})
    with pytest.raises(ValueError, match=name):
        Budget(**{name: -1})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("answers_per_item_max", (0, 101)),
        ("audit_share", (-0.1, 1.1, math.nan)),
        ("audit_answers_max", (0, 101)),
        ("lease_ttl_s", (0.5, 86_401.0, math.nan)),
    ],
)
def test_crowd_terms_keep_to_their_ranges(name: str, wrong: tuple[Any, ...]) -> None:
    for value in wrong:
        with pytest.raises(ValueError, match=name):
            replace(CrowdTerms(), **{name: value})


@pytest.mark.parametrize("weight", [0.0, -1.0, 1_000.5, math.nan])
def test_a_weight_is_positive_and_bounded(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        replace(samples.job_spec(), weight=weight)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "2 to"),
        (["one"], "2 to"),
        ([f"label {n}" for n in range(LABELS_MAX + 1)], "2 to"),
        (["same", "same"], "unique"),
        (["a", ""], "characters"),
        (["a", "x" * (LABEL_CHARS_MAX + 1)], "characters"),
    ],
)
def test_a_label_set_has_some_distinct_named_labels(names: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        LabelSet(tuple(map(Label, names)))


@given(st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=30, unique=True))
def test_a_labels_code_is_its_place(names: list[str]) -> None:
    labels = LabelSet(tuple(map(Label, names)))

    assert labels.names == tuple(names)
    assert len(labels) == len(names)
    assert [labels.code(name) for name in names] == list(range(len(names)))
    assert labels.code("no such label at all") is None


def test_a_certificate_knows_its_overall_stratum() -> None:
    auto = Stratum(name="auto", items=5, audited=2, accuracy_estimate=1.0, accuracy_lower=0.8)
    overall = replace(auto, name="overall", items=9)

    assert Certificate(confidence=0.95, strata=(auto, overall)).overall is overall


def test_folds_are_even_and_follow_the_content_alone() -> None:
    hashes = [blake2b(str(n).encode(), digest_size=16).digest() for n in range(5_000)]

    sizes = Counter(fold_of(content_hash, 5) for content_hash in hashes)

    assert sorted(sizes) == [0, 1, 2, 3, 4]
    assert all(850 < size < 1_150 for size in sizes.values())
    assert fold_of(hashes[0], 5) == fold_of(hashes[0][:8] + bytes(8), 5)


def test_a_model_line_is_shared_by_jobs_that_can_learn_from_one_another() -> None:
    spec = samples.job_spec()
    name = model_name_of(samples.TENANT, spec)

    assert name == model_name_of(samples.TENANT, replace(spec, name="another", seed=8))
    assert name.startswith("acme/image-resnet-")
    assert name.count("/") == 1
    others = {
        model_name_of(TenantId("rival"), spec),
        model_name_of(samples.TENANT, replace(spec, modality="text")),
        model_name_of(samples.TENANT, replace(spec, base_model="minilm")),
        model_name_of(samples.TENANT, replace(spec, label_set=LabelSet((Label("a"), Label("b"))))),
    }
    assert len(others | {name}) == 5


def test_answers_become_columns_in_their_order() -> None:
    columns = AnswerColumns.of(
        [samples.answer(4, "zoe"), samples.answer(4, "ann", purpose="audit"), samples.answer(2)],
        first_seq=8,
    )

    assert columns.seq.tolist() == [8, 9, 10]
    assert columns.positions.tolist() == [4, 4, 2]
    assert [columns.worker_ids[index] for index in columns.workers] == ["zoe", "ann", "ann"]
    assert columns.audit.tolist() == [False, True, False]
    assert columns.labels.dtype == np.int16
    assert len(columns) == 3


def test_the_system_clock_moves_forward() -> None:
    clock = SystemClock()

    assert 1_700_000_000.0 < clock.now() <= clock.now()

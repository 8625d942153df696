import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.prelabel.fake import DEADLY, DIMENSIONS, POISON, FakeEncoder, FakeHead
from tests.unit.prelabel.support import loader


def no_pause(seconds: float) -> None:
    del seconds


def never() -> None:
    raise AssertionError


@given(st.text(), st.integers(2, 20))
def test_labels_depend_on_the_content_alone(text: str, labels: int) -> None:
    encoder = FakeEncoder(0.0, pause=no_pause, die=never)
    features = encoder.launch(encoder.prepare([text, text.encode()]))()
    assert features.shape == (2, DIMENSIONS)
    probabilities = FakeHead(labels).predict(features, None)
    np.testing.assert_array_equal(probabilities[0], probabilities[1])
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert 0.5 <= probabilities[0].max() < 1.0


def test_features_survive_being_stored_as_halves() -> None:
    encoder = FakeEncoder(0.0, pause=no_pause, die=never)
    features = encoder.launch(encoder.prepare([str(index) for index in range(300)]))()
    np.testing.assert_array_equal(features.astype(np.float16).astype(np.float32), features)


def test_service_time_is_spent_by_the_callers_pause() -> None:
    pauses = list[float]()
    encoder = FakeEncoder(0.5, pause=pauses.append, die=never)
    encoder.launch(encoder.prepare(["a", "b", "c"]))()
    assert pauses == [1.5]


def test_poison_raises() -> None:
    encoder = loader().encoder("fake", "text")
    with pytest.raises(ValueError, match=POISON):
        encoder.launch(encoder.prepare([f"some {POISON} here"]))()


def test_deadly_contents_end_the_process() -> None:
    deaths = list[str]()
    encoder = FakeEncoder(0.0, pause=no_pause, die=lambda: deaths.append("died"))
    encoder.launch(encoder.prepare(["fine"]))
    assert deaths == []
    encoder.launch(encoder.prepare(["fine", f"some {DEADLY} here"]))
    assert deaths == ["died"]

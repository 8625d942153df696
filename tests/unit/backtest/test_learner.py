"""The model's part in a backtest, with what a job leaves to the next one of its line."""

import time

import numpy as np
import pytest

from allocation.conclusions import Consensus
from cluster.domain.jobs import RecipeName
from cluster.domain.labels import Label, LabelSet
from serve_apps.backtest.learner import Learner
from serve_apps.prelabel.loading import ModelLoader
from tests.unit.training.encoders import texts

LABELS = LabelSet((Label("first"), Label("second")))


def consensus_of(labels: np.ndarray) -> Consensus:
    """Return what a crowd is sure of, of items that all may be learnt from."""
    believed, nothing = np.eye(2)[labels] * 0.9 + 0.05, np.zeros(len(labels), np.bool_)
    return Consensus(
        posterior=believed,
        target=believed,
        audit_posterior=np.full_like(believed, 0.5),
        answers=np.ones(len(labels), np.int32),
        audit=nothing,
        audited=nothing,
        trainable=~nothing,
    )


@pytest.mark.parametrize("recipe", ["head", "lora"])
def test_the_next_job_begins_with_the_model_and_the_rows_that_one_has_left(
    recipe: RecipeName,
) -> None:
    # Given a job whose model was trained on what its crowd said
    contents, labels = texts(40)
    loader = ModelLoader(threads=1, image_pixels_max=1, pause=time.sleep, precision="float32")
    learner = Learner.over(contents, "text", LABELS, loader, recipe)
    consensus = consensus_of(labels)
    trained = learner.train(consensus, 1, seed=0)
    assert trained is not None
    assert (trained.probabilities.argmax(axis=1) == labels).mean() > 0.5
    # When another one of its line begins, over some of the same items
    later = learner.rows(np.arange(8)).after(learner.bequest(consensus, trained, ()))
    # Then it is pre-labelled by that model, and learns from all rows
    assert later.first.version == 1
    np.testing.assert_allclose(later.first.probabilities, trained.probabilities[:8], atol=2e-3)
    assert later.earlier_rows == len(labels)
    again = later.train(consensus_of(labels[:8]), 2, seed=0)
    assert again is not None
    assert again.trained is not None
    assert again.trained.rows == len(labels) + 8

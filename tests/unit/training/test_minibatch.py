"""Small ResNets: they learn, they are cross-fitted, and a run goes on exactly where it stopped."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save

from cluster.errors import TrainingFailed
from tests.unit.training.worlds import bars
from training.augmentation import shift
from training.config import Recipe, ResNetHead
from training.data import TrainingData
from training.group import Alone
from training.progress import Progress
from training.recipes import image_small
from training.run_state import RunState
from training.step import Fitted, fit, train

QUICK = Recipe(
    name="quick",
    folds=2,
    head=ResNetHead(widths=(8, 16), epochs=6, steps_min=24, batch_rows=16, checkpoints=2),
)


def images(items: int, seed: int = 0) -> TrainingData:
    return bars(items, seed).training_data(folds=QUICK.folds)


def run(data: TrainingData, resume: RunState | None = None) -> tuple[Fitted, list[RunState]]:
    told: list[float] = []
    states: list[RunState] = []

    def note(progress: Progress) -> None:
        told.append(progress.epochs)
        if progress.due:
            states.append(RunState.load(progress.state(), "run"))

    fitted = train(QUICK, data, 5, Alone(), resume=resume, on_progress=note)
    first = resume.epochs if resume else 0.0
    ends = [epochs for epochs in told if epochs.is_integer()]
    assert ends == list(range(int(first) + 1, int(told[-1]) + 1))
    return fitted, states


def test_a_network_learns_and_its_seed_repeats_it() -> None:
    data, unseen = images(64), images(64, seed=1)

    model = fit(QUICK, data, seed=5)

    agree = model.predict(unseen.features).argmax(1) == unseen.targets.argmax(1)
    assert agree.mean() > 0.9
    assert fit(QUICK, data, seed=5).save() == model.save()
    assert fit(QUICK, data, seed=6).save() != model.save()


@pytest.mark.parametrize("seed", [-1, 2**70])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    data = images(8)

    assert fit(QUICK, data, seed).save() == fit(QUICK, data, seed).save()


def test_a_run_that_was_cut_off_ends_with_the_very_same_weights() -> None:
    data = images(48)
    whole, states = run(data)

    assert [state.step for state in states] == [8, 16]
    for state in states:
        assert run(data, resume=state)[0].model.save() == whole.model.save()


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        ((8, 32), r" is [\dx ]+ in it and [\dx ]+ here"),
        ((8, 16, 32), "is missing in it"),
        ((8,), "and missing here"),
    ],
)
def test_a_checkpoint_of_another_architecture_is_a_clear_failure(
    widths: tuple[int, ...], said: str
) -> None:
    data = images(48)
    _, states = run(data)
    other = replace(QUICK, head=replace(QUICK.head, widths=widths))  # type: ignore[arg-type]

    with pytest.raises(TrainingFailed, match="checkpoint is of another architecture") as failure:
        train(other, data, 5, Alone(), resume=states[0])

    assert re.search(said, str(failure.value))


@pytest.mark.parametrize("content", [b"", b"PK no safetensors", save({"weights.a": torch.ones(1)})])
def test_a_checkpoint_that_is_none_is_a_clear_failure(content: bytes) -> None:
    with pytest.raises(TrainingFailed, match="its checkpoint cannot be read"):
        RunState.load(content, "run")


def test_the_loss_told_on_the_way_is_the_cross_fitted_one() -> None:
    told: list[float] = []

    fitted = train(
        QUICK, images(48), 5, Alone(), on_progress=lambda each: told.append(each.held_out_loss())
    )

    assert told[-1] < told[0]
    assert told[-1] == pytest.approx(fitted.metrics["log_loss"])


def test_a_network_has_not_learnt_from_the_items_of_its_fold() -> None:
    data = images(48)
    turned = data.targets.copy()
    turned[data.folds == 1] = turned[data.folds == 1][:, ::-1]

    before, after = fit(QUICK, data, seed=5), fit(QUICK, replace(data, targets=turned), seed=5)

    own = np.ones(48, np.int64)
    np.testing.assert_allclose(
        before.predict(data.features, own), after.predict(data.features, own), atol=1e-4
    )
    gap = before.predict(data.features, 1 - own) - after.predict(data.features, 1 - own)
    assert np.abs(gap).max() > 0.1


def test_a_loss_that_is_no_number_is_a_clear_failure() -> None:
    data = images(32)
    data.targets[0, 0] = np.nan

    with pytest.raises(TrainingFailed, match="not finite"):
        train(QUICK, data, 0, Alone())


def test_an_image_is_moved_but_not_changed() -> None:
    image = torch.zeros(1, 3, 32, 32)
    image[0, :, 10:13, 20:23] = torch.rand(3, 3, 3)
    images = image.expand(200, -1, -1, -1)

    moved = shift(images, 3, torch.Generator().manual_seed(0))

    assert torch.allclose(moved.sum(dim=(1, 2, 3)), image.sum())
    corners = {tuple(each[0].nonzero()[0].tolist()) for each in moved}
    assert {row for row, _ in corners} == set(range(7, 14))
    assert {column for _, column in corners} == set(range(17, 24))


def test_pixels_of_another_size_are_refused() -> None:
    data = images(8)

    with pytest.raises(ValueError, match="3072 pixels"):
        fit(image_small(), replace(data, features=data.features[:, :100].copy()), seed=0)

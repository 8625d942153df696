"""Losses: what they are at points where one can tell by hand, and what noise does to them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from training.config import Loss
from training.losses import LOG_TARGET_MIN, generalised_cross_entropy, loss_of

EVERY: tuple[Loss, ...] = ("posterior", "symmetric", "generalised")


def points(classes: int) -> st.SearchStrategy[Tensor]:
    numbers = st.floats(-20.0, 20.0, width=32)
    return st.lists(numbers, min_size=classes, max_size=classes).map(torch.tensor)


@pytest.mark.parametrize("name", EVERY)
@given(logits=points(4), raw=points(4))
def test_a_posterior_costs_what_its_labels_cost_on_average(
    name: Loss, logits: Tensor, raw: Tensor
) -> None:
    targets = raw.softmax(-1)
    each = loss_of(name)(logits.expand(4, 4), torch.eye(4))

    loss = loss_of(name)(logits, targets)

    assert float(loss) == pytest.approx(float(targets @ each), rel=1e-4, abs=1e-4)
    assert loss >= -1e-5


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("posterior", math.log(2)),
        ("symmetric", 0.5 * math.log(2) - 0.5 * LOG_TARGET_MIN * 0.5),
        ("generalised", (1 - 0.5**0.7) / 0.7),
    ],
)
def test_a_coin_costs_this(name: Loss, expected: float) -> None:
    loss = loss_of(name)(torch.zeros(2), torch.tensor([1.0, 0.0]))

    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_a_wrong_label_pulls_less_on_a_robust_loss() -> None:
    """A sure and wrong target: cross entropy's gradient stays, the generalised one's vanishes."""
    logits = torch.tensor([8.0, 0.0], requires_grad=True)
    wrong = torch.tensor([0.0, 1.0])

    (plain,) = torch.autograd.grad(loss_of("posterior")(logits, wrong), logits)
    (robust,) = torch.autograd.grad(generalised_cross_entropy(logits, wrong), logits)

    assert plain.abs().max() > 0.99
    assert robust.abs().max() < 0.05

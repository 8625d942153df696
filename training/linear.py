"""Cross-fitted multinomial logistic regression, all heads and all workers in one solve.

The heads share one full-batch L-BFGS run (Liu & Nocedal 1989): the sum of their losses is convex
and separable, so its minimum is each head's own. Every worker holds a share of the rows, and loss
and gradient are summed over workers, so that any number of them takes the same steps. The ridge
penalty comes for free: each item's own head never saw it, so the heads of one penalty give its
cross-validated log loss against the consensus.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from training.config import LinearHead, Shape
from training.group import Group
from training.heads import LinearHeads, own_fold
from training.tensors import Rows

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """One worker's rows, standardised as (n, D); `share` (n, F) is what a row adds to a head."""

    inputs: Tensor
    rows: Rows
    share: Tensor
    group: Group

    def logits(self, parameters: Tensor) -> Tensor:
        """Return (n, F, K) for parameters (F * K, D + 1), the last column being biases."""
        flat = functional.linear(self.inputs, parameters[:, :-1], parameters[:, -1])
        return flat.view(len(flat), self.share.shape[1], self.rows.targets.shape[1])

    def loss_and_gradient(self, parameters: Tensor, l2: float) -> tuple[Tensor, Tensor]:
        """Return the sum of the heads' penalised mean losses, and its gradient."""
        log_probabilities = functional.log_softmax(self.logits(parameters), dim=-1)
        targets = self.rows.targets[:, None]
        loss = -((targets * log_probabilities).sum(-1) * self.share).sum()
        slope = ((log_probabilities.exp() - targets) * self.share[..., None]).flatten(1)
        gradient = torch.cat([slope.T @ self.inputs, slope.sum(0)[:, None]], dim=1)
        summed = self.group.total(torch.cat([loss.reshape(1), gradient.flatten()]))
        penalty = 0.5 * l2 * parameters.square().sum()
        return summed[0] + penalty, summed[1:].view_as(parameters) + l2 * parameters

    def held_out_loss(self, parameters: Tensor) -> float:
        """Return the weighted mean log loss of each row under the head that never saw it."""
        return self.rows.log_loss(own_fold(self.logits(parameters), self.rows.folds), self.group)


def fit_linear(config: LinearHead, shape: Shape, rows: Rows, group: Group) -> LinearHeads:
    """Return the heads at the penalty of least cross-fitted loss; the same on every worker."""
    mean, scale = _moments(rows, group)
    share = rows.head_weights(shape.folds)
    share = share / group.total(share.sum(0)).clamp_min(torch.finfo(share.dtype).tiny)
    problem = _Problem((rows.features - mean) / scale, rows, share, group)
    size = (shape.folds * shape.classes, shape.features + 1)
    parameters = best = rows.features.new_zeros(size)
    best_loss = float("inf")
    for l2 in config.l2_path:
        parameters = _solve(config, problem, parameters, l2)
        loss = problem.held_out_loss(parameters)
        if not loss < best_loss:
            break
        best, best_loss = parameters, loss
    return _heads(shape, mean, scale, best)


def _moments(rows: Rows, group: Group) -> tuple[Tensor, Tensor]:
    """Return the mean (D,) of all workers' rows and the root of their mean variance ().

    One scale for all dimensions keeps the geometry the encoder was trained for.
    """
    count = group.total(rows.features.new_tensor([float(len(rows.features))]))
    mean = group.total(rows.features.sum(0)) / count
    variance = group.total((rows.features - mean).square().sum(0)) / count
    return mean, variance.mean().sqrt().clamp_min(1e-6)


def _solve(config: LinearHead, problem: _Problem, start: Tensor, l2: float) -> Tensor:
    """Return the parameters of least loss at one penalty, from a nearby solution."""

    def objective(flat: Doubles) -> tuple[float, Doubles]:
        parameters = torch.from_numpy(flat).to(start).view_as(start)
        loss, gradient = problem.loss_and_gradient(parameters, l2)
        return loss.item(), gradient.flatten().double().numpy(force=True)

    solution = minimize(
        objective,
        start.flatten().double().numpy(force=True),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": config.iterations_max, "gtol": config.gradient_tolerance, "ftol": 1e-8},
    )
    return torch.from_numpy(solution.x).to(start).view_as(start)


def _heads(shape: Shape, mean: Tensor, scale: Tensor, parameters: Tensor) -> LinearHeads:
    heads = LinearHeads(shape).to(parameters.device)
    heads.load_state_dict(
        {
            "mean": mean,
            "scale": scale,
            "linear.weight": parameters[:, :-1].contiguous(),
            "linear.bias": parameters[:, -1].contiguous(),
        }
    )
    return heads

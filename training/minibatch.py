"""Minibatch training of any network: AdamW on a warm-up and cosine schedule, replicated by DDP.

All randomness is drawn from (seed, epoch, rank) and (seed, step, rank), so a run that goes on from
the state after a step takes exactly the steps it would have taken.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_

from cluster.errors import TrainingFailed
from training.config import Minibatches
from training.group import Group
from training.losses import loss_of
from training.precision import autocast
from training.progress import OnProgress, Progress
from training.run_state import (
    Best,
    RunState,
    moments_below,
    moments_of,
    require_alike,
    trained_state,
)
from training.sharding import gather, scatter, spread_like, trained_copy, whole
from training.tensors import Rows

POOL_BATCHES = 50
"""So many batches' rows are drawn at a time, and sorted by size, so that few are padded much."""

JUDGED_ROWS = 128
"""Rows in one pass over what the members say of their own folds."""


class Learner(Protocol):
    """What is trained, as the loop sees it: F members over the rows of this worker."""

    @property
    def network(self) -> nn.Module:
        """All members; what of it requires a gradient is trained."""
        ...

    @property
    def members(self) -> Sequence[nn.Module]:
        """Each member's own part of the network; no two share a weight that is trained."""
        ...

    @property
    def sizes(self) -> Tensor:
        """What each row (n,) costs; rows of like sizes share a batch."""
        ...

    def logits(self, replica: nn.Module, index: Tensor, generator: torch.Generator) -> Tensor:
        """Return the logits (b, F, K) of some rows; nobody reads those of a row's own fold."""
        ...

    def own(self, index: Tensor) -> Tensor:
        """Return the logits (b, K) of some rows, each by the member of its own fold."""
        ...


def fit_minibatches(
    config: Minibatches,
    learner: Learner,
    rows: Rows,
    seed: int,
    group: Group,
    run_name: str,
    resume: RunState | None,
    on_progress: OnProgress | None,
) -> None:
    """Train a learner on all workers' rows; every worker must hold at least one.

    Raises TrainingFailed where the loss is not finite.
    """
    run = _Run(config, learner, rows, seed, group, run_name)
    if resume is not None:
        run.restore(resume)
    run.finish(on_progress)


def own_logits(learner: Learner, group: Group) -> Tensor:
    """Return what each row's own member says of it (n, K)."""
    learner.network.eval()
    # Sorted, so that a batch is padded little; a stable order makes equal runs equal.
    order = torch.argsort(learner.sizes, stable=True)
    with torch.no_grad(), autocast(group.device):
        parts = [learner.own(index).float() for index in torch.split(order, JUDGED_ROWS)]
    return torch.cat(parts)[torch.argsort(order)]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw what is random in the context from a seed, and leave the process's own draws alone."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(drawn(seed))
        yield


def drawn(*entropy: int) -> int:
    """Return a seed for torch from whole numbers; every different tuple gives another one."""
    # Entropy is never negative, generators take no more than 63 bits.
    words = np.random.SeedSequence([number % 2**128 for number in entropy])
    return int(words.generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schedule:
    """How many steps a run takes at most, and how large each is."""

    config: Minibatches
    epochs: int
    steps_per_epoch: int

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def saves_after(self, step: int) -> bool:
        """Return whether a run is saved after a step; after the last one it is done."""
        between = math.ceil(self.steps / (1 + self.config.checkpoints))
        return (step + 1) % between == 0 and step + 1 < self.steps

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        done, warm_up = (step + 1) / self.steps, self.config.warm_up_share
        if done < warm_up:
            return self.config.learning_rate * done / warm_up
        rest = (done - warm_up) / (1.0 - warm_up)
        return self.config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * rest))


class _Run:
    """One worker's share of a run."""

    def __init__(
        self,
        config: Minibatches,
        learner: Learner,
        rows: Rows,
        seed: int,
        group: Group,
        run_name: str,
    ) -> None:
        self._config, self._learner, self._rows = config, learner, rows
        self._seed, self._group, self._run_name = seed, group, run_name
        self._loss = loss_of(config.loss)
        self._replica = group.replicate(learner.network)
        # The module whose weights are trained: the network itself, but where they are sharded.
        self._own = trained_copy(self._replica)
        self._trained = [each for each in self._own.parameters() if each.requires_grad]
        self._members = _members_in(self._own, learner)
        self._optimizer = torch.optim.AdamW(
            self._trained, weight_decay=config.weight_decay, fused=True
        )
        self._batch_rows = max(1, config.batch_rows // group.size)
        self._schedule = self._plan()
        self._step, self._told, self._best = 0, 0, Best.none()
        self._losses = _Mean(group)

    def _plan(self) -> _Schedule:
        """Return the schedule that all workers keep; small data is passed over more often."""
        lengths = torch.zeros(self._group.size, dtype=torch.int64, device=self._group.device)
        lengths[self._group.rank] = len(self._rows.folds)
        steps_per_epoch = math.ceil(int(self._group.total(lengths).max()) / self._batch_rows)
        epochs = max(self._config.epochs, math.ceil(self._config.steps_min / steps_per_epoch))
        return _Schedule(config=self._config, epochs=epochs, steps_per_epoch=steps_per_epoch)

    def finish(self, on_progress: OnProgress | None) -> None:
        """Take what steps are left, and leave the learner with the weights to keep."""
        patience = self._config.patience
        self._replica.train()
        if patience is not None and self._step == 0:
            self._judge()
        batches: list[Tensor] = []
        while self._step < self._schedule.steps:
            epoch, place = divmod(self._step, self._schedule.steps_per_epoch)
            if patience is not None and self._best.stale >= patience:
                break
            batches = batches or self._batches(epoch)
            self._take_step(batches[place])
            if place + 1 == self._schedule.steps_per_epoch:
                batches = []
                self._require_finite()
                if patience is not None:
                    self._judge()
            due = self._schedule.saves_after(self._step)
            if on_progress is not None and (due or not batches):
                self._require_finite()
                on_progress(self._progress(due=due))
            self._step += 1
        gather(self._own, self._learner.network)
        if patience is not None:
            _assign(self._learner.network, self._best.tensors)
        _average_statistics(self._learner.network, self._group)
        self._learner.network.eval()

    def _batches(self, epoch: int) -> list[Tensor]:
        """Return every worker's number of batches; a worker with fewer rows takes some again."""
        generator = torch.Generator().manual_seed(drawn(self._seed, 0, epoch, self._group.rank))
        rows, wanted = len(self._rows.folds), self._schedule.steps_per_epoch * self._batch_rows
        passes = range(math.ceil(wanted / rows))
        order = torch.cat([torch.randperm(rows, generator=generator) for _ in passes])[:wanted]
        sizes = self._learner.sizes.cpu()
        pools = torch.split(order, POOL_BATCHES * self._batch_rows)
        alike = torch.cat([pool[torch.argsort(sizes[pool], stable=True)] for pool in pools])
        batches = torch.split(alike.to(self._group.device), self._batch_rows)
        shuffled = torch.randperm(len(batches), generator=generator).tolist()
        return [batches[place] for place in shuffled]

    def _take_step(self, batch: Tensor) -> None:
        for parameters in self._optimizer.param_groups:
            parameters["lr"] = self._schedule.rate(self._step)
        self._optimizer.zero_grad()
        draw = drawn(self._seed, 1, self._step, self._group.rank)
        generator = torch.Generator().manual_seed(draw)
        parts = torch.tensor_split(batch, min(self._config.accumulation, len(batch)))
        with seeded(draw, self._group.device):
            for part in parts[:-1]:
                with _unsynced(self._replica):
                    self._backward(part, generator, len(parts))
            self._backward(parts[-1], generator, len(parts))
        if self._config.gradient_norm_max is not None:
            # Each member alone: one that saw a fold must not shorten the step of one that did not.
            for member in self._members:
                clip_grad_norm_(member, self._config.gradient_norm_max)
        self._optimizer.step()

    def _backward(self, index: Tensor, generator: torch.Generator, parts: int) -> None:
        with autocast(self._group.device):
            logits = self._learner.logits(self._replica, index, generator).float()
        weights = self._rows.head_weights(logits.shape[1], index)
        losses = self._loss(logits, self._rows.targets[index, None]) * weights
        loss = (losses.sum(0) / weights.sum(0).clamp_min(1e-6)).sum() / parts
        torch.autograd.backward(loss)
        self._losses.add(loss.detach() / logits.shape[1], 1.0 / parts)

    def _judge(self) -> None:
        """Keep the weights where they foretell held-out rows better than any before."""
        loss = self._held_out_loss()
        self._best = self._best.after(loss, trained_state(self._learner.network))

    def _held_out_loss(self) -> float:
        gather(self._own, self._learner.network)
        loss = self._rows.log_loss(own_logits(self._learner, self._group), self._group)
        self._replica.train()  # which asks every module, and would take a twentieth of each step
        return loss

    def _require_finite(self) -> None:
        if not self._losses.is_finite():
            raise TrainingFailed(self._run_name, "its loss is not finite")

    def _progress(self, *, due: bool) -> Progress:
        """Return where the run stands after this step."""
        done = self._step + 1 - self._told
        self._told = self._step + 1
        return Progress(
            epochs=self._told / self._schedule.steps_per_epoch,
            epochs_planned=self._schedule.epochs,
            rows=done * self._batch_rows * self._group.size,
            loss=self._losses.take(),
            due=due,
            state=lambda: self._state().save(),
            held_out_loss=self._held_out_loss,
        )

    def _state(self) -> RunState:
        """Return what the run needs to go on after this step."""
        gather(self._own, self._learner.network)
        return RunState(
            step=self._step + 1,
            steps_per_epoch=self._schedule.steps_per_epoch,
            weights=trained_state(self._learner.network),
            moments=whole(moments_of(self._optimizer)),
            best=self._best,
        )

    def restore(self, state: RunState) -> None:
        """Go on from a state; with another number of workers, from the same share of an epoch.

        Raises TrainingFailed where it is the state of another architecture.
        """
        self._require_own(state)
        _assign(self._learner.network, state.weights)
        scatter(self._learner.network, self._own)
        moments = {
            index: {name: spread_like(each, self._trained[index]) for name, each in found.items()}
            for index, found in moments_below(state.moments).items()
        }
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self._step = self._told = round(state.epochs * self._schedule.steps_per_epoch)
        self._best = state.best

    def _require_own(self, state: RunState) -> None:
        own = trained_state(self._learner.network)
        require_alike(state.weights, own, self._run_name)
        require_alike(state.best.tensors or own, own, self._run_name)


class _Mean:
    """The mean loss since it was last taken, kept where the losses are."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._sum, self._count = torch.zeros((), device=group.device), 0.0

    def add(self, loss: Tensor, count: float) -> None:
        """Count a loss."""
        self._sum, self._count = self._sum + loss, self._count + count

    def is_finite(self) -> bool:
        """Return whether every worker's losses so far are numbers; all must call."""
        return math.isfinite(float(self._group.total(self._sum)))

    def take(self) -> float:
        """Return the mean and begin anew."""
        mean = float(self._sum) / max(self._count, 1e-9)
        self._sum, self._count = torch.zeros_like(self._sum), 0.0
        return mean


def _members_in(own: nn.Module, learner: Learner) -> list[list[nn.Parameter]]:
    """Return the parameters of each member, as they are called in the module that is trained."""
    names = {id(each): name for name, each in learner.network.named_parameters()}
    held = dict(own.named_parameters())
    return [[held[names[id(each)]] for each in member.parameters()] for member in learner.members]


def _assign(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    network.load_state_dict(dict(tensors), strict=False)


def _unsynced(replica: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which gradients stay with their worker, to be added to."""
    if isinstance(replica, DistributedDataParallel):
        context: AbstractContextManager[None] = replica.no_sync()
        return context
    return nullcontext()


def _average_statistics(network: nn.Module, group: Group) -> None:
    """Give every worker the mean of what each saw of the activations in its last batch."""
    if group.size == 1:
        return
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.copy_(group.total(buffer) / group.size)

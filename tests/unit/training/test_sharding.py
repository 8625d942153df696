"""Weights spread over two real workers: the model of replicas, and states that fit any number."""

from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.numpy import load as load_tensors
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from tests.unit.training.encoders import TINY_BERT, backbone, data_of, texts
from tests.unit.training.worlds import bars
from training.config import Recipe, ResNetHead, TunedEncoder
from training.data import TrainingData
from training.group import Alone
from training.progress import Progress
from training.recipes import text_full, text_lora
from training.run_state import RunState
from training.sharding import shard, spread_like, whole
from training.step import train

QUICK = Recipe(
    name="quick",
    folds=2,
    head=ResNetHead(widths=(8, 16), epochs=4, steps_min=1, batch_rows=16, checkpoints=1),
)


def short(recipe: Recipe) -> Recipe:
    """Return a recipe that takes a second on a tiny encoder, and is saved half-way."""
    assert isinstance(recipe.head, TunedEncoder)
    head = replace(recipe.head, epochs=3, batch_rows=16, checkpoints=1, patience=None)
    return replace(recipe, head=head)


LORA, FULL = short(text_lora(TINY_BERT)), short(text_full(TINY_BERT))

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class Pair:
    """Two workers in processes of their own."""

    size, device = 2, torch.device("cpu")

    def __init__(self, rank: int, *, sharded: bool) -> None:
        self.rank, self._sharded = rank, sharded

    def total(self, tensor: Tensor) -> Tensor:
        summed = tensor.clone()
        dist.all_reduce(summed)
        return summed

    def replicate(self, module: nn.Module) -> nn.Module:
        if not self._sharded:
            return DistributedDataParallel(module)
        sharded = shard(module, self.size, self.device)
        trained = {name for name, each in sharded.named_parameters() if each.requires_grad}
        spread = {n for n, each in sharded.named_parameters() if isinstance(each, DTensor)}
        assert trained == spread
        return sharded


def work(rank: int, folder: Path, recipe: Recipe, every: TrainingData, *, sharded: bool) -> None:
    """Train as one of two workers; the first stores the model and the state half-way."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2
    )
    mine = TrainingData(
        features=every.features[rank::2],
        targets=every.targets[rank::2],
        weights=every.weights[rank::2],
        folds=every.folds[rank::2],
        contents=every.contents[rank::2],
    )
    states: list[bytes] = []

    def note(progress: Progress) -> None:
        if progress.due:
            states.append(progress.state())

    group = Pair(rank, sharded=sharded)
    fitted = train(recipe, mine, 5, group, on_progress=note)
    again = train(recipe, mine, 5, group, resume=RunState.load(states[0], "run"))
    assert again.model.save() == fitted.model.save()
    if rank == 0:
        (folder / "model").write_bytes(fitted.model.save())
        (folder / "state").write_bytes(states[0])
    dist.destroy_process_group()


def images() -> TrainingData:
    return bars(48).training_data(folds=QUICK.folds)


def sentences() -> TrainingData:
    return data_of(*texts(48), backbone())


def both(folder: Path, recipe: Recipe, every: TrainingData, *, sharded: bool) -> Path:
    """Train on two workers and return the folder of what they stored."""
    folder.mkdir()
    spawn: Any = get_context("spawn")
    arguments: dict[str, Any] = {"sharded": sharded}
    target: Callable[..., None] = work
    workers = [
        spawn.Process(target=target, args=(rank, folder, recipe, every), kwargs=arguments)
        for rank in (0, 1)
    ]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
        assert each.exitcode == 0
    return folder


def test_sharded_workers_train_the_model_of_replicas_and_go_on_exactly(tmp_path: Path) -> None:
    # When two workers train with sharded weights, and two as replicas
    sharded = both(tmp_path / "sharded", QUICK, images(), sharded=True)
    replicas = both(tmp_path / "replicas", QUICK, images(), sharded=False)
    # Then they learn the same weights; replicas also share the first one's statistics, these do not
    learnt, expected = (load_tensors((each / "model").read_bytes()) for each in (sharded, replicas))
    weights = [name for name in expected if not name.endswith(STATISTICS)]
    assert set(learnt) == set(expected)
    for name in weights:
        np.testing.assert_allclose(learnt[name], expected[name], atol=5e-3, err_msg=name)
    # And one worker goes on from what the two of them saved
    state = RunState.load((sharded / "state").read_bytes(), "run")
    alone = train(QUICK, images(), 5, Alone(), resume=state)
    assert np.isfinite(alone.metrics["log_loss"])


@pytest.mark.parametrize("recipe", [LORA, FULL], ids=["lora", "full"])
def test_tuned_encoders_are_sharded_as_well(
    recipe: Recipe, tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a base model that the workers find as well
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # When two workers tune it with sharded weights, and two as replicas
    sharded = both(tmp_path / "sharded", recipe, sentences(), sharded=True)
    replicas = both(tmp_path / "replicas", recipe, sentences(), sharded=False)
    # Then they learn the same weights
    learnt, expected = (load_tensors((each / "model").read_bytes()) for each in (sharded, replicas))
    assert set(learnt) == set(expected)
    for name in expected:
        np.testing.assert_allclose(learnt[name], expected[name], atol=5e-3, err_msg=name)


def test_what_is_not_spread_stays_as_it_is() -> None:
    tensor = torch.arange(3.0)

    assert whole({"a": tensor})["a"] is tensor
    assert spread_like(tensor, torch.zeros(3)) is tensor

"""Networks too large for one worker: weights, gradients and moments spread over all (FSDP2).

Every worker holds a slice of each tensor, and gathers a block's weights only while it computes the
block (Zhao et al. 2023, arXiv:2304.11277). Beside that it has the network itself, whole, to judge
and to save by, which costs its weights once more. What is stored is whole, so that a run may go on
with another number of workers, and a model does not tell how it was trained.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

M = TypeVar("M", bound=nn.Module)


def shard(network: M, workers: int, device: torch.device) -> M:
    """Return a copy with its parameters spread over the workers, each repeated block a unit."""
    module = deepcopy(network)
    from torch.distributed.device_mesh import init_device_mesh  # noqa: PLC0415 - takes a second
    from torch.distributed.fsdp import fully_shard  # noqa: PLC0415

    mesh = init_device_mesh(device.type, (workers,))
    lists = [each for each in module.modules() if isinstance(each, nn.ModuleList)]
    for blocks in reversed(lists):
        for block in blocks:
            fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module


def trained_copy(replica: nn.Module) -> nn.Module:
    """Return the module whose weights a replica trains."""
    if isinstance(replica, DistributedDataParallel):
        module: nn.Module = replica.module
        return module
    return replica


def gather(own: nn.Module, network: nn.Module) -> None:
    """Give a network the weights of its sharded copy; every worker must call."""
    if own is not network:
        network.load_state_dict(whole(own.state_dict()))


def scatter(network: nn.Module, own: nn.Module) -> None:
    """Give a sharded copy the weights of its network, which are the same on every worker."""
    if own is not network:
        held = own.state_dict()
        own.load_state_dict(
            {name: spread_like(each, held[name]) for name, each in network.state_dict().items()}
        )


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with the spread ones gathered; every worker must call."""
    return {
        name: tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        for name, tensor in tensors.items()
    }


def spread_like(tensor: Tensor, pattern: Tensor) -> Tensor:
    """Return this worker's part of a whole tensor that every worker has, cut as `pattern` is."""
    if not isinstance(pattern, DTensor) or tensor.shape != pattern.shape:
        return tensor
    placed = tensor.to(pattern.device)
    return distribute_tensor(placed, pattern.device_mesh, pattern.placements, src_data_rank=None)

"""Networks too large to train on one worker: weights, gradients, moments spread over all (FSDP2).

Every worker holds a slice of each tensor that is trained, and gathers a block's weights only while
it computes the block (Zhao et al. 2023, arXiv:2304.11277). Beside that it has the network itself,
whole, to judge and to save by, which costs its weights once more; what is frozen is in both the
same, once. What is stored is whole, so that a run may go on with another number of workers, and a
model does not tell how it was trained.
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
    """Return a copy whose trained parameters are spread over the workers, block by block.

    Frozen ones are the network's own: its members may share them, and it is there anyhow.
    """
    frozen = {each for each in network.parameters() if not each.requires_grad}
    module = deepcopy(network, {id(each): each for each in frozen})
    from torch.distributed.device_mesh import init_device_mesh  # noqa: PLC0415 - takes a second
    from torch.distributed.fsdp import fully_shard  # noqa: PLC0415

    mesh = init_device_mesh(device.type, (workers,))
    for block in _blocks(module):
        fully_shard(block, mesh=mesh, ignored_params=frozen)
    fully_shard(module, mesh=mesh, ignored_params=frozen)
    return module


def _blocks(module: nn.Module) -> list[nn.Module]:
    """Return what is repeated in a module and repeats nothing itself: the layers of its networks.

    A network as a whole is none: sharding changes a module's class, by which transformers knows it.
    """
    lists = [each for each in module.modules() if isinstance(each, nn.ModuleList)]
    blocks = [block for each in lists for block in each]
    return [block for block in blocks if not _repeats(block)]


def _repeats(block: nn.Module) -> bool:
    return any(isinstance(each, nn.ModuleList) for each in block.modules())


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

"""In which numbers a device computes networks fastest."""

import torch


def fast_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 wherever matrices are faster in it, else float32.

    A processor without matrix tiles (AMX) takes several times as long in bfloat16.
    """
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported()
    else:
        fast = torch.cpu._is_amx_tile_supported()  # noqa: SLF001 - there is no public question
    return torch.bfloat16 if fast else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """Return a context in which matrices are multiplied in the device's fastest numbers.

    Weights and their gradients stay float32.
    """
    fast = fast_dtype(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=fast == torch.bfloat16)

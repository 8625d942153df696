"""One thread for every test: small matrices, and other tests beside them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.unit.training.encoders import tiny_hub


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("hub")
    with tiny_hub(folder):
        yield folder

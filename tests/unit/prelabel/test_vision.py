from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    ConvNextConfig,
    ConvNextModel,
    PreTrainedModel,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

from serve_apps.prelabel.encode import encode
from serve_apps.prelabel.hub import Placement
from serve_apps.prelabel.model import BatchBudget
from serve_apps.prelabel.turns import Turns
from serve_apps.prelabel.vision import VisionEncoder
from tests.unit.prelabel.support import LABELS
from tests.unit.prelabel.test_image import BLUE, RED, encoded

VIT = ViTConfig(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    image_size=32,
    patch_size=8,
)
CONVNEXT = ConvNextConfig(num_stages=2, hidden_sizes=[8, 16], depths=[1, 1])


@pytest.fixture(params=["vit", "convnext"])
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> VisionEncoder:
    torch.manual_seed(0)
    network: PreTrainedModel = (
        ViTModel(VIT, add_pooling_layer=False)
        if request.param == "vit"
        else ConvNextModel(CONVNEXT)
    )
    network.save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    return VisionEncoder.load(tmp_path, Placement.best(), pixels_max=10_000)


def test_pictures_become_unit_vectors_each_its_own(encoder: VisionEncoder) -> None:
    # Given pictures of several sizes and kinds, and a broken one
    contents = [
        encoded(Image.new("RGB", (20, 50), RED)),
        encoded(Image.new("L", (64, 64), 10), "JPEG"),
        b"broken",
        encoded(Image.new("RGB", (20, 50), BLUE)),
    ]
    # When they are encoded together and alone
    together = encode(encoder, contents, BatchBudget.fixed(4 * 32 * 32), Turns(), urgent=False)
    alone = encode(encoder, contents, BatchBudget.fixed(1), Turns(), urgent=False)
    # Then each has a unit vector that does not depend on its neighbours
    assert set(together.failures) == {2}
    good = together.features[[0, 1, 3]]
    assert good.shape == (3, 16) == (3, encoder.dimensions)
    np.testing.assert_allclose(np.linalg.norm(good, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(together.features, alone.features, atol=1e-5)
    assert np.abs(good[0] - good[2]).max() > 1e-4


def test_without_a_text_tower_every_label_is_as_likely(encoder: VisionEncoder) -> None:
    head = encoder.zero_shot(LABELS, np.zeros((0, 16), np.float32))
    np.testing.assert_array_equal(
        head.predict(np.ones((2, 16), np.float32), None), np.float32(1 / 3)
    )

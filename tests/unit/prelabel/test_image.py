from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cluster.stores.objects import MemoryObjects
from serve_apps.prelabel.image import PIXEL_SIDE, PixelEncoder
from serve_apps.prelabel.work import ChunkWork
from tests.unit.prelabel.support import (
    LABELS,
    model_spec,
    predictor_over,
    read_predictions,
    store_chunk,
)
from training.pictures import decode

RED, BLUE = (255, 0, 0), (0, 0, 255)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def test_pixels_are_channels_first_and_between_zero_and_one() -> None:
    # Given a picture of the size the model sees, with one blue pixel
    image = Image.new("RGB", (PIXEL_SIDE, PIXEL_SIDE), RED)
    image.putpixel((5, 2), BLUE)
    encoder = PixelEncoder(10_000)
    # When it is encoded
    features = encoder.launch(encoder.prepare([encoded(image)]))()
    # Then the features are its pixels
    pixels = features.reshape(3, PIXEL_SIDE, PIXEL_SIDE)
    assert features.shape == (1, encoder.dimensions)
    assert pixels[:, 0, 0].tolist() == [1.0, 0.0, 0.0]
    assert pixels[:, 2, 5].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    form = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    assert decode(encoded(Image.new(mode, (9, 7)), form), 100).mode == "RGB"


def test_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content, 100).getpixel((0, 0)) == RED


def test_pictures_are_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(Image.new("RGB", (9, 7)), "JPEG", exif=exif), 100).size == (7, 9)


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    bomb = encoded(Image.new("1", (5_000, 5_000)))
    assert len(bomb) < 10_000
    with pytest.raises(ValueError, match="too many pixels"):
        decode(bomb, 1_000_000)


def test_broken_pictures_are_poison_and_the_others_uniform_before_training() -> None:
    # Given a chunk of pictures, one of them cut short and one no picture
    good = [encoded(Image.effect_noise((40, 30), sigma)) for sigma in (10.0, 90.0)]
    contents = [good[0], good[1][:60], b"no picture", good[1]]
    objects = MemoryObjects()
    work = ChunkWork(
        chunk=store_chunk(objects, contents), model=model_spec("resnet", modality="image")
    )
    # When it is pre-labelled with the model that has learnt nothing yet
    outcome = predictor_over(objects).predict(work)
    # Then the broken ones are named, and nothing is claimed about any
    assert [row.line for row in outcome.poison] == [2, 3]
    _, probabilities = read_predictions(objects, outcome.predictions_path)
    np.testing.assert_array_equal(probabilities, np.full((4, len(LABELS)), np.float32(1 / 3)))

"""The digits keep their pixels and their truth on the way to PNG."""

from io import BytesIO

import numpy as np
from PIL import Image

from examples.demo.digits import INK_MAX, SCALE, digit_arrays, load_digits


def test_every_digit_becomes_a_png_of_the_same_picture() -> None:
    images, targets = digit_arrays()
    digits = load_digits()
    assert len(digits.items) == len(images) == 1797
    for row in range(0, len(images), 97):
        content = digits.items[row].content
        assert isinstance(content, bytes)
        with Image.open(BytesIO(content)) as opened:
            assert (opened.format, opened.mode, opened.size) == ("PNG", "L", (32, 32))
            grey = np.asarray(opened, np.float64)
        blocks = grey.reshape(8, SCALE, 8, SCALE).mean(axis=(1, 3))
        ink = (255.0 - blocks) * (INK_MAX / 255.0)
        assert np.abs(ink - images[row]).mean() < 1.0
        assert digits.items[row].gold == str(targets[row])


def test_ids_and_pictures_are_unique_and_all_ten_classes_occur() -> None:
    digits = load_digits()
    assert len({item.item_id for item in digits.items}) == 1797
    assert len({item.content for item in digits.items}) == 1797
    assert set(digits.gold.values()) == set(digits.label_set.names)

"""Pictures as models read them."""

from io import BytesIO

from PIL import Image, ImageOps


def decode(content: str | bytes, pixels_max: int) -> Image.Image:
    """Return the first frame of an encoded image, upright and in RGB.

    Raises TypeError for text, ValueError for more than `pixels_max` pixels before any is decoded,
    and Pillow's errors for bytes that are no image.
    """
    if isinstance(content, str):
        raise TypeError("an image model was given text")
    with Image.open(BytesIO(content)) as image:
        if image.width * image.height > pixels_max:
            raise ValueError("too many pixels")
        return ImageOps.exif_transpose(image).convert("RGB")

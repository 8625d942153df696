"""The media type of an image, from its first bytes (WHATWG MIME Sniffing, section 6.1)."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)


def content_type_of(image: bytes) -> str:
    """Return the media type of an encoded image, `application/octet-stream` where unknown."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "image/webp"
    for signature, media_type in _SIGNATURES:
        if image.startswith(signature):
            return media_type
    return "application/octet-stream"

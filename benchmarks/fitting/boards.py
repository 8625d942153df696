"""Reads TensorBoard's event files."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tensorboardX.proto.event_pb2 import Event


class Scalar(NamedTuple):
    """A number that a run told of after `step` epochs, at `at` seconds since 1970."""

    step: int
    tag: str
    value: float
    at: float


def scalars(content: bytes) -> Iterator[Scalar]:
    """Yield what a file tells: records of length, its CRC, an event, its CRC."""
    place = 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        event = Event.FromString(content[place + 12 : place + 12 + length])
        place += 12 + length + 4
        for value in event.summary.value:
            yield Scalar(event.step, value.tag, value.simple_value, event.wall_time)

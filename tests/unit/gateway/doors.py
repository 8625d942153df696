"""Every place where a request's body comes in, and how to send one there block by block."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from starlette.types import Message

from cluster import paths
from cluster.domain.ids import TenantId
from serve_apps.gateway.adapters.openai.files import FILES
from tests.unit.gateway.test_bounds import send_raw
from tests.unit.gateway.world import TENANT, World

DoorName = Literal[
    "whole upload",
    "tus upload",
    "OpenAI file",
    "OpenAI batch",
    "OpenAI completion",
    "job with inline items",
    "online predictions",
    "Open Inference Protocol",
    "Label Studio",
    "webhook",
]

_JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A path, the media type that it takes, and how a body that comes there may begin."""

    path: str
    media_type: str
    begins: bytes
    method: str = "POST"
    takes_files: bool = False


DOORS: dict[DoorName, Door] = {
    "whole upload": Door(path="/v1/uploads", media_type="", begins=b'{"text": "', takes_files=True),
    "tus upload": Door(
        path="/v1/uploads/{upload}",
        media_type="application/offset+octet-stream",
        begins=b'{"text": "',
        method="PATCH",
        takes_files=True,
    ),
    "OpenAI file": Door(
        path=FILES,
        media_type="multipart/form-data; boundary=b",
        begins=b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{"',
        takes_files=True,
    ),
    "OpenAI batch": Door(
        path="/openai/v1/batches", media_type=_JSON, begins=b'{"input_file_id": "'
    ),
    "OpenAI completion": Door(
        path="/openai/v1/chat/completions", media_type=_JSON, begins=b'{"model": "'
    ),
    "job with inline items": Door(path="/v1/jobs", media_type=_JSON, begins=b'{"name": "'),
    "online predictions": Door(
        path="/v1/models/texts/predictions", media_type=_JSON, begins=b'{"items": [{"text": "'
    ),
    "Open Inference Protocol": Door(
        path="/inference/v2/models/texts/infer", media_type=_JSON, begins=b'{"inputs": [{"data": "'
    ),
    "Label Studio": Door(
        path="/label-studio/texts/predict", media_type=_JSON, begins=b'{"label_config": "'
    ),
    "webhook": Door(path="/v1/webhooks", media_type=_JSON, begins=b'{"url": "'),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back through a door."""

    status: int
    body: str


def knock(
    world: World,
    door: Door,
    blocks: Iterable[bytes],
    *,
    ends: bool = True,
    upload_id: str = "",
    **headers: str,
) -> Reply:
    """Send a body block by block, as a server hands it on, and return the answer.

    A body that does not end is broken off by its sender. Underscores in the names of headers
    stand for hyphens; `upload_id` is the upload that a piece belongs to.
    """
    sent = {"Content-Type": door.media_type, **{k.replace("_", "-"): v for k, v in headers.items()}}
    if door.method == "PATCH":
        sent = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", **sent}
    start, *rest = send_raw(
        world,
        door.path.format(upload=upload_id),
        [(name.lower().encode(), value.encode()) for name, value in sent.items() if value],
        _messages(blocks, ends=ends),
        door.method,
    )
    return Reply(
        status=start["status"], body=b"".join(message["body"] for message in rest).decode()
    )


def begun_upload(world: World, door: Door, length: int) -> str:
    """Return the id of an upload in pieces where the door is for its pieces, else nothing."""
    if door.method != "PATCH":
        return ""
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(length)}
    reply = world.call("POST", "/v1/uploads", "client", headers=headers)
    return reply.headers["location"].rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something that was accepted earlier: an upload and a job over it."""

    upload_id: str
    job_id: str
    content: bytes

    @classmethod
    def by(cls, world: World) -> "Kept":
        """Have an upload and a job accepted."""
        content = b'{"id": "a", "text": "accepted before"}\n'
        upload_id = world.call("POST", "/v1/uploads", "client", content=content).json()["id"]
        job = world.submitted(items=None, upload_id=upload_id, format="jsonl")
        return cls(upload_id=upload_id, job_id=job.job_id, content=content)

    def check(self, world: World) -> None:
        """Assert that both are there as they were, and nothing beside them."""
        path = paths.upload(TenantId(TENANT), self.upload_id)
        assert world.stores.objects.read(path) == self.content
        assert list(world.stores.objects.list("uploads")) == [path]
        jobs = world.get("/v1/jobs").json()["jobs"]
        assert [job["id"] for job in jobs] == [self.job_id]


def _messages(blocks: Iterable[bytes], *, ends: bool) -> Iterable[Message]:
    for block in blocks:
        yield {"type": "http.request", "body": block, "more_body": True}
    if ends:
        yield {"type": "http.request", "body": b"", "more_body": False}

"""What a client may name at any door, and that no name leads inside, out of a folder, or across."""

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cluster.domain.jobs import JobState
from serve_apps.prelabel.image import sample_png
from tests.unit.gateway.lines import add_line
from tests.unit.gateway.running import run_job
from tests.unit.gateway.test_label_studio import IMAGES
from tests.unit.gateway.test_manifests import manifest_of
from tests.unit.gateway.world import World, job_body, problem

SECRET = b"the secret of another folder"
HOSTS = ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "127.1")


@pytest.fixture(autouse=True)
def lines(world: World) -> None:
    add_line(world, "images", "image", "resnet")


class Canary:
    """A service inside that nobody outside should ever reach; counts who does."""

    def __init__(self) -> None:
        self.visits, self._closing = 0, False
        self._socket = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, which counts as no visit."""
        self._closing = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while True:
            visitor, _ = self._socket.accept()
            visitor.close()
            if self._closing:
                return
            self.visits += 1


@pytest.fixture
def canary() -> Iterator[Canary]:
    with closing(Canary()) as listening:
        yield listening


def urls_of(canary: Canary) -> list[str]:
    inside = [
        f"{scheme}://{host}:{canary.port}/x" for scheme in ("http", "https") for host in HOSTS
    ]
    others = [f"{scheme}://127.0.0.1:{canary.port}/x" for scheme in ("ftp", "gopher", "s3", "gs")]
    return [*inside, *others, f"http://allowed.example@127.0.0.1:{canary.port}/x"]


def test_no_url_of_a_request_is_visited(world: World, canary: Canary) -> None:
    # Given URLs that lead to a service inside, in many spellings
    for url in urls_of(canary):
        # When one is named wherever a request may name a place
        tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [url]}
        asked: dict[str, object] = {
            "/v1/jobs": job_body(items=None, uri=url, format="jsonl"),
            "/v1/webhooks": {"url": url, "events": ["job.completed"]},
            "/v1/models/images/predictions": {"items": [{"id": "a", "image": url}]},
            "/inference/v2/models/images/infer": {"inputs": [tensor]},
            "/label-studio/images/predict": {
                "tasks": [{"data": {"body": url}}],
                "label_config": IMAGES,
            },
        }
        replies = {path: world.post(path, body) for path, body in asked.items()}
        # Then each is refused
        assert {path: reply.status_code for path, reply in replies.items()} == dict.fromkeys(
            asked, 422
        )
    # And nobody was there
    assert canary.visits == 0


def test_no_url_of_an_item_is_visited(world: World, canary: Canary) -> None:
    # Given jobs of images, inline and in a manifest, all by URL but one
    urls = urls_of(canary)
    good = b64encode(sample_png()).decode()
    items = [{"id": str(number), "image": url} for number, url in enumerate(urls)]
    terms = {"modality": "image", "base_model": "fake", "budget": {"answers_max": 0}}
    inline = job_body(items=[*items, {"id": "good", "image": good}], **terms)
    lines = [{"source-ref": url} for url in urls]
    (world.inbox / "good.png").write_bytes(sample_png())
    lines.append({"source-ref": f"file://{world.inbox}/good.png"})
    upload = world.call("POST", "/v1/uploads", "client", content=manifest_of(*lines)).json()["id"]
    listed = job_body(items=None, upload_id=upload, format="manifest", **terms)
    for body in (inline, listed):
        # When they are run
        job_id = world.post("/v1/jobs", body).json()["id"]
        ended = run_job(world, job_id)
        # Then every URL cost its own row, and the good one is labelled
        assert (ended.state, ended.progress.items) == (JobState.COMPLETED, 1)
        errors = world.get(f"/v1/jobs/{job_id}/errors").text.splitlines()
        codes = {json.loads(error)["code"] for error in errors}
        assert (len(errors), codes) == (len(urls), {"uri-forbidden"})
    assert canary.visits == 0


ESCAPES = (
    "../secret",
    "..",
    "../../uploads/umbrella/{theirs}",
    "..%2F..%2Fuploads%2Fumbrella%2F{theirs}",
    "%2e%2e%2fsecret",
    "..\\secret",
    "/etc/passwd",
    "%2Fetc%2Fpasswd",
    "a/../../secret",
    ".unfinished/x",
    "x\x00y",
    "{theirs}",
    "umbrella/{theirs}",
)


@pytest.fixture
def theirs(world: World) -> str:
    """Plant a secret beside the store and as the upload of another tenant; return its id."""
    (world.services.settings.data_dir / "secret").write_bytes(SECRET)
    stored = world.call("POST", "/v1/uploads", "client", "umbrella", content=SECRET)
    return str(stored.json()["id"])


@pytest.mark.parametrize("name", [name for name in ESCAPES if name != ".."])
def test_no_name_in_a_path_leads_elsewhere(world: World, theirs: str, name: str) -> None:
    # Given a name that would lead out of a folder, or to another tenant
    named = name.format(theirs=theirs)
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("HEAD", "/v1/uploads/{}", {"headers": {"Tus-Resumable": "1.0.0"}}),
        ("DELETE", "/v1/uploads/{}", {"headers": {"Tus-Resumable": "1.0.0"}}),
        ("GET", "/openai/v1/files/{}", {}),
        ("GET", "/openai/v1/files/{}/content", {}),
        ("GET", "/openai/v1/files/file-{}/content", {}),
        ("DELETE", "/openai/v1/files/{}", {}),
        ("GET", "/openai/v1/batches/{}", {}),
        ("GET", "/v1/jobs/{}", {}),
        ("GET", "/v1/jobs/{}/export", {}),
        ("GET", "/v1/jobs/{}/errors", {}),
        ("GET", "/v1/models/{}/live", {}),
        ("POST", "/v1/models/{}/predictions", {"json": {"items": [{"id": 1, "text": "a"}]}}),
        ("GET", "/inference/v2/models/{}", {}),
        ("GET", "/label-studio/{}/health", {}),
        ("GET", "/v1/webhooks/{}", {}),
    ]
    for method, path, more in calls:
        # When it stands in the place of an id
        reply = world.call(method, path.format(named.replace("\x00", "%00")), "client", **more)
        # Then there is no such thing, whatever it is called
        assert reply.status_code in (400, 404, 405, 422), (path, reply.status_code, reply.text)
        assert SECRET not in reply.content
    assert_untouched(world, theirs)


@pytest.mark.parametrize("name", ESCAPES)
def test_no_name_in_a_body_leads_elsewhere(world: World, theirs: str, name: str) -> None:
    named = name.format(theirs=theirs)
    bodies: list[tuple[str, object]] = [
        ("/v1/jobs", job_body(items=None, upload_id=named, format="jsonl")),
        ("/v1/jobs", job_body(items=None, uri=f"upload://{named}", format="jsonl")),
        ("/v1/jobs", job_body(items=None, uri=f"file://{world.inbox}/{named}", format="jsonl")),
        ("/v1/jobs", job_body(items=None, uri=f"s3://bucket/{named}", format="jsonl")),
        (
            "/openai/v1/batches",
            {
                "input_file_id": f"file-{named}",
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
            },
        ),
    ]
    for path, body in bodies:
        reply = world.post(path, body)
        assert reply.status_code in (400, 404, 422), (path, body, reply.text)
        assert SECRET not in reply.content
    assert_untouched(world, theirs)
    assert world.get("/v1/jobs").json()["jobs"] == []


def test_the_name_of_a_file_is_a_name_and_no_place(world: World) -> None:
    # Given a form whose file is called as if it lay elsewhere
    name = "../../../../tmp/" + "x" * 300
    form = {"file": (name, b"{}\n"), "purpose": (None, "batch")}
    # When it is sent
    before = set(world.services.settings.data_dir.parent.rglob("*"))
    reply = world.call("POST", "/openai/v1/files", "client", files=form)
    # Then it is stored under an id, and the name is told back, cut short
    assert reply.status_code == 200, reply.text
    assert reply.json()["filename"] == name[:200]
    stored = set(world.services.settings.data_dir.parent.rglob("*")) - before
    assert stored
    assert all(path.is_relative_to(folder_of(world)) for path in stored), stored


def test_an_id_of_an_item_may_hold_anything_and_names_no_file(world: World) -> None:
    ids = ["../../etc/passwd", "..", "a/b", "\\\\host\\share", "%2e%2e"]
    items = [{"id": item_id, "text": f"text of {item_id}"} for item_id in ids]
    body = job_body(items=items, base_model="fake", budget={"answers_max": 0})
    before = set(world.services.settings.data_dir.rglob("*"))
    job_id = world.post("/v1/jobs", body).json()["id"]
    run_job(world, job_id)
    rows = world.get(f"/v1/jobs/{job_id}/export").text.splitlines()
    assert sorted(json.loads(row)["item_id"] for row in rows) == sorted(ids)
    stored = set(world.services.settings.data_dir.rglob("*")) - before
    assert all(path.is_relative_to(folder_of(world)) for path in stored), stored


def folder_of(world: World) -> Path:
    return world.services.settings.data_dir / "objects"


def assert_untouched(world: World, theirs: str) -> None:
    secret = world.services.settings.data_dir / "secret"
    assert secret.read_bytes() == SECRET
    assert world.stores.objects.read(f"uploads/umbrella/{theirs}") == SECRET
    unknown = job_body(items=None, upload_id=theirs, format="jsonl")
    problem(world.post("/v1/jobs", unknown), 404, "upload-not-found")

"""The examples of the page on compatibility run as they stand there, against a real server."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.domain.ids import TenantId
from serve_apps.gateway.schemas import job_request
from tests.unit.gateway.lines import add_line
from tests.unit.gateway.running import run_job
from tests.unit.gateway.serving import serving
from tests.unit.gateway.world import TENANT, World

PAGE = Path(__file__).resolve().parents[3] / "docs" / "compatibility.md"


def example_of(title: str) -> str:
    """Return the first example below a heading."""
    section = PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    code = re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert code is not None, title
    return code[1]


def ran(title: str, world: World, **given: object) -> dict[str, object]:
    """Run an example of the page against a server and return the names it leaves."""
    with serving(world.http.app) as url:
        names: dict[str, object] = {"url": url, "key": world.key("client"), **given}
        exec(compile(example_of(title), str(PAGE), "exec"), names)  # noqa: S102 (our own page)
    return names


def running_jobs(world: World) -> Callable[[float], None]:
    """Return a sleep during which the tenant's jobs are run to their end."""

    def sleep(_: float) -> None:
        for job in world.stores.jobs.page(TenantId(TENANT), None, 10):
            run_job(world, job.job_id)

    return sleep


def test_the_example_of_openai_batches(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job_request, "DEFAULT_BASE_MODEL", {"text": "fake", "image": "fake"})
    monkeypatch.setattr("time.sleep", running_jobs(world))
    names = ran("OpenAI batches", world)
    answers = names["answers"]
    assert isinstance(answers, list)
    assert sorted(answer["custom_id"] for answer in answers) == ["ticket-0", "ticket-1"]
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_example_of_the_open_inference_protocol(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    add_line(world, "texts", "text", "fake")
    ran("Open Inference Protocol", world, line="texts")
    said = capsys.readouterr().out.splitlines()
    assert [line.rpartition("?")[0] for line in said] == ["Where is my parcel", ""]


def test_the_example_of_label_studio(world: World) -> None:
    add_line(world, "texts", "text", "fake")
    names = ran("Label Studio", world, line="texts")
    results = names["results"]
    assert isinstance(results, list)
    assert names["version"] == {"model_version": "texts-v0"}
    assert [result["result"][0]["type"] for result in results] == ["choices"] * 2


def test_the_example_of_manifests(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(job_request, "DEFAULT_BASE_MODEL", {"text": "fake", "image": "fake"})
    monkeypatch.setattr("time.sleep", running_jobs(world))
    ran("Ground Truth manifests", world, folder=tmp_path)
    (line,) = (tmp_path / "labelled.manifest").read_text().splitlines()
    labelled = json.loads(line)
    assert labelled["ticket"] == 7
    assert labelled["topic-metadata"]["class-name"] in ("refund", "delivery", "login")

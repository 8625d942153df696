"""Files in multipart forms: block by block, in any order, and nothing left of what is broken."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from serve_apps.gateway.adapters.openai.files import FILES
from serve_apps.gateway.adapters.openai.form import FileForm
from tests.unit.gateway.world import World

FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{}\r\n'
PURPOSE = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
BROKEN_FORMS: dict[str, tuple[str, bytes, int]] = {
    "breaks off": ("multipart/form-data; boundary=b", FORM + PURPOSE, 400),
    "no boundary": ("multipart/form-data", FORM + PURPOSE + b"--b--", 415),
    "long boundary": (f"multipart/form-data; boundary={'b' * 5_000}", b"", 400),
    "no form": ("application/json", b"{}", 415),
    "another boundary": ("multipart/form-data; boundary=c", FORM + PURPOSE + b"--b--", 400),
    "two files": ("multipart/form-data; boundary=b", FORM + FORM + PURPOSE + b"--b--", 400),
    "no file": ("multipart/form-data; boundary=b", PURPOSE + b"--b--", 400),
    "no purpose": ("multipart/form-data; boundary=b", FORM + b"--b--", 400),
    "empty file": (
        "multipart/form-data; boundary=b",
        FORM.replace(b"{}", b"") + PURPOSE + b"--b--",
        400,
    ),
    "huge field": (
        "multipart/form-data; boundary=b",
        FORM + PURPOSE.replace(b"batch", b"b" * 9_000) + b"--b--",
        413,
    ),
}


@pytest.mark.parametrize("case", BROKEN_FORMS)
def test_a_broken_form_is_refused_and_leaves_nothing_behind(world: World, case: str) -> None:
    media_type, body, status = BROKEN_FORMS[case]
    response = world.call(
        "POST", FILES, "client", content=body, headers={"Content-Type": media_type}
    )
    assert (response.status_code, list(response.json())) == (status, ["error"]), response.text
    assert list(world.stores.objects.list("uploads")) == []


def test_a_file_comes_out_of_its_form_block_by_block() -> None:
    # Given a body of many blocks, and a look at how many were read for each block of the file
    file, sent = bytes(range(256)) * 40_000, 0
    head, tail = FORM.partition(b"{}")[::2]
    whole = head + file + tail + PURPOSE + b"--b--"

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for start in range(0, len(whole), 10_000):
            sent += 1
            yield whole[start : start + 10_000]

    async def received() -> list[tuple[int, bytes]]:
        form = FileForm("multipart/form-data; boundary=b", body())
        found = [(sent, block) async for block in form.blocks()]
        assert (form.filename, dict(form.fields)) == ("f", {"purpose": "batch"})
        return found

    # Then nothing is kept from one block to the next
    found = asyncio.run(received())
    assert b"".join(block for _, block in found) == file
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    assert max(len(block) for _, block in found) <= 10_100


def test_a_form_is_read_whatever_its_order(world: World) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for body in (FORM + PURPOSE, PURPOSE + FORM):
        response = world.call("POST", FILES, "client", content=body + b"--b--\r\n", headers=headers)
        assert response.status_code == 200, response.text
        assert response.json()["bytes"] == 2

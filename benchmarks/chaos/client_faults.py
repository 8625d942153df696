"""Faults of clients and workers, and of clocks: F10, F11 and F12 of the fault model."""

from concurrent.futures import ThreadPoolExecutor
from random import Random
from time import monotonic

from benchmarks.chaos.crowd import Worker
from benchmarks.chaos.deployment import Deployment
from benchmarks.chaos.faults import Scene, Struck
from benchmarks.chaos.submit import submit
from benchmarks.chaos.surroundings import AHEAD_FILE
from serve_apps.gateway.schemas.work import OfferView

COPIES_MIN, COPIES_MAX = 2, 100
MEDDLED_ITEMS, MEDDLED_COPIES = 5, 8
CLOCKS_S = (-3_600.0, 0.0, 3_600.0)
LATE_AFTER_S = 25.0
"""Leases run for 20 s."""


class DoubledJob(Exception):
    """Submits under one key came to something else than one job."""


class SubmitsDoubled:
    """F10: the same submit, 2 to 100 times at once; then another one under its key."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._dealt = 0

    def strike(self, chance: Random, scene: Scene) -> Struck:
        """Submit a small job that nobody can work on, and cancel it; raises DoubledJob."""
        copies, at = chance.randint(COPIES_MIN, COPIES_MAX), monotonic()
        self._dealt += 1
        body = {
            "name": "doubled",
            "modality": "text",
            "labels": scene.corpus.labels,
            "items": scene.corpus.items[:3],
            "base_model": "fake:0",
            "crowd": {"required_skills": ["a skill of nobody"]},
        }
        key = f"doubled-{scene.seed}-{self._dealt}"
        submitted = submit(scene.client, body, key, copies)
        scene.client.post(f"/v1/jobs/{submitted.job_id}/cancel", {})
        if (submitted.jobs, submitted.created, submitted.mismatch) != (1, 1, True):
            raise DoubledJob(f"{copies} submits under one key: {submitted}")
        return Struck(what=f"{copies} submits", at=at, over_at=monotonic())

    def is_whole(self) -> bool:
        """Whether the service is ready."""
        return self._deployment.is_ready()


class AnswersDoubled:
    """F12: one answer many times at once, another one after it, and answers after their lease."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._dealt = 0
        self._late: list[tuple[float, Worker, tuple[OfferView, ...]]] = []

    def strike(self, chance: Random, scene: Scene) -> Struck:  # noqa: ARG002 - as all faults
        """Claim twice as a new worker: answer some at once and again, and keep some until late."""
        self._dealt += 1
        at = monotonic()
        worker = Worker(scene.gate, scene.corpus, 1_000 + self._dealt, scene.seed)
        now, later = worker.claim(MEDDLED_ITEMS), worker.claim(MEDDLED_ITEMS)
        with ThreadPoolExecutor(MEDDLED_COPIES) as copies:
            list(copies.map(worker.answer, [now] * MEDDLED_COPIES))
        worker.answer(now, turned=True)
        self._answer_late(worker)
        self._late.append((at, worker, later))
        scene.told.extend(worker.diary.told)
        return Struck(what="8 copies, another answer, late ones", at=at, over_at=monotonic())

    def is_whole(self) -> bool:
        """Whether the service is ready."""
        return self._deployment.is_ready()

    def _answer_late(self, worker: Worker) -> None:
        """Answer what earlier workers have kept over its time, and note it as this one's."""
        due = [each for each in self._late if each[0] < monotonic() - LATE_AFTER_S]
        self._late = [each for each in self._late if each not in due]
        for _, owner, offers in due:
            worker.diary.told += owner.answer(offers)


class ClockJumps:
    """F11: the clocks of the nodes that run work are set an hour ahead, or back, or right."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._file = deployment.clock / AHEAD_FILE

    def strike(self, chance: Random, scene: Scene) -> Struck:  # noqa: ARG002
        """Set them to another time than they have."""
        now = float(self._file.read_text())
        ahead_s = chance.choice([each for each in CLOCKS_S if each != now])
        at = monotonic()
        self._file.write_text(str(ahead_s))
        return Struck(what=f"clocks {ahead_s:+.0f} s", at=at, over_at=at)

    def is_whole(self) -> bool:
        """Whether the service is ready."""
        return self._deployment.is_ready()

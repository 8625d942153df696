"""A job in the state ASKING with a crowd around it: real shards and stage over memory stores."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from allocation.ports import Shard, Submission
from allocation.service import ShardService
from allocation.stage import AskStage
from allocation.terms import Rules
from cluster import paths
from cluster.domain.ids import ShardId, WorkerId
from cluster.domain.items import Chunk, ChunkPrediction
from cluster.domain.jobs import Job, JobSpec, JobState
from cluster.domain.work import Answer, AnswerColumns, Partition, WorkerProfile
from cluster.ports import Stores
from cluster.result_writer import SCHEMA, read_segment, segments
from cluster.runner import JobDesk
from cluster.settings import AskingSettings, Settings
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from serve_apps.export import ExportStage
from tests.unit.allocation.worlds import JOB, SECRET, ManualClock, job, worker

TICK_S = 1.0


@dataclass
class CrowdWorld:
    """A job of `items` items in two partitions on two shards, and workers who answer on `wait`."""

    spec: JobSpec
    items: int
    accuracies: Sequence[float]
    rng: np.random.Generator
    skills: Sequence[str] = ()
    prices: Sequence[float] | None = None
    clock: ManualClock = field(default_factory=ManualClock)
    stores: Stores = field(default_factory=lambda: memory_stores(MemoryObjects()))
    acknowledged: int = 0
    claimed: int = 0

    def __post_init__(self) -> None:
        self.truth = self.rng.integers(0, len(self.spec.label_set), self.items)
        prices = self.prices or [0.01] * len(self.accuracies)
        self.workers = [
            worker(f"w{n}", skills=self.skills, price=price) for n, price in enumerate(prices)
        ]
        self._store_job()
        self._store_items()
        self.shards = [self.new_shard(number) for number in range(2)]
        self.living = self.shards

    def new_shard(self, number: int) -> ShardService:
        shard = ShardService(ShardId(number), self.stores, self.clock, SECRET, Rules())
        shard.recover()
        return shard

    def desk(self) -> JobDesk:
        stored = self.stores.jobs.load(JOB)
        return JobDesk(stored, self.stores.jobs, self.stores.events, self.clock)

    def stage(self, trainings_max: int = 0, **settings: float) -> AskStage:
        shards = [RestartableShard(self, number) for number in range(2)]
        chosen = AskingSettings(**{"delivery_rows_min": 1, **settings})
        return AskStage(self.stores, chosen, trainings_max, shards, self.wait)

    def wait(self, seconds: float) -> None:
        """Let time pass and the crowd work through a few items each."""
        self.clock.time += seconds
        for who, accuracy in zip(self.workers, self.accuracies, strict=True):
            for shard in self.living:
                self.answer(who, accuracy, shard)

    def answer(
        self, who: WorkerProfile, accuracy: float, shard: ShardService, count: int = 4
    ) -> None:
        names = self.spec.label_set.names
        offers = shard.claim(who, count)
        self.claimed += len(offers)
        said = [
            Submission(
                token=offer.token, label=names[self.say(offer.position, accuracy)], duration_s=1
            )
            for offer in offers
        ]
        outcomes = shard.answer(who, said)
        self.acknowledged += sum(outcome.error is None for outcome in outcomes)

    def say(self, position: int, accuracy: float) -> int:
        if self.rng.random() < accuracy:
            return int(self.truth[position])
        wrong = self.truth[position] + self.rng.integers(1, len(self.spec.label_set))
        return int(wrong % len(self.spec.label_set))

    def predict(
        self, accuracy: float, sure: float | npt.NDArray[np.float64] = 0.7, version: int = 1
    ) -> None:
        """Store pre-labels that are right with a probability, and as sure as is said."""
        labels = len(self.spec.label_set)
        said = [self.say(position, accuracy) for position in range(self.items)]
        surety = np.broadcast_to(np.asarray(sure, dtype=np.float32), self.items)
        model = np.repeat((1.0 - surety[:, None]) / (labels - 1), labels, axis=1)
        model[np.arange(self.items), said] = surety
        table = pa.table(
            {
                "position": np.arange(self.items),
                "probabilities": pa.FixedSizeListArray.from_arrays(model.ravel(), labels),
            }
        )
        path = paths.predictions(JOB, version, 0)
        with self.stores.objects.open_output(path) as stream:
            pq.write_table(table, stream)
        self.stores.chunks.set_predicted(
            [
                ChunkPrediction(
                    job_id=JOB,
                    number=0,
                    model_version=version,
                    line_revision=version,
                    predictions_path=path,
                )
            ]
        )

    def delivered(self) -> dict[int, str]:
        """Return the newest label of each position."""
        return {position: labels[-1] for position, labels in self.deliveries().items()}

    def deliveries(self) -> dict[int, list[str]]:
        """Return the labels of each position by revision.

        Fails where a revision comes twice or is left out, or corrects nothing.
        """
        labels: dict[int, list[str]] = {}
        for segment in segments(self.stores.results, JOB):
            for row in read_segment(self.stores.objects, segment).to_pylist():
                before = labels.setdefault(row["position"], [])
                assert row["item_id"] == f"item-{row['position']}"
                assert row["revision"] == len(before), "revisions are 0, 1, 2, each once"
                assert row["label"] not in before[-1:], "a correction changes the label"
                before.append(row["label"])
        return labels

    def say_later(self, position: int, label: int, *, voices: int, others: int = 40) -> None:
        """Let workers nobody has seen contradict the crowd on an item, and nowhere else."""
        for partition in self.stores.partitions.of_job(JOB):
            said = [
                Answer(
                    job_id=JOB,
                    position=at,
                    worker_id=WorkerId(f"late{voice}"),
                    label=label if at == position else int(self.truth[at]),
                    purpose="label",
                    price=0.0,
                    answered_at=self.clock.now(),
                    duration_s=1.0,
                )
                for at in {position, *range(others)}
                for voice in range(voices)
                if partition.first_position <= at < partition.first_position + partition.items
            ]
            if said:
                self.stores.answers.append(partition, AnswerColumns.of(said))

    def exported(self) -> list[dict[str, object]]:
        """Export the job and return the rows of the Parquet file, which are those of the other."""
        ExportStage(self.stores, Settings()).run(self.desk())
        with self.stores.objects.open_input(paths.export(JOB, "parquet")) as stream:
            rows: list[dict[str, object]] = pq.read_table(stream).to_pylist()
        with self.stores.objects.open_input(paths.export(JOB, "jsonl")) as stream:
            lines = [json.loads(line) for line in stream]
            assert pa.Table.from_pylist(lines, schema=SCHEMA).to_pylist() == rows
        return rows

    def accuracy(self) -> float:
        names, labels = self.spec.label_set.names, self.delivered()
        return float(np.mean([labels[at] == names[self.truth[at]] for at in range(self.items)]))

    def _store_job(self) -> None:
        plain: Job = job()
        stored = self.stores.jobs.create(replace(plain, spec=self.spec), None)
        progress = replace(stored.progress, items=self.items)
        self.stores.jobs.save(replace(stored, state=JobState.ASKING, progress=progress))

    def _store_items(self) -> None:
        path = paths.items(JOB, 0)
        table = pa.table(
            {
                "position": np.arange(self.items),
                "item_id": [f"item-{position}" for position in range(self.items)],
            }
        )
        with self.stores.objects.open_output(path) as stream:
            pq.write_table(table, stream)
        chunk = Chunk(job_id=JOB, number=0, first_position=0, rows=self.items, items_path=path)
        self.stores.chunks.add([chunk])
        half = self.items // 2
        self.stores.partitions.add(
            [
                Partition(
                    job_id=JOB,
                    number=number,
                    first_position=number * half,
                    items=(self.items - half) if number else half,
                    shard_id=ShardId(number),
                )
                for number in range(2)
            ]
        )


def RestartableShard(world: CrowdWorld, number: int) -> Shard:  # noqa: N802 - reads as a class
    """Return a shard that is whichever process the world runs under this number now."""

    class Delegate:
        def __getattr__(self, name: str) -> object:
            return getattr(world.shards[number], name)

    delegate: Shard = Delegate()  # type: ignore[assignment]
    return delegate


def answers_of(world: CrowdWorld) -> npt.NDArray[np.int64]:
    return world.stores.answers.read(JOB, 0, 1_000_000).positions

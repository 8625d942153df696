"""Memory and SQLite give the same reply to every sequence of calls on the contested ports."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cluster.domain.ids import JobId, ModelName, ShardId, TenantId, WorkerId
from cluster.domain.jobs import JobState
from cluster.domain.lines import Stage
from cluster.domain.work import AnswerColumns
from cluster.errors import MusterError
from cluster.ports import Stores
from cluster.settings import Settings
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from cluster.stores.opened import open_stores
from tests.conformance import samples

NAMES = st.sampled_from(["ann", "bob", "Zoe"])
SMALL = st.integers(0, 3)
JOB_NUMBERS = st.integers(1, 2)
PARTS = st.integers(0, 1)


class Agreement(RuleBasedStateMachine):
    """Calls both adapters alike; a reply is a value or a deliberate error with its message."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.memory = memory_stores(MemoryObjects())
        self.sql = open_stores(Settings(data_dir=Path(self.folder.name)))

    def teardown(self) -> None:
        self.folder.cleanup()

    def agree(self, call: Callable[[Stores], object]) -> None:
        assert reply(self.memory, call) == reply(self.sql, call)

    @rule(number=JOB_NUMBERS, tenant=NAMES, key=st.none() | SMALL, request=st.integers(0, 1))
    def create(self, number: int, tenant: str, key: int | None, request: int) -> None:
        retry = None if key is None else samples.key(f"key-{key}", f"request-{request}")
        job = samples.job(number, TenantId(tenant))
        self.agree(lambda stores: stores.jobs.create(job, retry))

    @rule(tenant=NAMES, key=SMALL, request=st.integers(0, 1))
    def find(self, tenant: str, key: int, request: int) -> None:
        retry = samples.key(f"key-{key}", f"request-{request}")
        self.agree(lambda stores: stores.jobs.find(TenantId(tenant), retry))

    @rule(number=JOB_NUMBERS, state=st.sampled_from(JobState), cancel=st.booleans(), revision=SMALL)
    def save(self, number: int, state: JobState, cancel: bool, revision: int) -> None:
        job = replace(samples.job(number), state=state, cancel_requested=cancel, revision=revision)
        self.agree(lambda stores: stores.jobs.save(job))

    @rule(number=JOB_NUMBERS, part=PARTS, shard=SMALL)
    def add_partition(self, number: int, part: int, shard: int) -> None:
        partition = samples.partition(part, shard, samples.job(number).job_id)
        self.agree(lambda stores: stores.partitions.add([partition]))

    @rule(number=JOB_NUMBERS, part=PARTS, shard=SMALL)
    def acquire(self, number: int, part: int, shard: int) -> None:
        job_id = samples.job(number).job_id
        self.agree(lambda stores: stores.partitions.acquire(job_id, part, ShardId(shard)))

    @rule(
        number=JOB_NUMBERS,
        part=PARTS,
        epoch=SMALL,
        given=st.lists(st.tuples(SMALL, NAMES), max_size=4),
    )
    def append(self, number: int, part: int, epoch: int, given: list[tuple[int, str]]) -> None:
        job_id = samples.job(number).job_id
        fence = replace(samples.partition(part, job_id=job_id), epoch=epoch)
        answers = [
            samples.answer(fence.first_position + offset, worker, job_id=job_id)
            for offset, worker in given
        ]
        self.agree(lambda stores: stores.answers.append(fence, AnswerColumns.of(answers)))

    @rule(version=SMALL)
    def add_model(self, version: int) -> None:
        self.agree(lambda stores: stores.models.add(samples.model(version)))

    @rule(version=SMALL, revision=st.integers(1, 5), live=SMALL, stage=st.sampled_from(Stage))
    def take(self, version: int, revision: int, live: int, stage: Stage) -> None:
        step = samples.step(revision, version, stage, live)
        self.agree(lambda stores: stores.lines.take(step, [samples.event()]))

    @rule(version=SMALL)
    def count(self, version: int) -> None:
        self.agree(lambda stores: stores.traffic.add([samples.traffic(version)]))

    @rule(number=SMALL, first_row=st.integers(0, 6), rows=st.integers(0, 2))
    def extend(self, number: int, first_row: int, rows: int) -> None:
        self.agree(lambda stores: stores.results.append(samples.segment(number, first_row, rows)))

    @invariant()
    def reads_agree(self) -> None:
        self.agree(lambda stores: stores.jobs.unfinished())
        self.agree(lambda stores: stores.jobs.page(samples.TENANT, JobId("job-0002"), 2))
        self.agree(lambda stores: stores.partitions.owned_by(ShardId(1)))
        self.agree(lambda stores: plain(stores.answers.read(samples.JOB, 1, 3)))
        self.agree(lambda stores: stores.answers.totals(WorkerId("ann")))
        self.agree(lambda stores: stores.models.live(ModelName("acme/pets")))
        self.agree(lambda stores: stores.lines.history(ModelName("acme/pets"), None, 3))
        self.agree(lambda stores: stores.lines.came_live(ModelName("acme/pets"), 1))
        self.agree(lambda stores: stores.lines.trials())
        self.agree(lambda stores: stores.traffic.of(ModelName("acme/pets")))
        self.agree(lambda stores: stores.events.read(samples.JOB, 0, 10))
        self.agree(lambda stores: stores.results.segments(samples.JOB, 2, 2))


def reply(stores: Stores, call: Callable[[Stores], object]) -> object:
    try:
        return call(stores)
    except MusterError as error:
        return type(error), str(error)


def plain(columns: AnswerColumns) -> list[tuple[object, ...]]:
    workers = [columns.worker_ids[index] for index in columns.workers]
    return list(zip(columns.seq, columns.positions, workers, columns.labels, strict=True))


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(max_examples=6, stateful_step_count=15, deadline=None)

"""A whole allocator from one seed: jobs, shards that die, a router, a crowd, virtual time."""

from dataclasses import dataclass, replace

import numpy as np

from allocation.commands import Claim
from allocation.leases import unseal
from allocation.ports import Offer, Outcome
from allocation.router import ShardRouter
from allocation.settlement import Request
from allocation.terms import Rules
from cluster.domain.ids import JobId, ShardId
from cluster.errors import LeaseInvalid, ShardUnavailable, Unavailable
from cluster.partitioning import plan_partitions
from cluster.ports import Stores
from cluster.stores.memory import memory_stores
from cluster.stores.objects import MemoryObjects
from tests.simulation.crowd import (
    CHARACTERS,
    Message,
    VirtualWorker,
    hire_crowd,
    honest,
    messages_of,
)
from tests.simulation.ending import Ending
from tests.simulation.faults import SECRET, Clock, Crash, FaultyLog, Node
from tests.simulation.jobs import LEASE_TTL_S, draw_job
from tests.simulation.push import pushed
from tests.simulation.stage import Stage
from tests.simulation.watch import Watch, check_held


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a world is; what varies within it is drawn from the seed.

    Up to `together` workers claim or answer in one call.
    """

    workers: int = 16
    items_max: int = 24
    steps: int = 150

    @property
    def together(self) -> int:
        return 8 + self.workers // 25


class World:
    """Everything that happens follows from `seed`."""

    def __init__(self, seed: int, size: Size) -> None:
        self.rng = np.random.default_rng(seed)
        self.size, self.clock = size, Clock()
        base = memory_stores(MemoryObjects())
        self.log = FaultyLog(base.answers, self.rng)
        self.stores: Stores = replace(base, answers=self.log)
        rules = Rules(
            leases_per_worker_max=int(self.rng.integers(1, 12)),
            shortlist_window=int(self.rng.choice([4, 512])),
            shortlist_pool_items=int(self.rng.choice([8, 16_384])),
        )
        shards = int(self.rng.integers(1, 4))
        self.nodes = [Node(ShardId(n), self.stores, self.clock, rules) for n in range(shards)]
        self.stages = [self._job(number) for number in range(int(self.rng.integers(1, 4)))]
        self.router = ShardRouter(self.nodes, self.rng, SECRET)
        self.crowd = hire_crowd(size.workers, CHARACTERS, self.rng)
        self.trouble = float(self.rng.choice([0.2, 1.0]))
        self.jump_share = float(self.rng.choice([0.0, 0.1, 0.3]))
        self.crash_share = float(self.rng.choice([0.0, 0.0, 0.0, 0.2, 1.0]))
        self.mail: list[Message] = []
        self.watch = Watch(self.stores, self.nodes, self.stages)
        self.log.fault_share = float(self.rng.choice([0.0, 0.05, 0.2]))
        self.log.meanwhile = self._meanwhile

    def run(self) -> None:
        """Live through chaos, then calm down and come to an end."""
        for node in self.nodes:
            node.start()
        self._refit()
        every_step = self.crash_share == 1.0
        for _ in range(self.size.steps // 3 if every_step else self.size.steps):
            self._step()
            self._check()
            if self.rng.random() < self.crash_share:
                self._crash()
                self._check()
                self._restart()
                self._check()
        self._drain()

    def _job(self, number: int) -> Stage:
        rng, items = self.rng, int(self.rng.integers(1, self.size.items_max))
        job = draw_job(number, items, rng)
        self.stores.jobs.create(job, None)
        plan = plan_partitions(
            job.job_id,
            items,
            shards=len(self.nodes),
            partition_items_max=int(rng.integers(5, 5 + self.size.items_max)),
        )
        self.stores.partitions.add(plan)
        return Stage(job, self.stores, self.nodes, rng, self.clock)

    def _step(self) -> None:
        """Let one thing happen; where the crowd is large, mostly to many at once."""
        crowded = min(1.0, self.size.workers / 1_000)
        actions = (
            (self._claim, 0.30),
            (self._claim_together, 0.06 + 0.2 * crowded),
            (self._push, 0.04),
            (self._deliver, 0.38),
            (self._work_at_once, 0.05),
            (self._deliver_together, 0.06 + 0.8 * crowded),
            (self._let_time_pass, 0.08),
            (self._refit, 0.06),
            (self._heartbeat, 0.03),
            (self._release, 0.02),
            (self._crash, 0.02 * self.trouble),
            (self._restart, 0.04 * self.trouble),
            (self._move_a_partition, 0.01 * self.trouble),
            (self._rebalance, 0.08),
            (self._ask_a_ghost, 0.02),
            (self._steal, 0.02),
            (self._publish_old, 0.01),
        )
        shares = np.array([share for _, share in actions])
        actions[int(self.rng.choice(len(actions), p=shares / shares.sum()))][0]()

    def _check(self) -> None:
        self.watch.check()
        for node in self.nodes:
            if node.service is not None:
                check_held(node.service._state)

    def _someone(self) -> VirtualWorker:
        return self.crowd[int(self.rng.integers(len(self.crowd)))]

    def _claim(self) -> None:
        worker = self._someone()
        count = int(self.rng.integers(1, 6))
        try:
            offers = self.router.claim(worker.profile, count)
        except ShardUnavailable:
            return
        assert len(offers) <= count
        self._take(worker, offers)

    def _claim_together(self) -> None:
        """Let workers, some of them perhaps twice, claim in one call."""
        node = self.nodes[int(self.rng.integers(len(self.nodes)))]
        workers = [self._someone() for _ in range(int(self.rng.integers(1, self.size.together)))]
        claims = [
            Claim(worker=worker.profile, count=int(self.rng.integers(1, 4))) for worker in workers
        ]
        try:
            found = node.claim_all(claims)
        except ShardUnavailable:
            return
        for worker, claim, offers in zip(workers, claims, found, strict=True):
            assert len(offers) <= claim.count
            self._take(worker, offers)

    def _push(self) -> None:
        crew = [self._someone() for _ in range(int(self.rng.integers(1, self.size.together)))]
        for worker, offers in pushed(self.router, crew, self.stages, self.rng):
            self._take(worker, offers)

    def _meanwhile(self) -> None:
        """Let something happen while a shard waits for its log."""
        if self.rng.random() < 0.5:
            busy = (self._claim, self._push, self._claim_together, self._release, self._heartbeat)
            calm = (self._let_time_pass, self._refit, self._move_a_partition, self._rebalance)
            actions = busy + calm
            actions[int(self.rng.integers(len(actions)))]()
            self.watch.interruptions += 1

    def _take(self, worker: VirtualWorker, offers: tuple[Offer, ...]) -> None:
        self.watch.offered(worker.profile.worker_id, offers)
        for offer in offers:
            labels = self._labels(offer.job_id)
            worker.holding.append(offer)
            self.mail += messages_of(worker, offer, labels, self.clock.time, self.rng)

    def _labels(self, job_id: JobId) -> tuple[str, ...]:
        return next(
            stage.job.spec.label_set.names for stage in self.stages if stage.job.job_id == job_id
        )

    def _deliver(self) -> None:
        """Bring one worker the replies to some of its messages; time moves on to the first."""
        if not self.mail:
            return
        first = self.mail.pop(self._next_in_mail())
        self.clock.time = max(self.clock.time, first.at)
        along = [found for found in self.mail if found.worker is first.worker][:4]
        self._remove(along)
        batch = [first, *along]
        sent_at = self.clock.time
        for message in batch:
            self.watch.sent(first.worker.profile.worker_id, message.submission)
        sent = [message.submission for message in batch]
        outcomes = self.router.answer(first.worker.profile, sent)
        for message, outcome in zip(batch, outcomes, strict=True):
            self._hear(message, outcome, sent_at)

    def _next_in_mail(self) -> int:
        """Return which message comes: any that is due, or the next, or rarely one out of turn."""
        due = [index for index, found in enumerate(self.mail) if found.at <= self.clock.time]
        if self.rng.random() < 0.1:
            due = list(range(len(self.mail)))
        if due:
            return due[int(self.rng.integers(len(due)))]
        return min(range(len(self.mail)), key=lambda index: self.mail[index].at)

    def _remove(self, messages: list[Message]) -> None:
        gone = set(map(id, messages))
        self.mail = [found for found in self.mail if id(found) not in gone]

    def _work_at_once(self) -> None:
        """Let somebody claim and answer before anything else can happen."""
        worker = self._someone()
        try:
            offers = self.router.claim(worker.profile, int(self.rng.integers(1, 6)))
        except ShardUnavailable:
            return
        self._take(worker, offers)
        sent_at, sent = self.clock.time, honest(offers, self._labels)
        for submission in sent:
            self.watch.sent(worker.profile.worker_id, submission)
        outcomes = self.router.answer(worker.profile, sent)
        for submission, outcome in zip(sent, outcomes, strict=True):
            self._hear(Message(worker, submission, sent_at), outcome, sent_at)

    def _deliver_together(self) -> None:
        """Bring the messages of many workers to one shard in one call."""
        node = self.nodes[int(self.rng.integers(len(self.nodes)))]
        here = [found for found in self.mail if shard_of(found.submission.token) == node.shard_id]
        here.sort(key=lambda message: message.at)
        by = max(self.clock.time, here[0].at) + 1.0 if here else self.clock.time
        most = int(self.rng.integers(1, self.size.together + 1))
        batch = [message for message in here if message.at <= by][:most]
        self._remove(batch)
        self.clock.time = max([self.clock.time, *(message.at for message in batch)])
        sent_at = self.clock.time
        for message in batch:
            self.watch.sent(message.worker.profile.worker_id, message.submission)
        requests = [
            Request(worker=message.worker.profile, submissions=(message.submission,))
            for message in batch
        ]
        try:
            replies = node.answer_all(requests)
        except ShardUnavailable:
            self.mail += batch
            return
        for message, (outcome,) in zip(batch, replies, strict=True):
            self._hear(message, outcome, sent_at)

    def _hear(self, message: Message, outcome: Outcome, sent_at: float) -> None:
        assert outcome.token == message.submission.token
        worker_id = message.worker.profile.worker_id
        self.watch.heard(worker_id, message.submission, outcome, sent_at)
        if isinstance(outcome.error, Unavailable) and self.rng.random() < 0.9:
            self.mail.append(replace(message, at=self.clock.time + 1.0))

    def _let_time_pass(self) -> None:
        """Move the clock on; now and then it jumps, ahead or back."""
        drawn = self.rng.random()
        passed = self.rng.exponential(2_000.0 if drawn < self.jump_share else 4.0)
        self.clock.time += float(-passed if drawn < self.jump_share / 2 else passed)

    def _refit(self) -> None:
        for stage in self.stages:
            stage.refit()

    def _publish_old(self) -> None:
        self.stages[int(self.rng.integers(len(self.stages)))].publish_old()

    def _heartbeat(self) -> None:
        worker = self._someone()
        tokens = [offer.token for offer in worker.holding[-5:]]
        beats = self.router.heartbeat(worker.profile, tokens)
        assert [beat.token for beat in beats] == tokens
        for beat in beats:
            if beat.expires_at is not None:
                assert beat.expires_at > self.clock.time
                self.watch.extended(beat.token, beat.expires_at)

    def _release(self) -> None:
        worker = self._someone()
        tokens = [offer.token for offer in worker.holding[-2:]]
        assert 0 <= self.router.release(worker.profile, tokens) <= len(tokens)

    def _crash(self) -> None:
        self.nodes[int(self.rng.integers(len(self.nodes)))].crash()

    def _restart(self) -> None:
        """Start a node again; one that is alive lives on as a ghost of itself."""
        self.nodes[int(self.rng.integers(len(self.nodes)))].start()
        if self.rng.random() < 0.7:
            self._refit()

    def _steal(self) -> None:
        """Let somebody answer by a token that was issued to somebody else."""
        thief = self._someone()
        if self.mail:
            stolen = self.mail[int(self.rng.integers(len(self.mail)))]
            if stolen.worker is not thief:
                self.mail.append(replace(stolen, worker=thief, at=self.clock.time))

    def _move_a_partition(self) -> None:
        stage = self.stages[int(self.rng.integers(len(self.stages)))]
        partitions = self.stores.partitions.of_job(stage.job.job_id)
        chosen = partitions[int(self.rng.integers(len(partitions)))]
        node = self.nodes[int(self.rng.integers(len(self.nodes)))]
        if node.service is not None and node.shard_id != chosen.shard_id:
            node.open(chosen.job_id, chosen.number)

    def _rebalance(self) -> None:
        """Let a job's stage look whether partitions should move, and mostly act on it."""
        stage = self.stages[int(self.rng.integers(len(self.stages)))]
        stage.rebalance()
        if self.rng.random() < 0.8:
            stage.refit()

    def _ask_a_ghost(self) -> None:
        """Send answers to a process that has been replaced and does not know it."""
        node = self.nodes[int(self.rng.integers(len(self.nodes)))]
        if node.ghost is None or not self.mail:
            return
        message = self.mail[int(self.rng.integers(len(self.mail)))]
        self.watch.sent(message.worker.profile.worker_id, message.submission)
        try:
            (outcome,) = node.ghost.answer(message.worker.profile, [message.submission])
        except (Crash, Unavailable):
            return
        if outcome.error is None:
            worker_id = message.worker.profile.worker_id
            self.watch.heard(worker_id, message.submission, outcome, self.clock.time)

    def _drain(self) -> None:
        """Heal everything, and see every item come to its end."""
        self.log.fault_share = 0.0
        self.log.meanwhile = lambda: None
        self.clock.time += 20 * LEASE_TTL_S
        for stage in self.stages:
            stage.calm = True
            stage.board.stay()
        ending = Ending(self.nodes, self.stages, self.router, self.clock, self.watch, self._labels)
        ending.come(self.rng, self._check)


def shard_of(token: str) -> int | None:
    """Return which shard a token is for; None for one of nobody's."""
    try:
        return unseal(token, SECRET).shard_id
    except LeaseInvalid:
        return None

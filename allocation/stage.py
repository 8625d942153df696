"""The asking stage of a job: infers truth while the crowd answers, and says when it is enough.

Shards hand out questions and store answers on their own; this stage reads the answers from the
log, refits its campaign, publishes what it has learned to the shards, delivers the labels that are
certain, corrects those that turned out wrong, and decides whether to learn, to go on asking, or to
finish. All of it is rebuilt from the stores, so a stage that dies is simply run again.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from allocation.announcements import accusation, record_round, warn_if_short
from allocation.board import Board
from allocation.campaign import Step
from allocation.conclusions import Positions
from allocation.consensus_file import forget_rounds, write_consensus
from allocation.line_record import read_past
from allocation.log import read_all
from allocation.patience import Patience
from allocation.ports import PartitionReport, Shard
from allocation.reporting import decided, progress_of
from allocation.resuming import resumed
from allocation.spacing import FIT_RESTS, WRITE_RESTS, Spacing
from allocation.track_records import TrackRecords, write_records
from cluster.domain.ids import JobId, WorkerId
from cluster.domain.jobs import Job, JobState, Progress
from cluster.errors import Unavailable
from cluster.ports import Stores
from cluster.result_writer import ResultWriter
from cluster.runner import JobDesk
from cluster.settings import AskingSettings

DELIVERY_ROWS = 50_000


class AskStage:
    """Runs the state ASKING; `wait` blocks for some seconds or until the process is to end."""

    def __init__(
        self,
        stores: Stores,
        settings: AskingSettings,
        trainings_max: int,
        shards: Sequence[Shard],
        wait: Callable[[float], object],
        watch: Callable[[Job], Callable[[], bool]] | None = None,
    ) -> None:
        """Take `watch` to tell, again and again, whether a job's model was rolled back."""
        self._stores, self._settings, self._trainings_max = stores, settings, trainings_max
        self._shards, self._wait, self._watch = tuple(shards), wait, watch

    def run(self, desk: JobDesk) -> JobState:
        """Ask until it is time to learn or enough is known; raises what `desk.check` raises."""
        session = AskSession(self._stores, self._settings, self._trainings_max, self._shards, desk)
        is_outdated = self._watch(desk.job) if self._watch else None
        while True:
            desk.check()
            step = session.tick()
            if step == "learn":
                session.prepare_learning()
                return JobState.LEARNING
            if step == "finish":
                session.finish()
                return JobState.EXPORTING
            if is_outdated and is_outdated():
                session.audit_only()
                return JobState.PRELABELLING
            self._wait(self._settings.refit_every_s)


class AskSession:
    """One uninterrupted spell of asking for one job."""

    def __init__(
        self,
        stores: Stores,
        settings: AskingSettings,
        trainings_max: int,
        shards: tuple[Shard, ...],
        desk: JobDesk,
    ) -> None:
        self._stores, self._settings, self._desk = stores, settings, desk
        self._board = Board(stores.partitions, shards, desk.job.job_id, desk.clock.now())
        self._writer = ResultWriter(stores, desk.job.job_id, desk.job.spec.label_set)
        past = read_past(stores, desk, settings.machine_price_per_hour)
        delivered = self._writer.delivered()
        self._campaign = resumed(stores, desk.job, trainings_max, delivered, past)
        self._told: set[WorkerId] = set()
        self._said: set[str] = set()
        self._patience = Patience(settings.patience_s, settings.crowd_patience_s, desk.clock.now())
        self._track_records = TrackRecords(stores, desk.job)
        self._seq = self._open_questions = 0
        self._published, self._fitted, self._fits = False, False, Spacing(FIT_RESTS)
        self._answered_at = self._consensus_at = desk.clock.now()
        self._writes = Spacing(WRITE_RESTS, least_s=settings.consensus_every_s)
        self._writes.begin(self._consensus_at, self._consensus_at)

    def tick(self) -> Step:
        """Take in what came, tell the shards, and say what comes next; late, nobody is asked."""
        if self._desk.job.is_late(self._desk.clock.now()):
            return "finish"
        try:
            self._rebalance()
            reports = self._reports()
            if self._goes_on():
                self._publish()
                return "ask"
        except Unavailable as error:
            self._published = False
            self._desk.record("shard.unavailable", str(error))
            return "ask"
        self._open_questions = sum(report.wanted + report.leased for report in reports)
        self._deliver_known()
        self._keep_consensus()
        time_left_s = self._desk.job.time_left_s(self._desk.clock.now())
        return self._campaign.step(reports, time_left_s=time_left_s)

    def prepare_learning(self) -> None:
        """Store the consensus a model is to learn from, and note that it is about to."""
        self._absorb()
        if not self._fitted:
            self._fit()
        self._campaign.note_training()
        progress = self._store_consensus()
        self._desk.report(replace(progress, learning_since=self._desk.clock.now()))
        self.audit_only()

    def audit_only(self) -> None:
        """Ask for no labels until another model has spoken: what is worth asking is its to say."""
        self._board.stay()
        try:
            self._publish(audits_only=True)
        except Unavailable as error:
            self._desk.record("shard.unavailable", str(error))

    def finish(self) -> None:
        """Dismiss the crowd, deliver every label that is left or has changed, and certify all.

        Then the last label delivered of each item is the one that the certificate speaks of.
        """
        dismiss_crowd(self._stores, self._board.shards, self._desk.job.job_id)
        self._open_questions = 0
        self._absorb()
        self._fit()
        self._deliver(self._campaign.unsettled())
        posterior = np.exp(self._campaign.truth.log_full)
        job_id, answers = self._desk.job.job_id, self._campaign.answers
        write_records(self._stores.objects, job_id, answers, posterior)
        certificate = self._campaign.certificate()
        self._desk.report(self._store_consensus(), certificate)
        overall = certificate.overall
        self._desk.record(
            "certificate",
            f"accuracy is at least {overall.accuracy_lower:.3f} with confidence "
            f"{certificate.confidence:.0%}, by {overall.audited} audited items",
            accuracy_lower=overall.accuracy_lower,
            accuracy_estimate=overall.accuracy_estimate,
            audited=overall.audited,
        )

    def _rebalance(self) -> None:
        """Let partitions change shards where one has too much to ask, or is gone."""
        leaving = self._board.leaving
        moves = self._board.rebalance(
            self._desk.clock.now(),
            every_s=self._settings.rebalance_every_s,
            drain_s=self._desk.job.spec.crowd.lease_ttl_s,
        )
        for move in moves:
            self._desk.record(
                "partition.moved",
                f"partition {move.number} has moved to shard {move.target}",
                partition=move.number,
                source=move.source,
                target=move.target,
            )
        if moves or self._board.leaving != leaving:
            self._published = False

    def _reports(self) -> list[PartitionReport]:
        """Return how the partitions stand under the newest snapshot.

        That knows every answer so far, except while a fit that took long is rested from: then
        shards reckon with new answers on their own, as long as there is anything to ask.
        """
        if not self._published:
            self._board.open()
            first = max((report.round for report in self._board.reports()), default=-1) + 1
            self._campaign.round = max(self._campaign.round, first)
        if self._fits.is_on(self._desk.clock.now()) and self._fitted:
            new = self._terms_are_new() or not self._published
            reports = self._publish() if new else self._unchanged()
            if any(report.wanted for report in reports):
                return reports
        return self._renewed()

    def _renewed(self) -> list[PartitionReport]:
        """Take in every answer so far, and publish what follows."""
        began_at = self._desk.clock.now()
        self._absorb()
        new = not (self._fitted and self._published)
        if new:
            self._fit()
        if not (self._terms_are_new() or new):
            return self._unchanged()
        self._desk.report(self._progress())
        reports = self._publish()
        self._fits.begin(began_at, self._desk.clock.now())
        return reports

    def _unchanged(self) -> list[PartitionReport]:
        """Return how the partitions stand where nothing new is known; more may be asked then."""
        reports = self._heard()
        if self._board.may_buy_more(self._campaign):
            return self._publish()
        return self._relaxed(reports)

    def _terms_are_new(self) -> bool:
        """Look who is tired, what the owner wishes and how urgent it is; say if that is new."""
        job, now = self._desk.job, self._desk.clock.now()
        changed = [
            self._campaign.note_time(now),
            self._campaign.amend(job.agreed),
            self._campaign.urgency.look(job, now),
        ]
        return any(changed)

    def _heard(self) -> list[PartitionReport]:
        """Return how the partitions stand; a shard that has restarted is told all again."""
        reports = self._board.reports()
        lost = sum(report.round < self._campaign.round for report in reports)
        if lost == 0 and len(reports) == len(self._board.partitions):
            return reports
        self._published = False
        self._desk.record("shard.restarted", "a shard has restarted", partitions=lost)
        self._board.open()
        return self._publish()

    def _relaxed(self, reports: list[PartitionReport]) -> list[PartitionReport]:
        """Lower the demands where nobody has come for a while who meets them."""
        campaign, now = self._campaign, self._desk.clock.now()
        wanted = sum(report.wanted for report in reports)
        self._patience.hear(sum(report.answers for report in reports), now)
        if not wanted or any(report.leased for report in reports):
            return reports
        move = self._patience.move(
            now, choosy=campaign.choosy, exhausted=lambda: self._is_exhausted(reports)
        )
        if move == "wait":
            return reports
        if move == "relax":
            campaign.choosy = False
            self._say_once("crowd.relaxed", "any worker is welcome: the better ones do not come")
            return self._publish()
        if move == "give up":
            message = f"{wanted:,} questions are given up: all who came have answered these items"
            self._say_once("crowd.exhausted", message)
            return [replace(report, wanted=0, open=0) for report in reports]
        if campaign.audit.end():
            self._desk.record("audit.ended", "nobody comes for the audits that were added")
            return self._publish()
        self._say_once("crowd.awaited", f"{wanted:,} questions wait for workers who may take them")
        return reports

    def _is_exhausted(self, reports: Sequence[PartitionReport]) -> bool:
        """Return whether nobody who is known can answer what the partitions want."""
        wanting = {report.partition for report in reports if report.open > report.audits}
        by_place = sorted(self._board.partitions, key=lambda found: found.first_position)
        asked = [np.full(found.items, found.number in wanting) for found in by_place]
        return self._campaign.is_exhausted(np.concatenate(asked))

    def _say_once(self, kind: str, message: str) -> None:
        """Record an event of a kind that comes once in a spell of asking."""
        if kind not in self._said:
            self._said.add(kind)
            self._desk.record(kind, message)

    def _goes_on(self) -> bool:
        """Return whether the campaign asks for more than it did, and say of what."""
        aim = self._campaign.aim
        items = self._campaign.go_on()
        if items:
            message = f"{items:,} more items are audited: those so far do not prove the goal"
            self._desk.record("audit.widened", message, items=items)
        if self._campaign.aim > aim:
            message = f"labels are to be {self._campaign.aim:.3f} accurate, to prove the goal"
            self._desk.record("goal.raised", message, accuracy=self._campaign.aim)
        return items > 0 or self._campaign.aim > aim

    def _publish(self, *, audits_only: bool = False) -> list[PartitionReport]:
        reports = self._board.publish(self._campaign, audits_only=audits_only)
        self._published = True
        return reports

    def _absorb(self) -> None:
        """Take in what came, to be followed by a fit."""
        answers = read_all(self._stores.answers, self._desk.job.job_id, self._seq)
        if len(answers):
            self._seq, self._fitted = int(answers.seq[-1]), False
            self._answered_at = self._desk.clock.now()
            self._campaign.choosy |= self._patience.recovers(self._answered_at)
            self._patience.note_answers(self._answered_at)
            self._campaign.absorb(answers)
        if (known := self._track_records.news(self._desk.clock.now())) is not None:
            self._campaign.know_workers(known)

    def _fit(self) -> None:
        self._campaign.refit()
        self._fitted = True
        self._tell_findings()

    def _tell_findings(self) -> None:
        """Record why workers are asked no more, once for each."""
        for found in self._campaign.findings:
            if not self._told.issuperset(found.workers):
                self._told.update(found.workers)
                self._desk.record(f"workers.{found.reason}", accusation(found), **found.evidence)

    def _deliver_known(self) -> None:
        """Deliver what is certain once it is enough for an object; corrections do not wait."""
        certain, recalled = self._campaign.certain(), self._campaign.recalled()
        if len(recalled) or len(certain) >= self._settings.delivery_rows_min:
            self._deliver(np.union1d(certain, recalled))
            self._campaign.settle()
            # What is delivered is closed: shards are not to wait for the next fit to know it.
            self._published = self._published and not self._fits.is_on(self._desk.clock.now())

    def _deliver(self, positions: Positions) -> None:
        """Deliver the labels of rising positions, some of them perhaps not for the first time."""
        recalled = 0
        for first in range(0, len(positions), DELIVERY_ROWS):
            delivery = self._campaign.delivery(positions[first : first + DELIVERY_ROWS])
            self._writer.append(decided(delivery))
            self._campaign.deliveries.note(delivery)
            recalled += int((delivery.revisions > 0).sum())
        if recalled:
            self._desk.record(
                "labels.recalled", f"{recalled:,} delivered labels are corrected", items=recalled
            )

    def _keep_consensus(self) -> None:
        """Store the consensus now and then, for clients who look in."""
        fresh = self._consensus_at <= self._answered_at
        if fresh and not self._writes.is_on(self._desk.clock.now()):
            self._store_consensus()

    def _store_consensus(self) -> Progress:
        """Save the job's progress and a consensus of its own number; older ones go."""
        job_id, began_at = self._desk.job.job_id, self._desk.clock.now()
        reach = self._campaign.reach()
        warn_if_short(self._desk, reach)
        best = max((found.accuracy for found in reach), default=None)
        progress = self._progress()
        progress = replace(progress, rounds=progress.rounds + 1, reachable_accuracy=best)
        consensus = self._campaign.consensus()
        write_consensus(self._stores.objects, job_id, progress.rounds, consensus)
        record_round(self._desk, self._campaign.standing(), progress)
        self._desk.report(progress)
        # Not before: a runner that was replaced has ended here, and deletes nothing.
        forget_rounds(self._stores.objects, job_id, progress.rounds)
        self._consensus_at = self._desk.clock.now()
        self._writes.begin(began_at, self._consensus_at)
        return progress

    def _progress(self) -> Progress:
        return progress_of(self._desk.job, self._campaign, self._writer, self._open_questions)


def dismiss_crowd(stores: Stores, shards: Sequence[Shard], job_id: JobId) -> None:
    """Void every lease of a job; once this returns no answer to it is stored any more.

    Shards that can be reached forget the job, and new epochs fence off those that cannot. Asking
    may begin anew. Raises StoreBusy.
    """
    partitions = stores.partitions.of_job(job_id)
    owners = {partition.shard_id for partition in partitions}
    for shard_id in sorted(owners.intersection(range(len(shards)))):
        with suppress(Unavailable):
            shards[shard_id].close(job_id)
    for partition in partitions:
        stores.partitions.acquire(job_id, partition.number, partition.shard_id)


def hold_crowd(stores: Stores, shards: Sequence[Shard], job_id: JobId) -> None:
    """Ask nobody anything more of a job until its stage runs again; what is out may be answered.

    A shard that is starting asks nothing before it is told a snapshot. Raises Unavailable where
    one cannot be reached.
    """
    owners = {partition.shard_id for partition in stores.partitions.of_job(job_id)}
    for shard_id in sorted(owners.intersection(range(len(shards)))):
        shards[shard_id].hold(job_id)

"""The asking stage with real shards and a simulated crowd: cost, promises, and restarts."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from allocation.ports import Offer, PartitionReport, Submission, TruthSnapshot
from allocation.service import ShardService
from allocation.stage import dismiss_crowd
from allocation.terms import Rules
from cluster import paths
from cluster.domain.ids import JobId, ShardId, WorkerId
from cluster.domain.jobs import Budget, CrowdTerms, Goal, JobSpec, JobState
from cluster.domain.work import Answer, AnswerColumns
from cluster.errors import JobCancelled, ShardUnavailable
from cluster.jobs import request_cancel
from tests.unit.allocation.crowds import CrowdWorld, answers_of
from tests.unit.allocation.worlds import JOB, SECRET, job, worker

GOOD_CROWD = (0.95, 0.9, 0.9, 0.85, 0.85, 0.8, 0.9, 0.9)


def spec(**changes: object) -> JobSpec:
    return replace(job().spec, **{"goal": Goal(accuracy=0.85), **changes})  # type: ignore[arg-type]


class Unreachable(ShardService):
    """A shard whose process cannot be reached."""

    def __init__(self) -> None:
        """Have nothing."""

    def close(self, _: JobId, partition: int | None = None) -> None:
        assert partition is None
        raise ShardUnavailable(0)


def world(
    chosen: JobSpec, *, items: int = 240, accuracies: tuple[float, ...] = GOOD_CROWD
) -> CrowdWorld:
    return CrowdWorld(chosen, items, accuracies, np.random.default_rng(11))


def test_a_job_asks_until_its_goal_and_delivers_every_item_once() -> None:
    # Given pre-labels that are right three times in four, and a good crowd
    given = world(spec())
    given.predict(accuracy=0.75)

    # When the stage runs
    state = given.stage().run(given.desk())

    # Then every item is delivered, and exported once, the goal is met, and not all were asked
    assert state is JobState.EXPORTING
    assert {row["position"]: row["label"] for row in given.exported()} == given.delivered()
    assert given.accuracy() >= 0.85
    progress = given.desk().job.progress
    assert progress.final == len(given.delivered()) == given.items
    assert progress.answers == len(answers_of(given)) < 2.5 * given.items
    assert progress.auto_accepted > 0
    certificate = given.desk().job.certificate
    assert certificate is not None
    assert certificate.overall.accuracy_lower < given.accuracy()
    assert certificate.overall.accuracy_estimate > 0.7
    assert certificate.overall.audited == 40


def test_labels_are_delivered_while_the_crowd_is_still_asked() -> None:
    # Given a crowd whose work is looked at after each step
    given = world(spec())
    given.predict(accuracy=0.75)
    seen: list[int] = []

    stage = given.stage()

    def watched(seconds: float) -> None:
        given.wait(seconds)
        seen.append(len(given.delivered()))

    stage._wait = watched
    stage.run(given.desk())

    # Then labels came before the end
    assert 0 < seen[len(seen) // 2] < given.items


def test_the_budget_holds_to_the_answer() -> None:
    # Given a budget of 150 answers
    given = world(spec(budget=Budget(answers_max=150)))
    given.predict(accuracy=0.6)

    # When the stage runs
    given.stage().run(given.desk())

    # Then no more are bought, and every item is delivered nonetheless
    assert len(answers_of(given)) <= 150
    assert len(given.delivered()) == given.items


def test_leases_out_are_part_of_the_budget() -> None:
    # Given a budget of 40, and somebody who takes as much as there is on one shard
    given = world(spec(budget=Budget(answers_max=40)), accuracies=())
    given.predict(accuracy=0.6)
    stage, looks, slow, held = given.stage(), iter(range(100)), worker("slow"), list[Offer]()
    label = given.spec.label_set.names[0]

    def wait(seconds: float) -> None:
        given.clock.time += seconds
        look = next(looks)
        if look == 0:
            held.extend(given.shards[1].claim(slow, 100))
        if look < 5:
            given.answer(worker(f"quick-{look}"), 0.9, given.shards[0], count=100)
        else:
            said = [Submission(token=offer.token, label=label, duration_s=1.0) for offer in held]
            outcomes = given.shards[1].answer(slow, said)
            assert all(outcome.error is None for outcome in outcomes)

    stage._wait = wait

    # When others answer what is on the other shard, and then the slow one all they hold
    stage.run(given.desk())

    # Then no more are bought than the budget allows
    assert held
    assert len(answers_of(given)) == 40


def test_a_budget_held_back_for_leases_is_spent_once_they_have_ended() -> None:
    # Given half a budget leased to somebody who never answers, and a crowd for the other half
    given = world(spec(budget=Budget(answers_max=40)), accuracies=())
    given.predict(accuracy=0.6)
    stage, looks = given.stage(), iter(range(1_000))

    def wait(seconds: float) -> None:
        given.clock.time += seconds if given.acknowledged < 20 else 100.0
        if next(looks) == 0:
            assert given.shards[1].claim(worker("gone"), 100)
        given.answer(worker(f"quick-{given.clock.time}"), 0.9, given.shards[0], count=100)

    stage._wait = wait

    # When the leases end
    stage.run(given.desk())

    # Then the other shard may spend what is left, but for what its partition is due itself
    assert 35 <= len(answers_of(given)) <= 40


class Listening(ShardService):
    """A shard that counts what it was told."""

    told = 0

    def publish(self, snapshot: TruthSnapshot) -> PartitionReport:
        self.told += 1
        return super().publish(snapshot)


def test_a_deadline_ends_the_asking() -> None:
    # Given nobody who answers, and a deadline
    given = world(spec(budget=Budget(deadline_s=2_000_000.0)), accuracies=())
    given.predict(accuracy=0.75)
    given.clock.time = 3_000_000.0
    shards = [
        Listening(ShardId(number), given.stores, given.clock, SECRET, Rules())
        for number in range(2)
    ]
    for shard in shards:
        shard.recover()
    given.shards = list(shards)

    # When the stage runs
    state = given.stage().run(given.desk())

    # Then the model's labels are delivered
    assert state is JobState.EXPORTING
    assert len(given.delivered()) == given.items
    # And nobody could be asked: no shard was told of anything to ask
    assert shards[0].told == shards[1].told == 0


def test_a_stage_that_dies_goes_on_where_it_was() -> None:
    # Given a stage that is killed after a few looks
    given = world(spec())
    given.predict(accuracy=0.75)
    stage = given.stage()
    looks = iter(range(4))

    def killed(seconds: float) -> None:
        if next(looks, None) is None:
            raise KeyboardInterrupt
        given.wait(seconds)

    stage._wait = killed
    with pytest.raises(KeyboardInterrupt):
        stage.run(given.desk())
    before = given.deliveries()

    # When another one takes over
    given.stage().run(given.desk())

    # Then everything is delivered, and nothing that was is delivered again but to correct it
    after = given.deliveries()
    assert len(after) == given.items
    assert all(after[position][: len(told)] == told for position, told in before.items())
    assert given.acknowledged == len(answers_of(given))


def test_a_shard_that_dies_is_given_its_work_again() -> None:
    # Given shards that are replaced by new processes again and again
    given = world(spec())
    given.predict(accuracy=0.75)
    stage, looks = given.stage(), iter(range(1_000))

    def with_crashes(seconds: float) -> None:
        given.wait(seconds)
        if next(looks) % 3 == 2:
            given.shards[0] = given.new_shard(0)

    stage._wait = with_crashes

    # When the stage runs
    stage.run(given.desk())

    # Then each took over from the last, nothing acknowledged is lost, each item is delivered once
    assert given.stores.partitions.of_job(JOB)[0].epoch > 2
    assert given.acknowledged == len(answers_of(given))
    assert len(given.delivered()) == given.items


def test_a_stage_stops_at_once_when_its_job_is_cancelled() -> None:
    # Given a job that is cancelled while its crowd works
    given = world(spec())
    given.predict(accuracy=0.6)
    stage = given.stage()

    def cancelled(seconds: float) -> None:
        given.wait(seconds)
        stored = given.stores.jobs.load(JOB)
        given.stores.jobs.save(request_cancel(stored, given.clock.now()))

    stage._wait = cancelled

    # When the stage notices, it says so, and the crowd is dismissed
    with pytest.raises(JobCancelled):
        stage.run(given.desk())
    dismiss_crowd(given.stores, given.shards, JOB)

    # Then nobody is offered anything any more
    assert all(not shard.claim(worker("late"), 10) for shard in given.shards)


def test_while_a_model_learns_the_crowd_only_audits() -> None:
    # Given a job that learns while there is much left to ask
    given = world(spec())
    given.predict(accuracy=0.6)
    assert given.stage(trainings_max=1).run(given.desk()) is JobState.LEARNING

    # When somebody comes for work meanwhile
    offers = [offer for shard in given.shards for offer in shard.claim(worker("late"), 100)]

    # Then no label is asked that the new model may know
    assert {offer.purpose for offer in offers} == {"audit"}


def test_a_shard_that_cannot_be_told_to_stop_is_fenced_off() -> None:
    # Given a job whose crowd holds leases of a shard that its runner cannot reach
    given = world(spec())
    given.predict(accuracy=0.6)
    stage = given.stage()
    held: list[Offer] = []

    def cut_off(seconds: float) -> None:
        given.wait(seconds)
        held.extend(given.shards[0].claim(worker("late"), 4))
        raise KeyboardInterrupt

    stage._wait = cut_off
    with pytest.raises(KeyboardInterrupt):
        stage.run(given.desk())

    # When the crowd is dismissed
    dismiss_crowd(given.stores, (Unreachable(), given.shards[1]), JOB)

    # Then that shard takes no answer to what it leased
    stored = len(answers_of(given))
    said = [
        Submission(token=offer.token, label=given.spec.label_set.names[0], duration_s=1)
        for offer in held
    ]
    outcomes = given.shards[0].answer(worker("late"), said)
    assert held
    assert all(outcome.error is not None for outcome in outcomes)
    assert len(answers_of(given)) == stored


def test_a_job_without_a_trained_model_asks_a_seed_sample_and_then_learns() -> None:
    # Given the zero-shot version, which knows nothing
    given = world(spec(), items=400)
    given.predict(accuracy=1 / 3, sure=0.34, version=0)

    # When the stage runs with training allowed
    state = given.stage(trainings_max=1).run(given.desk())

    # Then it goes learning from a consensus over a tenth of the items, without any audited one
    assert state is JobState.LEARNING
    progress = given.desk().job.progress
    with given.stores.objects.open_input(paths.consensus(JOB, progress.rounds)) as stream:
        consensus = pq.read_table(stream)
    trainable = consensus["trainable"].to_numpy()
    assert trainable.sum() == progress.trained_items == 40
    assert not (trainable & consensus["audit"].to_numpy()).any()
    assert progress.trainings == 1
    targets = np.array(consensus["target"].to_pylist())[trainable]
    right = targets.argmax(axis=1) == given.truth[trainable]
    assert right.mean() > 0.8


def test_where_reviewers_audit_the_crowd_does_not() -> None:
    # Given a job whose audits need a skill that two workers have
    crowd = CrowdTerms(audit_skills=frozenset({"reviewer"}), audit_answers_max=1)
    given = world(spec(crowd=crowd))
    given.predict(accuracy=0.75)
    reviewers = [worker(f"r{n}", skills=("reviewer",)) for n in range(2)]
    stage = given.stage()

    def with_reviewers(seconds: float) -> None:
        given.wait(seconds)
        for reviewer in reviewers:
            for shard in given.shards:
                given.answer(reviewer, 1.0, shard)

    stage._wait = with_reviewers

    # When the stage runs
    stage.run(given.desk())

    # Then audits are theirs alone, they do nothing else, and the certificate is about their word
    answers = given.stores.answers.read(JOB, 0, 1_000_000)
    audited_by = {answers.worker_ids[w] for w in answers.workers[answers.audit]}
    labelled_by = {answers.worker_ids[w] for w in answers.workers[~answers.audit]}
    assert audited_by <= {"r0", "r1"}
    assert not labelled_by & {"r0", "r1"}
    certificate = given.desk().job.certificate
    assert certificate is not None
    assert certificate.overall.audited == 40
    assert certificate.overall.accuracy_lower > 0.6


def test_a_job_says_early_that_its_audit_will_not_prove_the_goal() -> None:
    # Given a goal that an audit of 40 items cannot prove, and a crowd
    given = world(spec())
    given.predict(accuracy=0.75)

    # When the stage runs and stores its consensus at every step
    given.stage(consensus_every_s=1e-6).run(given.desk())

    # Then it said so once, while audits were still to come, with what it could reach instead
    events = given.stores.events.read(JOB, 0, 1_000)
    kinds = [event.kind for event in events]
    short = next(event for event in events if event.kind == "certificate.short")
    assert kinds.count("certificate.short") == 1
    assert kinds.index("certificate.short") < kinds.index("certificate") - 2
    assert short.figures["reachable_accuracy"] < short.figures["goal"]
    reachable = given.desk().job.progress.reachable_accuracy
    assert reachable is not None
    assert 0.0 <= reachable < short.figures["goal"]


def test_spammers_are_paused_and_the_evidence_is_recorded_once() -> None:
    # Given a log in which four workers agree on everything and a fifth always said the same
    given = world(spec(crowd=CrowdTerms(audit_share=0.0)))
    for partition in given.stores.partitions.of_job(JOB):
        first, items = partition.first_position, partition.items
        said = [
            Answer(
                job_id=JOB,
                position=position,
                worker_id=WorkerId(who),
                label=0 if who == "lazy" else int(given.truth[position]),
                purpose="label",
                price=0.0,
                answered_at=0.0,
                duration_s=1.0,
            )
            for position in range(first, first + items)
            for who in ("w0", "w1", "w2", "w3", "lazy")
        ]
        given.stores.answers.append(partition, AnswerColumns.of(said))
    # When the job has run
    given.stage().run(given.desk())
    # Then its history says once who was paused and why
    events = given.stores.events.read(JOB, 0, 1_000)
    (told,) = (event for event in events if event.kind == "workers.spam")
    assert "lazy" in told.message
    assert told.figures["answers"] == given.items
    assert told.figures["information_ratio"] < 0.05

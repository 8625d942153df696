"""What a campaign concludes: whom to ask, when to stop, when to learn."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from allocation.campaign import Campaign
from allocation.deliveries import RECALLS_MAX
from allocation.ports import PartitionReport
from allocation.purse import amounts
from cluster.domain.ids import JobId, ShardId, WorkerId
from cluster.domain.jobs import Budget, CrowdTerms, Goal, JobSpec
from cluster.domain.work import Answer, AnswerColumns, Partition, Purpose
from tests.unit.allocation.worlds import JOB, job

ITEMS = 200
WHOLE = Partition(job_id=JOB, number=0, first_position=0, items=ITEMS, shard_id=ShardId(0))


def spec(**changes: object) -> JobSpec:
    return replace(job().spec, goal=Goal(accuracy=0.85), **changes)  # type: ignore[arg-type]


def campaign(
    chosen: JobSpec | None = None,
    *,
    trainings_max: int = 0,
    trainings: int = 0,
    trained_items: int = 0,
) -> Campaign:
    return Campaign(
        chosen or spec(),
        ITEMS,
        trainings_max=trainings_max,
        trainings=trainings,
        trained_items=trained_items,
    )


def answer(
    position: int, label: int, who: str, purpose: Purpose = "label", price: float = 1.0
) -> Answer:
    return Answer(
        job_id=JobId(JOB),
        position=position,
        worker_id=WorkerId(who),
        label=label,
        purpose=purpose,
        price=price,
        answered_at=0.0,
        duration_s=1.0,
    )


def unanimous(*workers: str, items: int = ITEMS) -> AnswerColumns:
    """Return answers of workers who agree about every item."""
    return AnswerColumns.of(
        [answer(position, position % 3, who) for position in range(items) for who in workers]
    )


def report(*, wanted: int, leased: int = 0) -> PartitionReport:
    return PartitionReport(
        job_id=JOB,
        partition=0,
        round=1,
        answers=0,
        leased=leased,
        wanted=wanted,
        open=wanted,
        audits=0,
        cost=0.0,
        expected_error=0.5,
    )


def deliver(given: Campaign, positions: np.ndarray) -> None:
    given.deliveries.note(given.delivery(positions))


def certain_model(share: float) -> np.ndarray:
    model = np.full((ITEMS, 3), (1.0 - share) / 2)
    model[np.arange(ITEMS), np.arange(ITEMS) % 3] = share
    return model


def test_before_any_training_only_the_seed_sample_is_open() -> None:
    # Given a job that may train but has not
    given = campaign(trainings_max=2)
    given.refit()

    # When its snapshot is taken
    snapshot = given.snapshot(WHOLE, amounts(1_000, inf), audits_only=False)

    # Then 30 seeds are open for two answers each, apart from the audit sample
    assert (~snapshot.final).sum() == 30
    assert snapshot.label_answers_max == 2
    assert not (~snapshot.final & snapshot.audit).any()
    assert given.seeding


def test_a_job_too_small_for_a_seed_sample_asks_at_once() -> None:
    # Given a job whose every item is audited, so that a model could learn from none
    given = campaign(spec(crowd=CrowdTerms(audit_items_min=ITEMS)), trainings_max=2)
    given.refit()

    # When its snapshot is taken
    snapshot = given.snapshot(WHOLE, amounts(1_000, inf), audits_only=False)

    # Then it does not wait for one
    assert not given.seeding
    assert not snapshot.final.any()
    assert snapshot.label_answers_max == CrowdTerms().answers_per_item_max


def test_after_training_everything_is_open_to_workers_who_tell_enough() -> None:
    given = campaign(trainings_max=2, trainings=1, trained_items=10)
    given.set_model(1, certain_model(0.6))
    given.refit()

    snapshot = given.snapshot(WHOLE, amounts(1_000, inf), audits_only=False)

    assert not snapshot.final.any()
    assert snapshot.worth_ratio_min > 0.0
    assert 0.0 < snapshot.goal_error < 0.15


def test_a_snapshot_for_audits_only_has_no_label_question() -> None:
    given = campaign(trainings_max=2)
    given.refit()

    snapshot = given.snapshot(WHOLE, amounts(1_000, inf), audits_only=True)

    assert snapshot.final.all()
    assert snapshot.audit.any()


def test_a_relaxed_campaign_takes_anybody() -> None:
    given = campaign()
    given.refit()
    choosy_before = given.choosy

    given.choosy = False

    assert (choosy_before, given.choosy) == (True, False)
    assert given.snapshot(WHOLE, amounts(10, inf), audits_only=False).worth_ratio_min == 0.0


def test_a_campaign_learns_once_its_seeds_are_answered() -> None:
    # Given a seeding campaign with answers
    given = campaign(trainings_max=1)
    given.absorb(unanimous("ann", "bob"))
    given.refit()

    # Then it waits while questions are out, and learns when nothing is
    assert given.step([report(wanted=0, leased=3)], time_left_s=None) == "ask"
    assert given.step([report(wanted=0)], time_left_s=None) == "learn"

    # And once it has learned it does not learn again beyond its limit
    given.note_training()
    assert given.trained_items == ITEMS - 40
    assert given.step([report(wanted=5)], time_left_s=None) == "ask"


def test_a_seeding_campaign_without_answers_waits_for_the_crowd() -> None:
    given = campaign(trainings_max=1)
    given.refit()

    assert given.step([report(wanted=60)], time_left_s=None) == "ask"


def test_another_training_waits_until_half_as_much_again_is_known() -> None:
    given = campaign(trainings_max=5, trainings=1, trained_items=100)
    given.set_model(1, certain_model(0.5))
    given.absorb(unanimous("ann", items=150))
    given.refit()
    before = given.step([report(wanted=9)], time_left_s=None)

    given.absorb(unanimous("bob"))
    given.refit()

    assert before == "ask"
    assert given.step([report(wanted=9)], time_left_s=None) == "learn"


def test_nothing_left_to_ask_ends_a_campaign_and_leases_out_keep_it_open() -> None:
    given = campaign()
    given.absorb(unanimous("ann"))
    given.refit()

    assert given.step([report(wanted=1)], time_left_s=None) == "ask"
    assert given.step([report(wanted=0, leased=1)], time_left_s=None) == "ask"
    assert given.step([report(wanted=0)], time_left_s=None) == "finish"


def test_a_met_goal_does_not_wait_for_leases() -> None:
    # Given a campaign whose labels and audits are complete and agree
    given = campaign()
    given.absorb(unanimous("ann", "bob", "cid"))
    given.refit()
    audits = np.flatnonzero(_audited(given))
    given.absorb(
        AnswerColumns.of(
            [answer(int(at), int(at) % 3, who, "audit") for at in audits for who in ("x", "y", "z")]
        )
    )
    given.refit()

    assert given.standing().expected_accuracy >= 0.85
    assert given.step([report(wanted=0, leased=7)], time_left_s=None) == "finish"


def test_what_can_be_certified_is_foreseen_from_the_first_audit_on() -> None:
    # Given a campaign whose labels are complete, but no audit
    given = campaign()
    given.absorb(unanimous("ann", "bob", "cid"))
    given.refit()
    before = given.reach()

    # When a third of the audited items get an answer
    audits = np.flatnonzero(_audited(given))
    given.absorb(
        AnswerColumns.of([answer(int(at), int(at) % 3, "x", "audit") for at in audits[::3]])
    )
    given.refit()
    foreseen = given.reach()

    # Then nothing was known before, and now more is foreseen than has been proven so far
    assert before == ()
    assert given.certificate().overall.accuracy_lower <= foreseen[0].accuracy < 1.0
    # And what more audits would prove, which is more again
    assert [found.audited for found in foreseen] == sorted({found.audited for found in foreseen})
    assert foreseen[0].accuracy < foreseen[-1].accuracy


def test_time_and_budget_end_a_campaign() -> None:
    rich, poor = campaign(), campaign(spec(budget=Budget(answers_max=ITEMS)))
    for given in (rich, poor):
        given.absorb(unanimous("ann"))
        given.refit()

    assert rich.step([report(wanted=9)], time_left_s=0.0) == "finish"
    assert rich.step([report(wanted=9)], time_left_s=1.0) == "ask"
    assert poor.spending.is_over
    assert poor.step([report(wanted=9)], time_left_s=None) == "finish"


def test_nothing_is_delivered_early_from_an_audit_or_before_training() -> None:
    # Given answers and a model that are sure of everything
    seeding, trained = campaign(trainings_max=1), campaign(trainings_max=1, trainings=1)
    trained.set_model(1, certain_model(0.999))
    for given in (seeding, trained):
        given.absorb(unanimous("ann", "bob", "cid"))
        given.refit()

    # Then a seeding campaign delivers nothing, a trained one everything but its audit sample
    assert len(seeding.certain()) == 0
    certain = trained.certain()
    assert len(certain) == ITEMS - 40
    assert not _audited(trained)[certain].any()

    # And what was delivered is not delivered again
    deliver(trained, certain)
    assert len(trained.certain()) == 0


def trained_campaign(share: float) -> Campaign:
    """Return a campaign that believes its model, which is this sure of every item."""
    given = campaign(trainings_max=1, trainings=1)
    given.set_model(1, certain_model(share))
    given.refit()
    return given


def test_a_delivered_label_is_recalled_once_another_is_certain() -> None:
    # Given a campaign that delivered what three workers agreed on
    given = trained_campaign(0.9)
    given.absorb(unanimous("ann", "bob", "cid"))
    given.refit()
    deliver(given, given.certain())
    assert len(given.recalled()) == 0
    item = int(np.flatnonzero(given.deliveries.final)[0])

    # When eight who agree with them everywhere else say otherwise of one item
    said = [
        answer(at, (at + (at == item)) % 3, f"w{number}")
        for at in range(100)
        for number in range(8)
    ]
    given.absorb(AnswerColumns.of(said))
    given.refit()

    # Then it alone is recalled, as its first revision, and only once
    assert given.recalled().tolist() == [item]
    again = given.delivery(given.recalled())
    assert (again.labels.tolist(), again.revisions.tolist()) == ([(item + 1) % 3], [1])
    given.deliveries.note(again)
    assert len(given.recalled()) == 0
    assert item not in given.unsettled()


@pytest.mark.parametrize(
    ("share", "corrected_before", "recalled"),
    [
        (0.99, 0, ITEMS - 40),
        (0.99, RECALLS_MAX - 1, ITEMS - 40),
        (0.99, RECALLS_MAX, 0),
        (0.5, 0, 0),
    ],
)
def test_the_doubtful_and_the_often_recalled_wait_for_the_end(
    share: float, corrected_before: int, recalled: int
) -> None:
    # Given a campaign that delivered all items, audited ones too, as what it does not believe
    given = trained_campaign(share)
    wrong = (np.arange(ITEMS, dtype=np.int32) + 1) % 3
    given.deliveries.restore(wrong, np.full(ITEMS, corrected_before, dtype=np.int32))

    # Then those are recalled that it is sure of, not audited, and not too often; at the end all
    assert len(given.recalled()) == recalled
    assert not _audited(given)[given.recalled()].any()
    assert len(given.unsettled()) == ITEMS


def test_a_worker_who_answers_at_random_is_paused() -> None:
    # Given eight workers who agree and one whose answers have nothing to do with the items
    given = campaign()
    given.absorb(unanimous(*(f"w{number}" for number in range(8))))
    rng = np.random.default_rng(5)
    given.absorb(
        AnswerColumns.of([answer(at, int(rng.integers(3)), "spam") for at in range(ITEMS)])
    )
    given.refit()

    # Then the snapshot pauses that one alone
    assert given.snapshot(WHOLE, amounts(10, inf), audits_only=False).paused_workers == {"spam"}
    assert given.standing().paused == 1


def test_snapshots_speak_of_their_own_partition() -> None:
    given = campaign()
    given.absorb(unanimous("ann"))
    given.refit()
    second = replace(WHOLE, number=1, first_position=150, items=50)

    snapshot = given.snapshot(second, amounts(10, inf), audits_only=False)

    assert snapshot.log_prior.shape == (50, 3)
    assert snapshot.answers_seen == 50
    assert np.array_equal(snapshot.audit, _audited(given)[150:])


def test_a_campaign_has_no_truth_before_its_first_fit() -> None:
    with pytest.raises(RuntimeError, match="refit"):
        _ = campaign().truth


def _audited(given: Campaign) -> np.ndarray:
    return given.snapshot(WHOLE, amounts(0, inf), audits_only=False).audit


def test_where_a_campaign_stands_is_found_at_its_refit_and_what_is_wanted_when_asked() -> None:
    # Given a campaign that has audited nothing, and stood somewhere
    given = campaign()
    given.absorb(unanimous("ann", "bob"))
    before = given.refit()

    # When answers come
    asked = [answer(position, position % 3, "eve", "audit") for position in given.audit.asked]
    given.absorb(AnswerColumns.of(asked))

    # Then it stands where it did but for what is wanted, and by them all once it is fitted anew
    now = given.standing()
    assert now == replace(before, audits_open=before.audits_open - len(asked))
    after = given.refit()
    assert (after.answers, after.audit_answers) == (2 * ITEMS + len(asked), len(asked))
    assert (after.asked, after.cost) == (ITEMS, 2.0 * ITEMS + len(asked))


def test_a_campaign_that_was_never_fitted_stands_nowhere() -> None:
    with pytest.raises(RuntimeError, match="before its first refit"):
        campaign().standing()

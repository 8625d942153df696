"""Who is asked no more: spammers and copiers, with the evidence."""

from dataclasses import replace
from math import inf

import numpy as np

from allocation.campaign import Campaign
from allocation.purse import amounts
from cluster.domain.ids import ShardId, WorkerId
from cluster.domain.jobs import CrowdTerms
from cluster.domain.work import AnswerColumns, Partition
from tests.unit.allocation.worlds import JOB, answer, job

ITEMS, LABELS, WORKERS = 400, 3, 12
WHOLE = Partition(job_id=JOB, number=0, first_position=0, items=ITEMS, shard_id=ShardId(0))


def crowd(copiers: int, each: int = 5) -> tuple[AnswerColumns, np.ndarray]:
    """Return so many answers an item, and the truth; the first workers copy one random key."""
    rng = np.random.default_rng(5)
    truth, key = rng.integers(LABELS, size=(2, ITEMS))
    answers = []
    for position in range(ITEMS):
        for who in rng.permutation(WORKERS)[:each].tolist():
            wrong = (truth[position] + rng.integers(1, LABELS)) % LABELS
            said = truth[position] if rng.random() < 0.85 else wrong
            label = key[position] if who < copiers else said
            answers.append(answer(position, int(label), who))
    return AnswerColumns.of(answers), truth


def campaign() -> Campaign:
    return Campaign(job().spec, ITEMS, trainings_max=0)


def paused(given: Campaign) -> frozenset[WorkerId]:
    return given.snapshot(WHOLE, amounts(100, inf), audits_only=False).paused_workers


def test_copiers_count_for_nothing_and_are_asked_no_more() -> None:
    # Given a crowd in which three copy, and the same without them
    answers, truth = crowd(copiers=3)
    given, honest = campaign(), campaign()
    given.absorb(answers)
    others = np.array([int(found[1:]) >= 3 for found in answers.worker_ids])
    honest.absorb(answers.rows(np.flatnonzero(others[answers.workers])))
    # When truth is inferred
    given.refit()
    honest.refit()
    # Then they are paused, the evidence is told, and the others' labels are what remains
    assert {WorkerId(f"w{who}") for who in range(3)} <= paused(given)
    (found,) = (each for each in given.findings if each.reason == "copying")
    assert found.evidence["shared"] > 3 * found.evidence["expected"]
    labels = given.truth.log_label.argmax(axis=1)
    assert (labels == honest.truth.log_label.argmax(axis=1)).mean() > 0.99
    assert (labels == truth).mean() > 0.9


def test_spammers_count_for_nothing_and_are_asked_no_more() -> None:
    # Given a crowd in which three always say the same, and the same without them
    answers, truth = crowd(copiers=0, each=10)
    given, honest = campaign(), campaign()
    lazy = np.array([int(found[1:]) < 3 for found in answers.worker_ids])[answers.workers]
    given.absorb(replace(answers, labels=np.where(lazy, 0, answers.labels)))
    honest.absorb(answers.rows(np.flatnonzero(~lazy)))
    # When truth is inferred
    given.refit()
    honest.refit()
    # Then they are paused, and the others' labels are what remains
    assert paused(given) == {WorkerId(f"w{who}") for who in range(3)}
    assert {each.reason for each in given.findings} == {"spam"}
    labels = given.truth.log_label.argmax(axis=1)
    assert (labels == honest.truth.log_label.argmax(axis=1)).mean() > 0.99
    assert (labels == truth).mean() > 0.9


def test_an_honest_crowd_is_accused_of_nothing() -> None:
    given = campaign()
    given.absorb(crowd(copiers=0)[0])
    given.refit()
    assert given.findings == ()
    assert paused(given) == frozenset()


def test_gold_is_what_is_settled_and_workers_prove_themselves_on_it() -> None:
    # Given four workers who agree on everything, a fifth who answered one item, and a test of two
    spec = replace(job().spec, crowd=CrowdTerms(gold_answers=2))
    given = Campaign(spec, ITEMS, trainings_max=0)
    answers = [answer(position, position % 3, who) for position in range(60) for who in range(4)]
    given.absorb(AnswerColumns.of([*answers, answer(0, 0, 4)]))
    given.refit()
    # When a snapshot is published
    found = given.snapshot(WHOLE, amounts(100, inf), audits_only=False)
    # Then gold lies among the answered items, outside the audit, and all but the fifth are proven
    assert 0 < len(found.gold) <= 50
    assert found.gold.max() < 60
    assert not found.audit[found.gold].any()
    assert found.proven_workers == {WorkerId(f"w{who}") for who in range(4)}


def test_nobody_is_tested_unless_asked_for() -> None:
    given = campaign()
    given.absorb(crowd(copiers=0)[0])
    given.refit()
    assert len(given.snapshot(WHOLE, amounts(100, inf), audits_only=False).gold) == 0

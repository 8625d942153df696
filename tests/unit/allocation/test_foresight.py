"""How hard items are is foretold from similar ones, until there are answers."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allocation import foresight
from allocation.foresight import graded
from allocation.quality import difficulty_prediction
from allocation.quality.difficulty_prediction import HARD, SIMPLE, DifficultyModel, Outcomes
from allocation.quality.fusion import Truth, Witnesses, fuse
from allocation.quality.votes import Bools, Floats, Votes
from cluster import paths
from cluster.domain.jobs import Budget, CrowdTerms, Goal
from cluster.ports import ObjectStore
from tests.unit.allocation.crowds import CrowdWorld
from tests.unit.allocation.worlds import JOB, job

ITEMS, ASKED, WORKERS = 600, 300, 12
EVERYTHING = np.arange(ITEMS)


def crowd(
    rng: np.random.Generator, hard: Bools, asked: int = ASKED, answers: int = 5
) -> tuple[Votes, Truth]:
    """Return answers to the first items, of which half are wrong about hard ones, few else."""
    items = np.repeat(np.arange(asked), answers)
    workers = rng.random((asked, WORKERS)).argsort(axis=1)[:, :answers].ravel()
    wrong = rng.random(len(items)) < np.where(hard, 0.45, 0.05)[items]
    labels = (items + wrong) % 2
    votes = Votes.of(items, workers, labels, n_items=ITEMS, n_workers=WORKERS, n_labels=2)
    nothing = votes.of([], [], [], n_items=ITEMS, n_workers=WORKERS, n_labels=2)
    return votes, fuse(Witnesses(label_votes=votes, audit_votes=nothing, model=None))


def directions(rng: np.random.Generator, hard: Bools) -> foresight.Features:
    """Return features by which hard items are alike."""
    centres = np.where(hard[:, None], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    return (centres + 0.1 * rng.normal(size=(ITEMS, 3))).astype(np.float16)


def test_items_like_hard_ones_are_foretold_to_be_hard() -> None:
    # Given a crowd that errs on items of one kind, and has seen half of either
    rng = np.random.default_rng(1)
    hard = rng.random(ITEMS) < 0.5
    votes, truth = crowd(rng, hard)

    # When those that nobody answered are graded
    found = graded(EVERYTHING, votes, truth, directions(rng, hard))[ASKED:]

    # Then kinds are told apart
    assert (found[hard[ASKED:]] == HARD).mean() > 0.95
    assert (found[~hard[ASKED:]] == SIMPLE).mean() > 0.95


def test_answers_replace_what_was_foretold() -> None:
    # Given items of which some only look hard, and one of these that everybody agrees about
    rng = np.random.default_rng(2)
    looks_hard = rng.random(ITEMS) < 0.5
    looks_hard[[0, ASKED]] = True
    hard = looks_hard & (rng.random(ITEMS) < 0.8)
    votes, truth = crowd(rng, hard)
    about = votes.items == 0
    agreed = replace(votes, labels=np.where(about, 0, votes.labels).astype(np.int16))
    more = Votes.of(
        np.append(agreed.items, np.zeros(WORKERS)),
        np.append(agreed.workers, np.arange(WORKERS)),
        np.append(agreed.labels, np.zeros(WORKERS)),
        n_items=ITEMS,
        n_workers=WORKERS,
        n_labels=2,
    )

    # Then it is hard no more, and another one that looks like it is
    found = graded(EVERYTHING, more, truth, directions(rng, looks_hard))
    assert found[0] < HARD
    assert found[ASKED] == HARD


def test_a_model_in_doubt_foretells_hard_items_without_any_features() -> None:
    # Given a model that is undecided about what the crowd errs on
    rng = np.random.default_rng(3)
    hard = rng.random(ITEMS) < 0.5
    votes, _ = crowd(rng, hard)
    sure = np.where(hard, 0.55, 0.95)
    model = np.stack([sure, 1.0 - sure], axis=1)
    model[1::2] = model[1::2, ::-1]
    nothing = votes.of([], [], [], n_items=ITEMS, n_workers=WORKERS, n_labels=2)
    truth = fuse(Witnesses(label_votes=votes, audit_votes=nothing, model=model))

    # When items nobody answered are graded, with no features
    found = graded(EVERYTHING, votes, truth, np.empty((ITEMS, 0), dtype=np.float16))[ASKED:]

    # Then they are told apart by its doubt
    assert found[hard[ASKED:]].mean() > found[~hard[ASKED:]].mean() + 1.0


@pytest.mark.parametrize("width", [0, 3])
def test_before_any_answer_all_are_alike(width: int) -> None:
    nothing = Votes.of([], [], [], n_items=ITEMS, n_workers=1, n_labels=2)
    truth = fuse(Witnesses(label_votes=nothing, audit_votes=nothing, model=None))

    found = graded(EVERYTHING, nothing, truth, np.zeros((ITEMS, width), dtype=np.float16))

    assert set(found.tolist()) == {HARD}


def test_some_items_are_graded_in_the_order_they_are_asked_for() -> None:
    rng = np.random.default_rng(4)
    hard = rng.random(ITEMS) < 0.5
    votes, truth = crowd(rng, hard)
    features = directions(rng, hard)

    whole = graded(EVERYTHING, votes, truth, features)

    some = np.array([599, 3, 301, 0])
    assert graded(some, votes, truth, features).tolist() == whole[some].tolist()


def test_of_many_answered_items_a_sample_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given room for few answered items
    rng = np.random.default_rng(5)
    hard = rng.random(ITEMS) < 0.5
    votes, truth = crowd(rng, hard)
    monkeypatch.setattr(foresight, "SAMPLE_ITEMS", 50)

    # When one item nobody answered is graded
    looked_at: list[int] = []
    learn = difficulty_prediction.learn

    def noted(signals: Floats, outcomes: Outcomes) -> DifficultyModel:
        looked_at.append(len(signals))
        return learn(signals, outcomes)

    monkeypatch.setattr(difficulty_prediction, "learn", noted)
    graded(np.array([ASKED]), votes, truth, directions(rng, hard))

    # Then no more than those and itself are looked at
    assert looked_at == [51]


def test_a_job_delivers_difficulties_learned_from_features_and_answers() -> None:
    # Given a job on items of two kinds, one of which the crowd gets wrong, and not many answers
    rng = np.random.default_rng(6)
    spec = replace(
        job().spec,
        goal=Goal(accuracy=0.99),
        budget=Budget(answers_max=1_000),
        crowd=CrowdTerms(audit_items_min=200, audit_answers_max=4),
    )
    given = CrowdWorld(spec=spec, items=ITEMS, accuracies=[0.97] * WORKERS, rng=rng)
    hard = rng.random(ITEMS) < 0.5
    honest = given.say

    def say(position: int, accuracy: float) -> int:
        return honest(position, 0.5 if hard[position] else accuracy)

    given.say = say  # type: ignore[method-assign]
    write_features(given.stores.objects, spec.base_model, directions(rng, hard))

    # When it has run
    given.stage().run(given.desk())

    # Then what it exports tells simple items from hard ones, whether they were answered or not
    rows, simple = given.exported(), set(np.flatnonzero(~hard).tolist())
    for answered in (True, False):
        told = [row for row in rows if (row["decided_by"] != "model") == answered]
        easy = [row["difficulty"] for row in told if row["position"] in simple]
        other = [row["difficulty"] for row in told if row["position"] not in simple]
        assert min(len(easy), len(other)) > 30
        # Whether easy ones are simple or medium hangs on few answers, and so on the processor.
        assert easy.count("hard") < 0.1 * len(easy)
        assert other.count("hard") > 0.8 * len(other)


def write_features(objects: ObjectStore, base_model: str, features: foresight.Features) -> None:
    table = pa.table(
        {
            "position": np.arange(len(features)),
            "features": pa.FixedSizeListArray.from_arrays(
                pa.array(features.ravel()), features.shape[1]
            ),
            "failure": pa.nulls(len(features), pa.string()),
        }
    )
    with objects.open_output(paths.features(JOB, base_model, 0)) as stream:
        pq.write_table(table, stream)

"""Plain Dawid-Skene is crowd-kit's: on its toy cases, on random crowds and on real tables.

Real tables are read from $MUSTER_DATA/truth/<name>/{answers,truth}.parquet.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import DawidSkene, MajorityVote

from allocation.quality import dawid_skene
from allocation.quality.methods import METHODS
from allocation.quality.votes import Floats, Votes
from cluster.errors import InvalidField
from serve_apps.answer_tables import read_answers, read_truth
from tests.unit.allocation.quality.crowds import crowd

DATA = os.environ.get("MUSTER_DATA")
TABLES = [
    "bluebird",
    "cf",
    "d_possent",
    "d_product",
    "dog",
    "s_adult",
    "s_rel",
    "snow_temp",
    "sp_amt",
]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
real_tables = pytest.mark.skipif(DATA is None, reason="set MUSTER_DATA to the real answer tables")

# Who answered what in the two toy cases of crowd-kit's own tests; "-" for no answer.
YES_NO = {"t1": "ny-yn", "t2": "yyynn", "t3": "ynnyn", "t4": "yyyyy", "t5": "ynnnn"}
YES_NO_TRUTH = "yynyn"
BIRDS = {
    "ec": "g-ggp-",
    "03": "gg-g--",
    "05": "g-g-p-",
    "fb": "pp--pp",
    "02": "p-p--p",
    "08": "p-p--p",
    "07": "-p--pp",
    "e8": "-ccc-g",
    "fd": "-c--pg",
    "e4": "-c-cp-",
}
BIRDS_TRUTH = "gggppppccc"


def toy(case: dict[str, str]) -> Votes:
    labels = sorted(set("".join(case.values())) - {"-"})
    said = [
        (row, column, labels.index(letter))
        for row, letters in enumerate(case.values())
        for column, letter in enumerate(letters)
        if letter != "-"
    ]
    items, workers, codes = zip(*said, strict=True)
    width = len(next(iter(case.values())))
    return Votes.of(items, workers, codes, n_items=len(case), n_workers=width, n_labels=len(labels))


def frame(votes: Votes) -> pd.DataFrame:
    return pd.DataFrame({"task": votes.items, "worker": votes.workers, "label": votes.labels})


def crowdkit_posterior(votes: Votes, iterations_max: int = 100) -> Floats:
    """Crowd-kit's posterior, with the labels nobody used filled in."""
    theirs = DawidSkene(n_iter=iterations_max).fit(frame(votes)).probas_
    assert theirs is not None
    posterior = theirs.reindex(index=range(votes.n_items), columns=range(votes.n_labels))
    filled: Floats = np.nan_to_num(posterior.to_numpy(np.float64))
    return filled


@pytest.mark.parametrize(("case", "truth"), [(YES_NO, YES_NO_TRUTH), (BIRDS, BIRDS_TRUTH)])
@pytest.mark.parametrize("method", ["dawid-skene", "one-coin"])
def test_toy_cases_have_the_labels_crowdkit_expects(
    case: dict[str, str], truth: str, method: str
) -> None:
    labels = METHODS[method](toy(case)).labels()

    names = sorted(set(truth))
    assert "".join(names[code] for code in labels) == truth


@pytest.mark.parametrize("case", [YES_NO, BIRDS])
def test_toy_posteriors_are_crowdkits(case: dict[str, str]) -> None:
    votes = toy(case)

    np.testing.assert_allclose(
        METHODS["dawid-skene"](votes).posterior, crowdkit_posterior(votes), atol=1e-8
    )


@pytest.mark.parametrize("seed", range(10))
def test_posteriors_of_random_crowds_are_crowdkits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    votes = crowd(
        seed,
        n_items=int(rng.integers(20, 200)),
        n_workers=int(rng.integers(5, 60)),
        n_labels=int(rng.integers(2, 6)),
        answers_per_item=int(rng.integers(1, 5)),
        accuracy=(0.3, 0.95),
    ).votes

    np.testing.assert_allclose(
        dawid_skene.fit(votes, iterations_max=15).posterior,
        crowdkit_posterior(votes, iterations_max=15),
        atol=1e-6,
    )


def test_majority_is_crowdkits_but_for_ties() -> None:
    fit = METHODS["majority"](votes := crowd(30, answers_per_item=4).votes)
    ranked = np.sort(fit.posterior, axis=1)
    clear = ranked[:, -1] > ranked[:, -2]

    expected = MajorityVote().fit_predict(frame(votes)).sort_index().to_numpy()

    np.testing.assert_array_equal(fit.labels()[clear], expected[clear])


@real_tables
@pytest.mark.parametrize("name", TABLES)
def test_accuracy_on_real_tables_is_crowdkits(name: str) -> None:
    folder = Path(DATA or "") / "truth" / name
    table = read_answers(folder)
    truth = read_truth(folder, table)

    ours = truth.accuracy(METHODS["dawid-skene"](table.votes).labels())
    theirs = truth.accuracy(crowdkit_posterior(table.votes).argmax(axis=1))

    assert ours is not None
    assert theirs is not None
    assert ours >= theirs - 0.005


@real_tables
def test_numbers_are_refused_by_name() -> None:
    with pytest.raises(InvalidField, match=r"label: row 1 .* is the number 25\.0"):
        read_answers(Path(DATA or "") / "truth" / "n_emotion")

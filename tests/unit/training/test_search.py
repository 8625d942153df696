"""What may be searched of a recipe, what a search may cost, and what it finds."""

from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.config import LinearHead, Recipe, ResNetHead
from training.recipes import image_small, text_head
from training.search import (
    Allowance,
    Choice,
    Real,
    SearchBudget,
    SearchResult,
    Space,
    Trial,
    changed,
    changes_at,
    point_of,
    result_of,
    space_of,
)

RECIPES = (image_small(), text_head())


def points(space: Space) -> st.SearchStrategy[dict[str, float]]:
    return st.fixed_dictionaries(
        {
            path: st.floats(domain.low, domain.high)
            if isinstance(domain, Real)
            else st.integers(0, len(domain.options) - 1)
            for path, domain in space.items()
        }
    )


def test_a_space_holds_the_fields_that_are_known_by_name() -> None:
    assert set(space_of(image_small())) == {
        "head.learning_rate",
        "head.weight_decay",
        "head.batch_rows",
        "head.shift_pixels",
        "head.warm_up_share",
        "head.loss",
    }
    assert set(space_of(text_head())) == {"head.l2_path"}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_lies_in_its_own_space(recipe: Recipe) -> None:
    space = space_of(recipe)
    point = point_of(recipe, space)

    for path, domain in space.items():
        if isinstance(domain, Real):
            assert domain.low <= point[path] <= domain.high
    assert changes_at(recipe, space, point) == {}
    assert changed(recipe, {}) == recipe


@given(st.data())
def test_whatever_is_drawn_is_a_recipe_that_can_be_stored(data: st.DataObject) -> None:
    # Given any point of a recipe's space
    recipe = data.draw(st.sampled_from(RECIPES))
    space = space_of(recipe)
    changes = changes_at(recipe, space, data.draw(points(space)))
    # When it is stored as the result of a search and read again
    found = result(base=recipe.name, changes=changes)
    again = SearchResult.of_json(found.to_json())
    # Then it makes the same recipe, of the same folds and of another name
    tuned = again.recipe(recipe)
    assert tuned == changed(recipe, changes)
    assert tuned is not None
    assert tuned.folds == recipe.folds
    assert (tuned.name == recipe.name) == (not changes)


def test_different_changes_have_different_names() -> None:
    names = {changed(image_small(), {"head.batch_rows": rows}).name for rows in (16, 64)}

    assert len(names | {image_small().name}) == 3


@pytest.mark.parametrize(
    "changes",
    [{"folds": 9}, {"head.epochs": 3}, {"head.learning_rate": "quick"}, {"head.nothing": 1.0}],
)
def test_only_what_may_be_searched_can_be_changed(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="image_small"):
        changed(image_small(), changes)
    assert result(base="image_small", changes=changes).recipe(image_small()) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A part of a recipe that is not known here, with fields that are."""

    rank: int = 8
    targets: tuple[str, ...] = ("query", "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptedHead:
    """A kind of recipe that is not known here."""

    kind: str = "adapted"
    adapter: Adapter = Adapter()
    learning_rate: float = 2e-4
    dropout: float = 0.1
    loss: str = "posterior"


def test_a_new_kind_of_recipe_is_searched_as_it_is() -> None:
    # Given a recipe with a head that nobody told the search of
    recipe = replace(image_small(), head=cast("ResNetHead", AdaptedHead()))
    space = space_of(recipe)
    # Then fields are searched wherever they are in it
    assert set(space) == {
        "head.adapter.rank",
        "head.learning_rate",
        "head.dropout",
        "head.loss",
    }
    head = cast("AdaptedHead", changed(recipe, {"head.adapter.rank": 16}).head)
    assert head.adapter == Adapter(rank=16)


def test_the_finer_path_of_penalties_holds_the_coarse_one() -> None:
    domain = space_of(text_head())["head.l2_path"]
    assert isinstance(domain, Choice)
    coarse, finer = domain.options

    assert coarse == LinearHead().l2_path
    assert isinstance(finer, tuple)
    assert set(LinearHead().l2_path) < set(finer)
    assert list(finer) == sorted(finer, reverse=True)


@pytest.mark.parametrize(
    ("spend", "price", "seconds"),
    [(None, 5.0, 600.0), (100.0, 0.0, 600.0), (1.0, 5.0, 360.0), (100.0, 5.0, 600.0)],
)
def test_a_budget_is_the_shorter_of_time_and_money(
    spend: float | None, price: float, seconds: float
) -> None:
    budget = SearchBudget(
        trials=8, trials_at_once=2, time_s=600.0, spend=spend, trial_hour_price=price
    )

    assert budget.seconds() == seconds


@pytest.mark.parametrize(
    ("allowance", "seconds"),
    [
        (Allowance(), 600.0),
        (Allowance(time_s=60_000.0, money=1_000.0), 600.0),
        (Allowance(time_s=1_000.0), 100.0),
        (Allowance(money=1.0), 36.0),
        (Allowance(time_s=300.0, money=1.0), 30.0),
        (Allowance(time_s=-1.0), 0.0),
        (Allowance(money=0.0), 0.0),
    ],
)
def test_a_search_takes_no_more_than_a_share_of_what_its_job_has_left(
    allowance: Allowance, seconds: float
) -> None:
    budget = SearchBudget(trials=8, trials_at_once=2, time_s=600.0, trial_hour_price=5.0)

    assert budget.within(allowance, share=0.1).seconds() == pytest.approx(seconds)


def test_where_no_hour_has_a_price_money_does_not_bound_a_search() -> None:
    budget = SearchBudget(trials=8, trials_at_once=2, time_s=600.0)

    assert budget.within(Allowance(money=0.0), share=0.1).seconds() == 600.0


def test_the_best_of_those_that_came_to_their_end_wins() -> None:
    recipe = image_small()
    space = space_of(recipe)
    default = point_of(recipe, space)
    quick = {**default, "head.learning_rate": 0.03}
    trials = [
        Trial(point=default, log_loss=0.5, done=1.0),
        Trial(point=quick, log_loss=0.4, done=1.0),
        Trial(point={**default, "head.learning_rate": 0.05}, log_loss=0.3, done=0.33),
        Trial(point={**default, "head.learning_rate": 0.09}, log_loss=float("nan"), done=1.0),
        Trial(point={}, log_loss=float("nan"), done=0.0),
    ]

    found = result_of(recipe, space, trials, rows=100, snapshot_hash="abc")

    assert found == result(
        base=recipe.name, changes={"head.learning_rate": 0.03}, trials=5, finished=2
    )
    assert result_of(recipe, space, trials[2:], rows=100, snapshot_hash="abc") is None


def test_a_result_speaks_until_there_are_many_more_rows() -> None:
    found = result(base="image_small", changes={})

    assert found.covers(399)
    assert not found.covers(400)


def test_a_result_of_another_recipe_is_not_used() -> None:
    assert result(base="text_head", changes={}).recipe(image_small()) is None


def result(
    base: str, changes: dict[str, Any] | Any, trials: int = 1, finished: int = 1
) -> SearchResult:
    return SearchResult(
        base=base,
        changes=changes,
        log_loss=0.4,
        trials=trials,
        finished=finished,
        rows=100,
        snapshot_hash="abc",
    )

"""`ModelLines` and `TrafficStore`: steps are only added, one after another, and counts add up."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cluster.domain.ids import ModelName
from cluster.domain.lines import Stage
from cluster.domain.webhooks import WebhookKind
from cluster.errors import ModelNotFound, StaleRevision
from cluster.ports import Stores
from tests.conformance import samples
from tests.model_lines import end_trial, go_back, go_live, try_out

PETS = ModelName("acme/pets")
NEWS = ModelName("acme/news")


def add_versions(stores: Stores, count: int, name: str = "acme/pets") -> None:
    for version in range(count):
        stores.models.add(samples.model(version, name))


def test_the_newest_step_says_how_a_line_stands(stores: Stores) -> None:
    add_versions(stores, 3)

    steps = [
        go_live(stores.lines, PETS, 0),
        go_live(stores.lines, PETS, 1),
        try_out(stores.lines, PETS, 2, Stage.SHADOW),
        end_trial(stores.lines, PETS),
        go_back(stores.lines, PETS, 0),
    ]

    assert stores.lines.standing(PETS) == steps[-1]
    assert [step.live for step in steps] == [0, 1, 1, 1, 0]
    assert [step.candidate for step in steps] == [None, None, 2, None, None]
    assert stores.models.live(PETS) == samples.model(0)
    assert stores.lines.history(PETS, None, 10) == tuple(reversed(steps))
    assert stores.lines.history(PETS, 4, 2) == (steps[2], steps[1])
    assert stores.lines.came_live(PETS, 1) == steps[1]


def test_a_step_takes_the_next_number_or_none(stores: Stores) -> None:
    add_versions(stores, 2)
    go_live(stores.lines, PETS, 0)
    step = samples.step(2, 1, live=1)

    for revision in (1, 3, 9):
        with pytest.raises(StaleRevision):
            stores.lines.take(replace(step, revision=revision), [samples.event()])
    assert stores.events.newest(samples.JOB) == 0
    stores.lines.take(step, [samples.event("model.promoted"), samples.event("model.rolled_back")])

    assert stores.lines.standing(PETS) == step
    assert stores.events.newest(samples.JOB) == 2
    assert [notice.kind for notice in stores.events.notices(10)] == [
        WebhookKind.MODEL_PROMOTED,
        WebhookKind.MODEL_ROLLED_BACK,
    ]


def test_unknown_lines_and_versions_are_not_found(stores: Stores) -> None:
    add_versions(stores, 1)

    for version, live in ((1, 0), (0, 1)):
        with pytest.raises(ModelNotFound):
            stores.lines.take(samples.step(1, version, live=live))
    with pytest.raises(ModelNotFound):
        stores.lines.standing(PETS)
    with pytest.raises(ModelNotFound):
        stores.lines.came_live(PETS, 0)
    with pytest.raises(ModelNotFound):
        stores.models.live(PETS)
    assert stores.lines.history(PETS, None, 10) == ()


@pytest.mark.parametrize("begun", [False, True])
def test_of_parallel_steps_one_is_taken(stores: Stores, begun: bool) -> None:
    add_versions(stores, 9)
    if begun:
        go_live(stores.lines, PETS, 0)
    revision = 2 if begun else 1

    def take(version: int) -> int | None:
        try:
            stores.lines.take(samples.step(revision, version, live=version))
        except StaleRevision:
            return None
        return version

    with ThreadPoolExecutor(8) as threads:
        won = [version for version in threads.map(take, range(1, 9)) if version is not None]

    assert [stores.lines.standing(PETS).live] == won


def test_trials_are_those_that_go_on(stores: Stores) -> None:
    for name in (PETS, NEWS):
        add_versions(stores, 2, name)
        go_live(stores.lines, name, 0)
    pets = try_out(stores.lines, PETS, 1, Stage.SHADOW)
    news = try_out(stores.lines, NEWS, 1, Stage.CANARY)

    assert stores.lines.trials() == (news, pets)
    end_trial(stores.lines, PETS)
    go_live(stores.lines, NEWS, 1)
    assert stores.lines.trials() == ()


def test_a_trial_of_the_zero_shot_version_is_one(stores: Stores) -> None:
    add_versions(stores, 2)
    go_live(stores.lines, PETS, 1)

    step = try_out(stores.lines, PETS, 0, Stage.CANARY)

    assert stores.lines.trials() == (step,)


def test_counts_of_many_gateways_add_up(stores: Stores) -> None:
    shadow, canary = samples.traffic(1), samples.traffic(1, Stage.CANARY)
    stores.traffic.add([shadow, canary])
    stores.traffic.add([replace(shadow, last_at=900.0)])
    stores.traffic.add([])
    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(stores.traffic.add, [[shadow]] * 8):
            pass

    found = {(seen.version, seen.stage): seen for seen in stores.traffic.of(PETS)}

    assert found[1, Stage.CANARY] == canary
    total = found[1, Stage.SHADOW]
    assert (total.items, total.disagreed, total.failed, total.live_failed) == (100, 30, 20, 10)
    assert (total.seconds, total.live_seconds, total.last_at) == (5.0, 2.5, 1_000.0)
    assert stores.traffic.of(NEWS) == ()

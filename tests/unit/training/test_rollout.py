"""The life of a version: which stage follows which, and what ends a trial."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.domain.ids import ModelName
from cluster.domain.lines import LineStep, Stage, Traffic
from cluster.model_settings import RolloutSettings
from training.regression import Regression
from training.rollout import (
    Seen,
    Why,
    begun,
    entered,
    first_stage,
    next_step,
    rejected,
    rolled_back,
    stages_of,
)

NAME = ModelName("acme/pets")
SETTINGS = RolloutSettings(shadow_items_min=200, canary_items_min=100)
FINE = Regression(is_worse=False, p_value=1.0, score=0.9, before_score=0.9, n=40)
NOW = 10_000.0


def why(at: float = NOW) -> Why:
    return Why(by="job-1", reason="better on 40 audited items", at=at, p_value=0.01)


def on_trial(stage: Stage) -> LineStep:
    return entered(begun(NAME, 0, why(0.0)), 1, stage, why(NOW - 60.0))


def seen(stage: Stage, items: int = 0, asked_at: float = NOW, **figures: float) -> Seen:
    traffic = Traffic(name=NAME, version=1, stage=stage, items=items)
    return Seen(traffic=replace(traffic, **figures), asked_at=asked_at, audit=FINE)  # type: ignore[arg-type]


def step_after(standing: LineStep, found: Seen, now: float = NOW) -> LineStep:
    step = next_step(standing, found, SETTINGS, now)
    assert step is not None
    return step


def test_a_version_goes_from_shadow_to_canary_to_live() -> None:
    shadow = on_trial(Stage.SHADOW)

    canary = step_after(shadow, seen(Stage.SHADOW, items=200))
    live = step_after(canary, seen(Stage.CANARY, items=100))

    assert [step.stage for step in (shadow, canary, live)] == ["shadow", "canary", "live"]
    assert [step.revision for step in (shadow, canary, live)] == [2, 3, 4]
    assert [step.live for step in (shadow, canary, live)] == [0, 0, 1]
    assert (live.over, live.by, live.candidate) == (0, "muster", None)
    assert live.reason == "100 online items as canary say nothing against it"


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY])
def test_a_phase_goes_on_until_it_has_seen_enough(stage: Stage) -> None:
    assert next_step(on_trial(stage), seen(stage, items=99), SETTINGS, NOW) is None


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY])
def test_no_version_is_on_trial_for_ever(stage: Stage) -> None:
    """Where requests have ceased, or are too few, what there is must do."""
    standing = on_trial(stage)

    ceased = step_after(standing, seen(stage, items=3, asked_at=0.0), NOW + 3_600.0)
    slow = step_after(standing, seen(stage, items=3, asked_at=NOW + 90_000.0), NOW + 90_000.0)

    assert ceased.stage == slow.stage != stage


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY])
def test_a_version_that_answered_nothing_does_not_go_on_while_there_are_requests(
    stage: Stage,
) -> None:
    standing, late = on_trial(stage), NOW + 90_000.0

    assert next_step(standing, seen(stage, items=0, asked_at=late), SETTINGS, late) is None
    assert step_after(standing, seen(stage, items=0, asked_at=NOW), late).stage != stage


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY])
def test_a_version_that_failed_on_all_it_was_asked_does_not_go_on(stage: Stage) -> None:
    """Three failures are no proof, but three of three are no answer."""
    found = seen(stage, items=3, failed=3, asked_at=NOW)

    step = step_after(on_trial(stage), found, NOW + 90_000.0)

    assert (step.stage, step.reason) == (Stage.REJECTED, "it failed on all of 3 online items")


def test_a_line_that_nobody_asks_has_no_trial() -> None:
    assert first_stage(SETTINGS, NOW, asked_at=float("-inf")) is Stage.LIVE
    assert first_stage(SETTINGS, NOW, asked_at=NOW - 3_601.0) is Stage.LIVE
    assert first_stage(SETTINGS, NOW, asked_at=NOW - 3_599.0) is Stage.SHADOW


@pytest.mark.parametrize(
    ("shadow", "canary", "stages"),
    [
        (0.1, 0.1, [Stage.SHADOW, Stage.CANARY, Stage.LIVE]),
        (0.1, 0.0, [Stage.SHADOW, Stage.LIVE]),
        (0.0, 0.1, [Stage.CANARY, Stage.LIVE]),
        (0.0, 0.0, [Stage.LIVE]),
    ],
)
def test_a_share_of_nothing_leaves_a_phase_out(
    shadow: float, canary: float, stages: list[Stage]
) -> None:
    settings = RolloutSettings(shadow_share=shadow, canary_share=canary)
    found = [first_stage(settings, NOW, asked_at=NOW)]
    standing = entered(begun(NAME, 0, why(0.0)), 1, found[0], why())
    while standing.candidate is not None:
        step = next_step(standing, seen(standing.stage, items=1_000), settings, NOW)
        assert step is not None
        standing = step
        found.append(step.stage)

    assert found == stages


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY])
def test_audit_answers_end_a_trial_at_once(stage: Stage) -> None:
    worse = Regression(is_worse=True, p_value=0.004, score=0.7, before_score=0.9, n=60)

    step = step_after(on_trial(stage), replace(seen(stage), audit=worse))

    assert (step.stage, step.version, step.live, step.candidate) == ("rejected", 1, 0, None)
    assert (step.reason, step.p_value) == ("worse on 60 audited items", 0.004)


def test_failures_that_the_live_version_shares_are_held_against_nobody() -> None:
    standing = on_trial(Stage.SHADOW)

    both = step_after(standing, seen(Stage.SHADOW, 200, failed=9, live_failed=9))
    alone = step_after(standing, seen(Stage.SHADOW, 200, failed=9, live_failed=1))

    assert both.stage is Stage.CANARY
    assert alone.stage is Stage.REJECTED
    assert alone.reason == "it failed on 9 of 200 online items"


def test_before_its_end_only_many_failures_end_a_trial() -> None:
    standing = on_trial(Stage.SHADOW)

    assert next_step(standing, seen(Stage.SHADOW, 50, failed=9), SETTINGS, NOW) is None
    assert step_after(standing, seen(Stage.SHADOW, 50, failed=14)).stage is Stage.REJECTED


def test_a_version_that_crawls_is_rejected() -> None:
    found = seen(Stage.SHADOW, 200, seconds=60.0, live_seconds=10.0)

    step = step_after(on_trial(Stage.SHADOW), found)

    assert step.stage is Stage.REJECTED
    assert step.reason == "it took 6.0 times as long as the live version"


def test_where_each_version_stands_is_read_from_the_history() -> None:
    steps = [begun(NAME, 0, why())]
    steps.append(entered(steps[-1], 1, Stage.LIVE, why()))
    steps.append(entered(steps[-1], 2, Stage.SHADOW, why()))
    steps.append(rejected(steps[-1], why()))
    steps.append(entered(steps[-1], 3, Stage.LIVE, why()))
    steps.append(rolled_back(steps[-1], 1, why()))
    steps.append(entered(steps[-1], 4, Stage.CANARY, why()))

    found = stages_of(steps[::-1], range(6))

    assert found == {
        0: Stage.RETIRED,
        1: Stage.LIVE,
        2: Stage.REJECTED,
        3: Stage.ROLLED_BACK,
        4: Stage.CANARY,
        5: Stage.REGISTERED,
    }
    assert stages_of([entered(steps[-1], 5, Stage.SHADOW, why()), *steps[::-1]], [4]) == {
        4: Stage.RETIRED
    }


@given(st.data())
def test_one_version_is_live_at_every_step_and_the_same_evidence_gives_the_same_step(
    data: st.DataObject,
) -> None:
    standing, now = begun(NAME, 0, why(0.0)), NOW
    for version in range(1, 4):
        stage = data.draw(st.sampled_from([Stage.SHADOW, Stage.CANARY, Stage.LIVE]))
        standing = entered(standing, version, stage, why(now))
        while standing.candidate is not None:
            now += 2.0 * SETTINGS.phase_s_max
            found = seen(
                standing.stage,
                data.draw(st.integers(1, 300)),
                asked_at=now,
                failed=data.draw(st.integers(0, 20)),
                live_failed=data.draw(st.integers(0, 20)),
            )
            step = next_step(standing, found, SETTINGS, now)
            assert step == next_step(standing, found, SETTINGS, now)
            assert step is not None
            assert step.revision == standing.revision + 1
            assert step.live in (standing.live, version)
            assert (step.live == version) == (step.stage is Stage.LIVE)
            standing = step

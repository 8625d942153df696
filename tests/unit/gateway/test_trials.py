"""Versions on trial: who is answered by which, and what that shows of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from cluster.domain.lines import Stage, Traffic
from cluster.domain.models import ModelSpec
from cluster.errors import ModelUnusable, Overloaded
from cluster.model_settings import RolloutSettings
from cluster.replica_errors import ReplicaBroken, ReplicaLost
from cluster.stores.memory.models import MemoryTraffic
from serve_apps.gateway.firsts import Firsts
from serve_apps.gateway.schemas.predictions import ITEMS_MAX
from serve_apps.gateway.trials import SHADOWS_MAX, OnlineTrials
from serve_apps.gateway.versions import Resolved, share_of
from serve_apps.prelabel.answers import OnlineAnswer
from serve_apps.prelabel.model import Content
from tests.unit.prelabel.support import StepClock, model_spec

LIVE, CANDIDATE = model_spec(version=1), model_spec(version=2)


@dataclass
class Replicas:
    """Answers that name their version: all of its probability is on the label of its number.

    The candidate fails on contents in `bad`, both versions on `poison`; `error` is the candidate's,
    and if `all_lost` the live one's.
    """

    bad: frozenset[str] = frozenset()
    poison: frozenset[str] = frozenset()
    error: Exception | None = None
    all_lost: bool = False
    opened: asyncio.Event | None = None
    sizes: list[int] = field(default_factory=list)

    async def predict(self, contents: Sequence[Content], spec: ModelSpec) -> OnlineAnswer:
        self.sizes.append(len(contents))
        is_candidate = spec.version == CANDIDATE.version
        if is_candidate and self.opened is not None:
            await self.opened.wait()
        if self.error is not None and (is_candidate or self.all_lost):
            raise self.error
        hated = self.poison | (self.bad if is_candidate else frozenset())
        failed = np.array([content in hated for content in contents])
        said = np.eye(3, dtype=np.float32)[[spec.version] * len(contents)]
        said[failed] = 1 / 3
        return OnlineAnswer(version=spec.version, probabilities=said, failed=failed)

    async def warm(self, spec: ModelSpec) -> None:
        raise AssertionError(f"trials only ask, and loaded version {spec.version}")


class Trial:
    """A gateway's trials in one stage, with a share of the requests."""

    def __init__(self, stage: Stage, replicas: Replicas | None = None, share: float = 1.0) -> None:
        self.replicas, self._store = replicas or Replicas(), MemoryTraffic()
        settings = RolloutSettings(shadow_share=share, canary_share=share)
        self._trials = OnlineTrials(self.replicas, self._store, settings, StepClock())
        self._versions = Resolved(live=LIVE, candidate=CANDIDATE, stage=stage)

    async def asked(self, *contents: str) -> OnlineAnswer:
        return await self._trials.answer(self._versions, contents)

    async def seen(self) -> dict[Stage, Traffic]:
        """Return what is stored in the end, but for times."""
        await self._trials.settle()
        return {
            each.stage: replace(each, last_at=0.0, seconds=0.0, live_seconds=0.0)
            for each in self._store.of(LIVE.name)
        }


def traffic(
    stage: Stage, items: int, disagreed: int = 0, failed: int = 0, live_failed: int = 0
) -> Traffic:
    version = LIVE.version if stage is Stage.LIVE else CANDIDATE.version
    return Traffic(
        name=LIVE.name,
        version=version,
        stage=stage,
        items=items,
        disagreed=disagreed,
        failed=failed,
        live_failed=live_failed,
    )


def test_a_shadow_is_asked_but_never_shown() -> None:
    async def run() -> None:
        trial = Trial(Stage.SHADOW)
        answers = [await trial.asked("a", "b"), await trial.asked("c")]
        assert [answer.version for answer in answers] == [1, 1]
        assert await trial.seen() == {
            Stage.LIVE: traffic(Stage.LIVE, 3),
            Stage.SHADOW: traffic(Stage.SHADOW, 3, disagreed=3),
        }

    asyncio.run(run())


def test_a_shadow_holds_nobody_up_and_few_are_out_at_a_time() -> None:
    async def run() -> None:
        opened = asyncio.Event()
        trial = Trial(Stage.SHADOW, Replicas(opened=opened))
        for number in range(SHADOWS_MAX + 5):
            assert (await trial.asked(str(number))).version == 1
        opened.set()
        assert (await trial.seen())[Stage.SHADOW].items == SHADOWS_MAX

    asyncio.run(run())


def test_failures_are_counted_in_pairs() -> None:
    async def run() -> None:
        trial = Trial(Stage.SHADOW, Replicas(bad=frozenset("b"), poison=frozenset("p")))
        await trial.asked("a", "b", "p")
        expected = traffic(Stage.SHADOW, 3, disagreed=1, failed=1)
        assert (await trial.seen())[Stage.SHADOW] == expected

    asyncio.run(run())


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY])
def test_a_version_that_cannot_be_used_has_failed_on_everything(stage: Stage) -> None:
    async def run() -> None:
        trial = Trial(stage, Replicas(error=ModelUnusable("line version 2", "broken")))
        assert (await trial.asked("a", "b")).version == 1
        assert (await trial.seen())[stage] == traffic(stage, 2, failed=2)

    asyncio.run(run())


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY])
@pytest.mark.parametrize("lost", [ReplicaLost("items"), ReplicaBroken("items")])
def test_a_version_that_replicas_are_lost_over_is_not_shown_and_has_failed_once(
    stage: Stage, lost: Exception
) -> None:
    async def run() -> None:
        trial = Trial(stage, Replicas(error=lost))
        assert (await trial.asked("a", "b")).version == 1
        assert (await trial.asked("c")).version == 1
        assert (await trial.seen())[stage] == traffic(stage, 2, failed=2)

    asyncio.run(run())


def test_a_replica_that_the_live_version_loses_too_is_no_fault_of_the_canary() -> None:
    async def run() -> None:
        trial = Trial(Stage.CANARY, Replicas(error=ReplicaLost("items"), all_lost=True))
        with pytest.raises(ReplicaLost):
            await trial.asked("a")
        assert await trial.seen() == {}

    asyncio.run(run())


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY])
def test_that_there_was_no_room_says_nothing_of_a_version(stage: Stage) -> None:
    async def run() -> None:
        trial = Trial(stage, Replicas(error=Overloaded("the queue", 1)))
        assert (await trial.asked("a")).version == 1
        assert stage not in await trial.seen()

    asyncio.run(run())


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.CANARY])
def test_a_content_that_is_sent_again_and_again_counts_once(stage: Stage) -> None:
    async def run() -> None:
        trial = Trial(stage, Replicas(bad=frozenset({"poison"})))
        for _ in range(14):
            await trial.asked("poison", "poison")
            await trial.asked("fine")
        found = (await trial.seen())[stage]
        assert (found.items, found.failed) == (2, 1)

    asyncio.run(run())


def test_contents_are_remembered_for_each_trial_and_not_without_end() -> None:
    firsts = Firsts(seen_max=3)
    shadow, canary = traffic(Stage.SHADOW, 0), traffic(Stage.CANARY, 0)

    assert firsts.among(["a", "b", "a", b"a"], shadow).tolist() == [True, True, False, False]
    assert firsts.among(["a"], canary).tolist() == [True]
    assert firsts.among(["c", "b"], shadow).tolist() == [True, False]
    assert firsts.among(["a"], shadow).tolist() == [True]


def test_a_canary_answers_and_where_it_fails_the_live_version_does() -> None:
    async def run() -> None:
        trial = Trial(Stage.CANARY, Replicas(bad=frozenset("b"), poison=frozenset("p")))
        asked = [("a",), ("c", "b"), ("p",)]
        assert [(await trial.asked(*contents)).version for contents in asked] == [2, 1, 1]
        assert (await trial.seen())[Stage.CANARY] == traffic(Stage.CANARY, 4, failed=1)

    asyncio.run(run())


def test_the_same_request_is_answered_by_the_same_version() -> None:
    async def run() -> None:
        trial = Trial(Stage.CANARY, share=0.3)
        contents = [str(number) for number in range(500)]
        first = [(await trial.asked(content)).version for content in contents]
        again = [(await trial.asked(content)).version for content in contents]
        assert first == again
        assert 0.2 < first.count(2) / len(first) < 0.4

    asyncio.run(run())


def test_another_candidate_is_tried_on_other_requests() -> None:
    places = {share_of(["a text"], model_spec(version=version)) for version in range(9)}

    assert len(places) == 9
    assert share_of(["ab", "c"], CANDIDATE) != share_of(["a", "bc"], CANDIDATE)


def test_a_request_of_many_items_goes_in_pieces_and_has_one_version() -> None:
    async def run() -> None:
        trial = Trial(Stage.CANARY, Replicas(bad=frozenset({"last"})))
        contents = [*map(str, range(2 * ITEMS_MAX)), "last"]
        answer = await trial.asked(*contents)
        assert trial.replicas.sizes == [ITEMS_MAX, ITEMS_MAX, 1] * 2
        assert (answer.version, len(answer.failed)) == (1, len(contents))
        assert (answer.probabilities.argmax(axis=1) == answer.version).all()

    asyncio.run(run())

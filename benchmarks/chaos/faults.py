"""What a fault is, and those that take processes: F1, F2, F3, F4 and F17 of the fault model."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from random import Random
from threading import Event
from time import monotonic
from typing import Protocol

from benchmarks.chaos import processes
from benchmarks.chaos.corpus import Corpus
from benchmarks.chaos.crowd import Told
from benchmarks.chaos.deployment import Deployment
from benchmarks.chaos.door import Door
from benchmarks.chaos.nodes import Node

GATEWAY, SHARD = "ray::ServeReplica:gateway", "ray::AllocatorActor"
MODEL, RUNNER = "ray::ServeReplica:prelabel", "ray::JobActor.run"
WORK = (GATEWAY, SHARD, "ray::ServeReplica:core", MODEL)
WHOLE_TIMEOUT_S = 300.0
STOPPED_S_MAX = 90.0
LOOK_EVERY_S = 0.1


class NotWhole(Exception):
    """A deployment was not whole again in all the time that was allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A fault that was dealt, and when (monotonic): from its begin to its end.

    Where nobody ends it but Muster itself, both are one.
    """

    what: str
    at: float
    over_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The job that is under fire, as its client and its workers have it.

    What a fault is told in the place of workers belongs into `told`.
    """

    corpus: Corpus
    client: Door
    gate: Door
    seed: int
    told: list[Told]


class Fault(Protocol):
    """One fault of the model, dealt to a deployment again and again."""

    def strike(self, chance: Random, scene: Scene) -> Struck:
        """Deal it once, and return when its cause is over."""
        ...

    def is_whole(self) -> bool:
        """Whether everything that the fault took is there again."""
        ...


class OneKilled:
    """F1 and F2: SIGKILL to one of the processes with a title, such as a gateway or a shard.

    Whole again are as many as there were, and the service is ready; unless they come and go with
    the jobs, as runners do.
    """

    def __init__(self, deployment: Deployment, title: str, *, comes_and_goes: bool = False) -> None:
        self._deployment, self._title = deployment, title
        self._wanted = 0 if comes_and_goes else len(deployment.nodes.titled(title))

    def strike(self, chance: Random, scene: Scene) -> Struck:  # noqa: ARG002 - as all faults
        """Kill one, once there is one."""
        titled = partial(self._deployment.nodes.titled, self._title)
        wait_until(lambda: bool(titled()), self._title)
        victim = chance.choice(titled())
        at = monotonic()
        processes.kill(victim.pid)
        wait_until(lambda: victim not in titled(), f"the end of {self._title}")
        return Struck(what=f"kill -9 {self._title}", at=at, over_at=at)

    def is_whole(self) -> bool:
        """Whether there are as many again, and the service is ready."""
        there = len(self._deployment.nodes.titled(self._title)) >= self._wanted
        return there and self._deployment.is_ready()


class InTurn:
    """Several faults, one after the other and again from the first."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._left, self._last = cycle(faults), faults[-1]

    def strike(self, chance: Random, scene: Scene) -> Struck:
        """Deal the next one."""
        self._last = next(self._left)
        return self._last.strike(chance, scene)

    def is_whole(self) -> bool:
        """Whether what the last one took is there again."""
        return self._last.is_whole()


class HeadLost:
    """F3: the head node with GCS, controller and HTTP proxy is gone, and started again at once."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def strike(self, chance: Random, scene: Scene) -> Struck:  # noqa: ARG002
        """End the head, as the loss of its machine would."""
        nodes = self._deployment.nodes
        at = monotonic()
        if nodes.head is not None:
            nodes.head.kill()
        nodes.start_head()
        return Struck(what="head killed", at=at, over_at=at)

    def is_whole(self) -> bool:
        """Whether the service is ready."""
        return self._deployment.is_ready()


class NodeLost:
    """F4: a node that runs parts of the service is gone, or only its raylet; another joins."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def strike(self, chance: Random, scene: Scene) -> Struck:  # noqa: ARG002
        """Kill a node whole, or its raylet alone, under which its processes live on for a while."""
        node = a_working_node(self._deployment, chance)
        at, raylet = monotonic(), node.raylet
        if raylet is not None and chance.random() < 0.5:
            processes.kill(raylet.pid)
            what = "raylet killed"
        else:
            node.kill()
            what = "node killed"
        self._deployment.nodes.replace(node)
        return Struck(what=what, at=at, over_at=at)

    def is_whole(self) -> bool:
        """Whether the service is ready and two gateways run."""
        gateways = self._deployment.nodes.titled(GATEWAY)
        return len(gateways) >= self._deployment.gateways and self._deployment.is_ready()


class NodeParted:
    """F17: a node stops as if parted from all others, is replaced, and comes back to life.

    From then on there are two copies of what ran on it, and the older ones still have requests.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def strike(self, chance: Random, scene: Scene) -> Struck:  # noqa: ARG002
        """Stop every process of a node until the others do without it; then let them go on."""
        node = a_working_node(self._deployment, chance)
        at = monotonic()
        node.signal(signal.SIGSTOP)
        self._deployment.nodes.replace(node)
        wait_until(self._deployment.is_ready, "the others", STOPPED_S_MAX)
        node.signal(signal.SIGCONT)
        return Struck(what="node stopped", at=at, over_at=at)

    def is_whole(self) -> bool:
        """Whether the service is ready and two gateways run."""
        gateways = self._deployment.nodes.titled(GATEWAY)
        return len(gateways) >= self._deployment.gateways and self._deployment.is_ready()


def a_working_node(deployment: Deployment, chance: Random) -> Node:
    """Return one of the nodes on which parts of the service run, once there is one."""

    def working() -> list[Node]:
        return [
            node for node in deployment.nodes.workers if any(node.titled(title) for title in WORK)
        ]

    wait_until(lambda: bool(working()), "a node with work")
    return chance.choice(working())


def wait_until(is_so: Callable[[], bool], what: str, timeout_s: float = WHOLE_TIMEOUT_S) -> float:
    """Return when something was seen to be so (monotonic); raises NotWhole."""
    give_up_at, pause = monotonic() + timeout_s, Event()
    while not is_so():
        if monotonic() > give_up_at:
            raise NotWhole(what)
        pause.wait(LOOK_EVERY_S)
    return monotonic()

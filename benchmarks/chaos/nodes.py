"""Nodes of a Ray cluster on this machine, each a session of processes that can be lost whole."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Self

from benchmarks.chaos import processes
from benchmarks.chaos.processes import Process

START_TIMEOUT_S = 120.0
STARTS_MAX = 5
LOOK_EVERY_S = 0.1
OBJECT_STORE_BYTES = 100 * 2**20
NODE_CPUS = 4

HEALTH: Mapping[str, str] = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "5",
}
"""A node that is silent is lost after some 20 s; Ray's own settings take over a minute."""


class NodeFailed(Exception):
    """A node did not start; the message holds the end of what it has printed."""


class Node:
    """`ray start` in a session of its own: raylet, agents and every worker below them."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def titled(self, title: str) -> tuple[Process, ...]:
        """Return the node's processes whose title begins so."""
        return processes.titled(self._process.pid, title)

    @property
    def raylet(self) -> Process | None:
        """The process that is the node to the cluster, None before it runs and after its end."""
        running = processes.of_session(self._process.pid)
        return next((each for each in running if "/raylet/raylet " in each.title), None)

    @property
    def runs(self) -> bool:
        """Whether anything of the node is left."""
        return bool(processes.of_session(self._process.pid))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the node."""
        for process in processes.of_session(self._process.pid):
            processes.send(process.pid, number)

    def kill(self) -> None:
        """End every process of the node with SIGKILL, as a power failure would."""
        while self.runs:
            self.signal(signal.SIGKILL)
            self._process.wait()


class RayNodes:
    """A head that runs no work and some nodes that do; a context manager that leaves nothing."""

    def __init__(
        self,
        folder: Path,
        workers: int,
        environment: Mapping[str, str],
        of_workers: Mapping[str, str],
    ) -> None:
        self._folder, self._wanted, self._of_workers = folder, workers, of_workers
        self._environment = {
            **os.environ,
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1",
            **HEALTH,
            **environment,
        }
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.head: Node | None = None
        self.workers: list[Node] = []
        self._lost: list[Node] = []

    def __enter__(self) -> Self:
        with ExitStack() as undone:
            undone.callback(self.kill)
            self.start_head()
            for _ in range(self._wanted):
                self.add_worker()
            undone.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The head and the workers that are meant to run."""
        return (*([self.head] if self.head else []), *self.workers)

    def titled(self, title: str) -> tuple[Process, ...]:
        """Return the processes of all nodes whose title begins so."""
        return tuple(process for node in self.nodes for process in node.titled(title))

    def start_head(self) -> None:
        """Start the head, at the same port as before; returns when others can join."""
        options = ["--head", f"--port={self.port}", "--num-cpus=0", "--include-dashboard=false"]
        self.head = self._running(options, {})

    def add_worker(self) -> Node:
        """Start a node that runs work."""
        options = [f"--address={self.address}", f"--num-cpus={NODE_CPUS}"]
        node = self._running(options, self._of_workers)
        self.workers.append(node)
        return node

    def replace(self, node: Node) -> None:
        """Start another node in the place of one; what is left of that ends at the end at last."""
        self.workers.remove(node)
        self._lost = [lost for lost in self._lost if lost.runs] + [node]
        self.add_worker()

    def kill(self) -> None:
        """End all of it at once."""
        for node in (*self._lost, *self.nodes):
            node.kill()
        self.head, self.workers, self._lost = None, [], []

    def _running(self, options: list[str], more: Mapping[str, str]) -> Node:
        """Start a node and wait for it; again where Ray gives up, as on a busy machine."""
        for _ in range(STARTS_MAX):
            node = self._started(options, more)
            if _joins(node):
                return node
            node.kill()
        raise NodeFailed((self._folder / "nodes.log").read_text()[-2_000:])

    def _started(self, options: list[str], more: Mapping[str, str]) -> Node:
        command: list[str | Path] = [
            Path(sys.executable).with_name("ray"),
            "start",
            "--block",
            "--disable-usage-stats",
            "--node-ip-address=127.0.0.1",
            f"--object-store-memory={OBJECT_STORE_BYTES}",
            "--dashboard-agent-listen-port=0",
            *options,
        ]
        with (self._folder / "nodes.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env={**self._environment, **more},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Node(process)


def free_port() -> int:
    """Return a port of this machine that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _joins(node: Node) -> bool:
    """Wait until a node's raylet runs; tell whether it has come to that."""
    give_up_at, pause = monotonic() + START_TIMEOUT_S, Event()
    while node.raylet is None:
        if monotonic() > give_up_at or not node.runs:
            return False
        pause.wait(LOOK_EVERY_S)
    return True

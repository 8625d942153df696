"""Faults of what keeps the service's state: F7, F8 and F19 of the fault model."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Event
from time import monotonic

from benchmarks.chaos.deployment import Deployment
from benchmarks.chaos.faults import Scene, Struck
from benchmarks.chaos.proxy import FAIR, Weather

STORM = Weather(refused=0.3, torn=0.1, deaf=0.1)
"""Three requests of ten are refused, and one in ten each torn or answered to nobody."""

STORM_S, FULL_S, REFUSAL_S = (3.0, 8.0), (2.0, 5.0), (0.5, 2.0)
FILL_BLOCK_BYTES = 2**20

_REFUSALS = "CREATE TABLE IF NOT EXISTS faults_40001 (until timestamptz)"
_REFUSE = (
    "CREATE OR REPLACE FUNCTION faults_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF EXISTS (SELECT 1 FROM faults_40001 WHERE until > clock_timestamp()) AND random() < 0.5"
    " THEN RAISE EXCEPTION 'as if by chance' USING ERRCODE = '40001'; END IF; RETURN NULL;"
    " END $$"
)
_REFUSE_ANSWERS = (
    "CREATE OR REPLACE TRIGGER faults_refuse BEFORE INSERT ON answers"
    " FOR EACH STATEMENT EXECUTE FUNCTION faults_refuse()"
)


class DatabaseStruck:
    """F7: PostgreSQL is restarted, crashes, is killed, ends its sessions, or refuses with 40001."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment, self._postgres = deployment, deployment.postgres
        self._postgres.run([_REFUSALS, _REFUSE, _REFUSE_ANSWERS])

    def strike(self, chance: Random, scene: Scene) -> Struck:  # noqa: ARG002 - as all faults
        """Do one of these, and return once the server answers again."""
        kinds = {
            "fast restart": signal.SIGINT,
            "immediate restart": signal.SIGQUIT,
            "kill -9": signal.SIGKILL,
        }
        what = chance.choice([*kinds, "sessions ended", "40001"])
        at = monotonic()
        if what in kinds:
            self._postgres.stop(kinds[what])
            self._postgres.start()
        elif what == "sessions ended":
            self._postgres.drop_sessions()
        else:
            seconds = chance.uniform(*REFUSAL_S)
            self._postgres.run(
                [f"INSERT INTO faults_40001 SELECT clock_timestamp() + interval '{seconds} s'"]
            )
            Event().wait(seconds)
        return Struck(what=what, at=at, over_at=monotonic())

    def is_whole(self) -> bool:
        """Whether the service is ready."""
        return self._deployment.is_ready()


class DiskFull:
    """F8: the database's disk, or the bucket, takes nothing more for some seconds.

    The database's disk must be a small one of its own.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._filler = deployment.database_disk / "filler"

    def strike(self, chance: Random, scene: Scene) -> Struck:  # noqa: ARG002
        """Fill one up, leave it so for a while, and make room again."""
        full_s, what = chance.uniform(*FULL_S), chance.choice(["database's disk", "bucket"])
        at = monotonic()
        if what == "bucket":
            self._deployment.objects.turn(Weather(full=True))
            Event().wait(full_s)
            self._deployment.objects.turn(FAIR)
        else:
            fill(self._filler)
            Event().wait(full_s)
            self._filler.unlink()
            self._deployment.postgres.start()
        return Struck(what=what, at=at, over_at=monotonic())

    def is_whole(self) -> bool:
        """Whether the service is ready."""
        return self._deployment.is_ready()


class BucketsStormy:
    """F19: the object store refuses 30 % of all requests, tears uploads and swallows replies."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def strike(self, chance: Random, scene: Scene) -> Struck:  # noqa: ARG002
        """Let it be so for some seconds."""
        at = monotonic()
        self._deployment.objects.turn(STORM)
        Event().wait(chance.uniform(*STORM_S))
        self._deployment.objects.turn(FAIR)
        return Struck(what="30 % 503, 10 % torn, 10 % unheard", at=at, over_at=monotonic())

    def is_whole(self) -> bool:
        """Whether the service is ready."""
        return self._deployment.is_ready()


def fill(path: Path) -> None:
    """Write a file until its disk has no room left."""
    block = bytes(FILL_BLOCK_BYTES)
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(block)
            os.fsync(file.fileno())

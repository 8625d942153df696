"""The leaves of the error tree (`cluster.errors`) that concern model replicas."""

from cluster.errors import Unavailable


class ReplicaLost(Unavailable):
    """A model replica died over a piece of work, or did not answer in time."""

    def __init__(self, work: str) -> None:
        super().__init__(f"the replica was lost over {work}")
        self.work = work


class ReplicaBroken(Unavailable):
    """A model replica's process is of no use any more, and is to end: its model fails on what it
    managed before, or never returns."""

    def __init__(self, work: str) -> None:
        super().__init__(f"the replica broke over {work}")
        self.work = work

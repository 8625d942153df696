"""What the crowd said by the end of a round, as the asking stage stores it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from cluster import paths
from cluster.domain.ids import JobId
from cluster.errors import ObjectMissing
from cluster.ports import ObjectStore
from training.split import training_rows
from training.tables import matrix_of

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Consensus:
    """The items of a round that matter to training, by rising position.

    `train_targets` (n, K) are the posteriors to learn at `train_positions` (n,), `audit_posterior`
    (m, K) what independent audit answers say at `audit_positions` (m,); the two never share one.
    `held_out` are all items whose audit was planned before the first answer.
    """

    train_positions: Positions
    train_targets: Floats
    audit_positions: Positions
    audit_posterior: Floats
    held_out: Positions

    @property
    def classes(self) -> int:
        """The number of classes K."""
        return int(self.train_targets.shape[1])

    @classmethod
    def read(cls, objects: ObjectStore, job_id: JobId, round_number: int) -> Self:
        """Return a round's consensus; raises ObjectMissing."""
        columns = ["position", "target", "audit_posterior", "audit", "audited", "trainable"]
        with objects.open_input(paths.consensus(job_id, round_number)) as stream:
            table = pq.read_table(stream, columns=columns).sort_by("position")
        positions = table["position"].to_numpy()
        audit = table["audit"].to_numpy()
        train = np.flatnonzero(training_rows(table["trainable"].to_numpy(), audit))
        judged = np.flatnonzero(audit & table["audited"].to_numpy())
        return cls(
            train_positions=positions[train],
            train_targets=matrix_of(table["target"].take(train)),
            audit_positions=positions[judged],
            audit_posterior=matrix_of(table["audit_posterior"].take(judged)),
            held_out=positions[np.flatnonzero(audit)],
        )


def audit_weights(
    objects: ObjectStore, job_id: JobId, positions: Positions
) -> npt.NDArray[np.float64] | None:
    """Return how much likelier than others these items were to be audited, (n,).

    None where no audit plan is stored, as in jobs begun before plans were: all were alike.
    """
    try:
        with objects.open_input(paths.audit_plan(job_id)) as stream:
            table = pq.read_table(stream, columns=["weight"])
    except ObjectMissing:
        return None
    weights: npt.NDArray[np.float64] = table["weight"].to_numpy()[positions]
    return weights

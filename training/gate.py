"""The gate of a job's candidate: the items it is judged on, what the live model said of them, and
the verdict."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cluster.ports import Stores
from training.incumbent import Incumbent, incumbent_on
from training.judging import Drawn
from training.promotion import PromotionDecision, decide
from training.snapshot import Snapshot, read_judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate says of a candidate, beside the model that its job is pre-labelled by."""

    incumbent: Incumbent
    decision: PromotionDecision


def judge_candidate(
    stores: Stores, snapshot: Snapshot, candidate: npt.NDArray[np.floating]
) -> Verdict:
    """Judge a candidate's probabilities (n, K), in the order of `training.snapshot.read_judged`.

    Raises ObjectMissing where the job lacks predictions, TrainingFailed where the snapshot is none.
    """
    judged = read_judged(stores.objects, snapshot)
    classes = len(snapshot.labels)
    incumbent = incumbent_on(stores, snapshot.job_id, judged.positions, classes)
    decision = decide(
        incumbent.probabilities,
        candidate,
        judged.posterior,
        drawn=Drawn.by_sureness(incumbent.sureness, judged.positions, judged.audited),
    )
    return Verdict(incumbent=incumbent, decision=decision)

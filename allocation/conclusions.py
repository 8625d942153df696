"""What a campaign concludes from answers and predictions."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from allocation.quality.votes import Bools, Floats
from cluster.domain.work import AnswerColumns

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a campaign stands after a refit; counts of items unless named otherwise."""

    expected_accuracy: float
    answers: int
    audit_answers: int
    cost: float
    asked: int
    audits_open: int
    workers: int
    paused: int
    temperature: float

    @classmethod
    def counted(
        cls, answers: AnswerColumns, *, expected_accuracy: float, paused: int, temperature: float
    ) -> Self:
        """Return where a fit by these answers stands, which takes a pass over all of them.

        How many audits are open depends on what is wanted by then: that is for the caller to say.
        """
        return cls(
            expected_accuracy=expected_accuracy,
            answers=len(answers),
            audit_answers=int(answers.audit.sum()),
            cost=float(answers.prices.sum()),
            asked=int(np.count_nonzero(np.bincount(answers.positions[~answers.audit]))),
            audits_open=0,
            workers=len(answers.worker_ids),
            paused=paused,
            temperature=temperature,
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Consensus:
    """What the job believes after a round, by position; probabilities of shape (items, K).

    `posterior` is what would be delivered now. `target` holds the base rates and label answers
    alone, what a model learns from where `trainable`; `audit_posterior` holds the base rates and
    audit answers alone, what a model is judged by where `audit` and `audited`.
    """

    posterior: Floats
    target: Floats
    audit_posterior: Floats
    answers: npt.NDArray[np.int32]
    audit: Bools
    audited: Bools
    trainable: Bools


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Delivery:
    """Labels as they are delivered, for given positions; in the order of the positions.

    `revisions` counts how often the item was corrected, this delivery included; `difficulties` are
    codes of `domain.labels.DIFFICULTIES`.
    """

    positions: Positions
    labels: npt.NDArray[np.int64]
    probability: Floats
    answers: npt.NDArray[np.int32]
    audited: Bools
    model_version: int
    revisions: npt.NDArray[np.int32]
    difficulties: npt.NDArray[np.int8]

"""What every answer log checks before it looks at its own state."""

import numpy as np

from cluster.domain.work import AnswerColumns, Partition


def check_within(fence: Partition, answers: AnswerColumns) -> None:
    """Raise ValueError where an answer lies outside the partition that is to vouch for it.

    An epoch protects one partition; an answer to another one would slip past its owner.
    """
    local = answers.positions - fence.first_position
    outside = np.flatnonzero((local < 0) | (local >= fence.items))
    if len(outside):
        raise ValueError(
            f"item {answers.positions[outside[0]]} is not in "
            f"partition {fence.number} of job {fence.job_id}"
        )

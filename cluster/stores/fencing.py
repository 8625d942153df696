"""What every answer log checks before it looks at its own state."""

from collections.abc import Sequence

from cluster.domain.work import Answer, Partition


def check_within(fence: Partition, answers: Sequence[Answer]) -> None:
    """Raise ValueError where an answer lies outside the partition that is to vouch for it.

    An epoch protects one partition; an answer to another one would slip past its owner.
    """
    end = fence.first_position + fence.items
    for answer in answers:
        if answer.job_id != fence.job_id or not fence.first_position <= answer.position < end:
            raise ValueError(
                f"item {answer.position} of job {answer.job_id} is not in "
                f"partition {fence.number} of job {fence.job_id}"
            )

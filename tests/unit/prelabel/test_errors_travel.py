import pickle

import pytest

from cluster.domain.ids import JobId, WorkerId
from cluster.errors import AlreadyAnswered, MusterError, StaleEpoch, Unauthenticated
from cluster.replica_errors import ReplicaLost


@pytest.mark.parametrize(
    "error",
    [
        ReplicaLost("chunk 3"),
        StaleEpoch(JobId("job"), 1, 2),
        AlreadyAnswered(JobId("job"), 7, WorkerId("worker")),
        Unauthenticated(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_in_another_process(error: MusterError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)

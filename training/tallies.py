"""What each job's audit has said of a version live or on trial; it outlives the job."""

import json
from dataclasses import asdict

from cluster import paths
from cluster.domain.ids import JobId, ModelName
from cluster.errors import ObjectMissing
from cluster.ports import ObjectStore
from training.regression import Tally


def keep_tally(
    objects: ObjectStore, name: ModelName, trial: str, job_id: JobId, tally: Tally
) -> None:
    """Store what a job says of a version, in place of what it said before."""
    content = json.dumps(asdict(tally)).encode()
    objects.write(paths.tally(name, trial, job_id), content)


def kept_tallies(objects: ObjectStore, name: ModelName, trial: str) -> dict[str, Tally]:
    """Return what jobs have said, by the path it is stored at; what cannot be read says nothing."""
    found: dict[str, Tally] = {}
    for path in objects.list(paths.tallies(name, trial)):
        try:
            fields = json.loads(objects.read(path))
            found[path] = Tally(**{**fields, "log_wealth": tuple(fields["log_wealth"])})
        except (ObjectMissing, ValueError, KeyError, TypeError):
            continue
    return found

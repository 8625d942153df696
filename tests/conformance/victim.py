"""Writes until it is killed, and says on standard output what was acknowledged.

Run as `python -m tests.conformance.victim DATA_DIR`.
"""

import sys
from itertools import count
from pathlib import Path

from cluster.domain.ids import ShardId
from cluster.domain.work import AnswerColumns
from cluster.settings import Settings
from cluster.stores.opened import open_stores
from tests.conformance import samples

BATCH = 50


def main(data_dir: Path) -> None:
    """Leave an object half written, then append answers without end."""
    stores = open_stores(Settings(data_dir=data_dir))
    fence = stores.partitions.acquire(samples.JOB, 0, ShardId(1))
    stores.objects.write("whole", b"x" * 100_000)
    with stores.objects.open_output("half") as stream:
        stream.write(b"x" * 100_000)
        stream.flush()
        for batch in count():
            given = [samples.answer(BATCH * batch + n) for n in range(BATCH)]
            stores.answers.append(fence, AnswerColumns.of(given))
            sys.stdout.write(f"{batch + 1}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The end of a replica whose process is of no use any more."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.replica_errors import ReplicaBroken

EXIT_STATUS = 70
"""EX_SOFTWARE of sysexits.h."""

_logger = logging.getLogger(__name__)


@contextmanager
def ended_if_broken() -> Iterator[None]:
    """End this process at once where ReplicaBroken is raised: a thread that hangs stops no exit.

    Whoever waits sees a lost replica, as if an item had ended the process by itself.
    """
    try:
        yield
    except ReplicaBroken:
        _logger.exception("this replica is of no use any more, and ends")
        logging.shutdown()
        os._exit(EXIT_STATUS)

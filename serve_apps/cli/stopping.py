"""How a command that serves is asked to end."""

import signal
from threading import Event


class StopRequest:
    """The first SIGINT or SIGTERM as a KeyboardInterrupt in the main thread; more change nothing.

    So whatever is being started is interrupted, and ending is not.
    """

    def __init__(self) -> None:
        self._made = False

    def heed(self) -> None:
        """Take both signals from now on, also from a library that has taken one for itself."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def wait(self) -> None:
        """Wait for the request; returns at once where a library has swallowed the interrupt."""
        if not self._made:
            Event().wait()

    def _take(self, *_: object) -> None:
        first, self._made = not self._made, True
        if first:
            raise KeyboardInterrupt

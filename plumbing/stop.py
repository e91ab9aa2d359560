"""The request to stop: the first signal counts, however many processes and shells send it on.

torchrun passes on what it gets, and so do systemd, SLURM and a terminal, which signal all processes
themselves: one request comes as several signals, a moment apart. So after the first one all others
are ignored, but for a Ctrl-C more than a second later: somebody who will not wait.
"""

import os
import signal
import time
from contextlib import suppress

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ECHO = 1.0  # seconds within which a second Ctrl-C is taken for the first one, passed on


class StopRequest:
    """Listens from its making on. `number`: of the first signal that came, or 0."""

    def __init__(self, speaks):
        """speaks: whether this process says that it has heard."""
        self.number = 0
        self.speaks = speaks
        for number in SIGNALS:
            ignored = signal.getsignal(number) == signal.SIG_IGN
            if not (number == signal.SIGHUP and ignored):  # nohup
                signal.signal(number, self._hear)

    def _hear(self, number, frame):
        if not self.number:
            self.number = number
            self.time = time.monotonic()
            if self.speaks:  # not by print: the signal may have come in the middle of one
                with suppress(OSError):  # the terminal may be gone
                    os.write(2, b"\nfinishing the step, then saving; Ctrl-C again to end at once\n")
        elif number == signal.SIGINT and time.monotonic() - self.time > ECHO:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)

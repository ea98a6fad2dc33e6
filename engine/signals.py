"""Signals: a process stops when it is asked to, at any moment of its life.

Imports next to nothing: it is there before the rest of the engine is imported, which takes most of
a second. In a container the engine is process 1, to which the system hands no signal that it has
no handler for.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
ONE_MOMENT_S = 0.25
KILLED_BY = 128
"""Added to a signal's number: the exit status of a command that it ended."""


def end_early(command: str) -> None:
    """Let a signal end the process before it serves: whatever was begun is ended, then it exits.

    `serve` exits with 0, for nothing was left undone; other commands with what a shell expects. A
    second signal ends the process at once; `timeout` and terminals send two in one moment.
    """
    stopped_at: list[float] = []

    def stop(number: int, _frame: Any) -> None:
        if stopped_at and time.monotonic() - stopped_at[0] > ONE_MOMENT_S:
            os._exit(1)
        if not stopped_at:
            stopped_at.append(time.monotonic())
            sys.exit(0 if command == "serve" else KILLED_BY + number)

    signals = STOP_SIGNALS if command == "serve" else (signal.SIGTERM,)
    for number in signals:
        signal.signal(number, stop)

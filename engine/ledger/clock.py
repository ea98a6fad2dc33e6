"""The clock and the dice of a committer, which are arguments: a simulation has its own.

What is given here are functions, so that asking for the time costs one call, as it does elsewhere.
Pauses are those of the event loop, whose time is `monotonic`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Where times and chance come from."""

    monotonic: Callable[[], float] = time.monotonic
    """Seconds of a clock that never goes back."""
    perf_counter: Callable[[], float] = time.perf_counter
    """Seconds of the clock that stages of a batch are measured by."""
    time_ns: Callable[[], int] = time.time_ns
    """The moment that postings are recorded at, in nanoseconds since 1970; it may go back."""
    uniform: Callable[[float, float], float] = random.uniform
    """A number between two others, drawn anew each time; pauses are spread by it."""


SYSTEM_CLOCK = Clock()

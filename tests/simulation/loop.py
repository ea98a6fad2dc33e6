"""An event loop whose time is virtual: when nothing is ready it jumps to the next timer.

Nothing here waits for the outside world, so what happens depends on the program alone, and minutes
pass in milliseconds. Callbacks run in the order in which they were scheduled.
"""

from __future__ import annotations

import asyncio
from typing import Any

from engine.ledger.clock import Clock

PASSES_MAX = 100_000
"""Turns of the loop without a moment passing, after which it is held to run for ever."""
STARTS_AT_S = 20_800 * 86_400
"""The moment, since 1970, at which simulated clocks start."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets, signals and threads; its time starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._passes = 0
        self._clock_resolution = 1e-6
        self._selector = self  # what the base class waits with
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Let `timeout` seconds pass at once; None is for ever."""
        if timeout is None:
            raise RuntimeError("nothing is scheduled any more, and something is waited for")
        self._passes = 0 if timeout > 0 else self._passes + 1
        if self._passes > PASSES_MAX:
            self._passes = 0
            raise RuntimeError("the loop turns without a moment passing")
        self._now += max(timeout, 0.0)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing comes from outside."""

    def _write_to_self(self) -> None:
        """Nothing has to wake it up."""


def virtual_clock() -> Clock:
    """Return a clock that shows the time of the running loop."""
    loop = asyncio.get_running_loop()
    return Clock(
        monotonic=loop.time,
        perf_counter=loop.time,
        time_ns=lambda: int((STARTS_AT_S + loop.time()) * 1e9),
    )

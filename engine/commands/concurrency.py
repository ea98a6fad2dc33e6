"""Limits of concurrency: of a costly kind of request a few run at once, and some wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter

from engine.errors import Overloaded


class ConcurrencyLimit:
    """How many requests of one kind run at once in a worker, and how many may wait."""

    def __init__(self, at_once_max: int, waiting_max: int) -> None:
        self._places = at_once_max + waiting_max
        self._free = asyncio.Semaphore(at_once_max)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count as one that runs or waits; raises Overloaded where there are too many."""
        if self._places <= 0:
            raise Overloaded
        self._places -= 1
        try:
            yield
        finally:
            self._places += 1

    @asynccontextmanager
    async def run(self, seconds_max: float) -> AsyncIterator[None]:
        """Run as soon as fewer others do; the caller is counted by `place`. Raises Overloaded."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded from None
        try:
            yield
        finally:
            self._free.release()


class TimeSlice:
    """How long work may hold the event loop, before others have their turn."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = perf_counter() + seconds

    async def give_way_when_over(self) -> None:
        """Give way where the slice is over."""
        if perf_counter() > self._ends:
            await self.give_way()

    async def give_way(self) -> None:
        """Let others have the event loop, and begin another slice."""
        await asyncio.sleep(0)
        self._ends = perf_counter() + self._seconds

"""Turns: a costly kind of request is worked on a few at a time; some wait, the rest are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from engine.errors import Overloaded


class Turns:
    """The places and the turns of one kind of request, in one worker."""

    def __init__(self, at_once_max: int, waiting_max: int) -> None:
        self._places = at_once_max + waiting_max
        self._free = asyncio.Semaphore(at_once_max)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places there are for all that is in hand; raises Overloaded."""
        if self._places <= 0:
            raise Overloaded
        self._places -= 1
        try:
            yield
        finally:
            self._places += 1

    @asynccontextmanager
    async def turn(self, seconds_max: float) -> AsyncIterator[None]:
        """Be one of those that are worked on; the caller has a place. Raises Overloaded."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded from None
        try:
            yield
        finally:
            self._free.release()

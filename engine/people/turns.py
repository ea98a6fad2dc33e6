"""Turns to have a password checked: known devices first, strangers by address in turn (USR-8).

A check takes long, so a few run at once and the others wait, in one queue for devices that signed
in before and one for strangers. Each queue has its bound, and devices are served first; where
several run at once, strangers leave one to them. Among strangers each address has its turn after
the others, and where their queue is full a newcomer takes the place of the last one of the address
that has the most: so a flood from one address delays and refuses that address.

    devices    d1 d2 d3              ─┐
    strangers  198.51.100.7: s1 s4 s5 ├─▶ `at_once` checks
               203.0.113.9:  s2      ─┘
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.people.passwords import TooManySignIns

Waiter = asyncio.Future[None]


class Turns:
    """Gives turns to those who sign in at one worker."""

    def __init__(self, at_once: int, waiting_max: int) -> None:
        self._at_once = at_once
        self._strangers_at_once = max(1, at_once - 1)
        self._waiting_max = waiting_max
        self._running = 0
        self._strangers_running = 0
        self._devices: deque[Waiter] = deque()
        self._strangers: OrderedDict[str, deque[Waiter]] = OrderedDict()
        self._strangers_waiting = 0

    @asynccontextmanager
    async def turn(self, address: str | None) -> AsyncIterator[None]:
        """Run when it is the caller's turn; raises TooManySignIns where too many wait.

        `address` is the stranger's; None stands for a known device.
        """
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._enter(waiter, address)
        self._serve()
        try:
            if not waiter.done():
                self._keep_bounds(address)
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._end(address)  # it got its turn, and hung up before it took it
            else:
                self._remove(waiter, address)
            raise
        try:
            yield
        finally:
            self._end(address)

    def _enter(self, waiter: Waiter, address: str | None) -> None:
        if address is None:
            self._devices.append(waiter)
        else:
            self._strangers.setdefault(address, deque()).append(waiter)
            self._strangers_waiting += 1

    def _keep_bounds(self, address: str | None) -> None:
        """Refuse the newcomer, or the last one of the address that has more, if too many wait."""
        if address is None:
            if len(self._devices) > self._waiting_max:
                raise TooManySignIns
        elif self._strangers_waiting > self._waiting_max:
            most = max(self._strangers, key=lambda one: len(self._strangers[one]))
            if len(self._strangers[most]) <= len(self._strangers[address]):
                raise TooManySignIns
            refused = self._strangers[most][-1]
            self._remove(refused, most)
            if not refused.done():
                refused.set_exception(TooManySignIns())

    def _remove(self, waiter: Waiter, address: str | None) -> None:
        """Take one out of its queue, if they are in it."""
        queue = self._devices if address is None else self._strangers.get(address)
        if queue is None or waiter not in queue:
            return
        queue.remove(waiter)
        if address is not None:
            self._strangers_waiting -= 1
            if not queue:
                del self._strangers[address]

    def _serve(self) -> None:
        """Give the turns that are free."""
        while self._running < self._at_once and (waiter := self._next()) is not None:
            waiter.set_result(None)

    def _next(self) -> Waiter | None:
        """Take the next one out of the queues and count them as running, None where nobody may."""
        while self._devices:
            if not (waiter := self._devices.popleft()).done():
                self._running += 1
                return waiter
        while self._strangers and self._strangers_running < self._strangers_at_once:
            address, queue = next(iter(self._strangers.items()))
            self._strangers.move_to_end(address)
            self._remove(waiter := queue[0], address)
            if not waiter.done():
                self._running += 1
                self._strangers_running += 1
                return waiter
        return None

    def _end(self, address: str | None) -> None:
        self._running -= 1
        self._strangers_running -= address is not None
        self._serve()

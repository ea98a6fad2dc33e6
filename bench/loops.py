"""The two ways to offer flows: closed, where each connection waits; open, where nobody does.

In the closed loop the next flow of a connection begins when the last has ended: it finds the peak,
and its latency is another view of its rate. In the open loop flows begin at a constant rate,
whatever became of those before, and a flow's time runs from the moment it should have begun: a
stall is charged to everybody who came during it. Who is told that the server is full comes again
after the pause that it asked for, as often as `tries_max` says; each try is timed by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import Iterable
from time import perf_counter, perf_counter_ns
from typing import Any, Final
from urllib.parse import urlsplit

from bench.connection import Connection, Flow
from bench.tally import SHED, CpuWatch, Tally, latency_ms

DRAIN_SECONDS_MAX: Final = 8.0
LATE_STARTS_IN_A_ROW_MAX: Final = 16
RETRY_AFTER: Final = b"Retry-After: "
RETRY_PAUSE_S: Final = (0.5, 1.5)
"""About the second that is asked for, not for all the same."""


class Loop:
    """What both have in common: connections, answers, and the end."""

    def __init__(self, url: str, allowed: frozenset[bytes]) -> None:
        self._where = urlsplit(url)
        self._allowed = allowed
        self._connections: list[Connection] = []
        self._ending = False
        self.tally = Tally()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> Connection:
        """Open one more connection."""
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self), self._where.hostname or "", self._where.port or 80
        )
        self._connections.append(connection)
        return connection

    def close(self) -> None:
        """Cut all connections."""
        self._ending = True
        for connection in self._connections:
            connection.transport.abort()

    def answered(self, status: bytes, answer: bytes, head: int) -> bool:
        """Count an answer; return whether its flow goes on, which a refusal or a failure ends."""
        tally = self.tally
        tally.statuses[status] += 1
        tally.answer_bytes += len(answer)
        tally.replays += answer.find(b"Idempotent-Replayed", 0, head) >= 0
        if status not in self._allowed:
            self.fail(answer[:500].decode(errors="replace"))
        elif status in SHED and answer.find(RETRY_AFTER, 0, head) < 0:
            self.fail("refused, and not told when to come again")
        return status[:1] == b"2"

    def ended(self, connection: Connection, status: bytes) -> None:
        """Take note that the flow of a connection is over."""
        raise NotImplementedError

    def fail(self, reason: str) -> None:
        """Note what no healthy server does, and end the run."""
        if self._ending:
            return
        self.tally.errors.append(reason)
        if not self.over.done():
            self.over.set_result(None)


class ClosedLoop(Loop):
    """Connections that work through one stream of flows."""

    def __init__(self, url: str, allowed: frozenset[bytes], flows: Iterable[Flow]) -> None:
        super().__init__(url, allowed)
        self._flows = iter(flows)
        self._busy = 0
        self._stopping = False

    async def run(
        self, connections: int, warm: float, seconds: float, watched: list[str]
    ) -> dict[str, Any]:
        """Warm up, then run with the clock on until time or flows run out; return the figures."""
        made = [await self.connect() for _ in range(connections)]
        self._busy = len(made)
        for connection in made:
            self._next(connection)
        await asyncio.wait([self.over], timeout=warm)
        self.tally = Tally(errors=self.tally.errors)
        watch, started = CpuWatch(watched), perf_counter()
        await asyncio.wait([self.over], timeout=seconds)
        elapsed, cpu = perf_counter() - started, watch.seconds()
        tally, self.tally = self.tally, Tally(errors=self.tally.errors)
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over, DRAIN_SECONDS_MAX)
        self.close()
        return tally.figures(elapsed, cpu)

    def ended(self, connection: Connection, status: bytes) -> None:
        """Count a flow, and begin the next."""
        if status not in SHED:
            self.tally.latencies_ns.append(perf_counter_ns() - connection.due)
        self._next(connection)

    def _next(self, connection: Connection) -> None:
        flow = None if self._stopping else next(self._flows, None)
        if flow is not None:
            connection.begin(flow)
            return
        self._busy -= 1
        if self._busy == 0 and not self.over.done():
            self.over.set_result(None)


class OpenLoop(Loop):
    """Flows at a constant rate, on as many connections as it takes and as there may be.

    Where there are no more, a flow waits in the client; its time runs on.
    """

    def __init__(
        self,
        url: str,
        allowed: frozenset[bytes],
        rate: float,
        connections_max: int,
        tries_max: int = 1,
    ) -> None:
        super().__init__(url, allowed)
        self._interval = 1e9 / rate
        self._connections_max = connections_max
        self._tries_max = tries_max
        self._refusals: Counter[Flow] = Counter()
        self._coming_again = 0
        self._free: list[Connection] = []
        self._waiting: deque[tuple[int, Flow]] = deque()
        self._under_way: set[Connection] = set()
        self._window = (0, 0)
        self._good = 0
        self._late_ns: list[int] = []

    async def run(
        self, flows: list[Flow], warm: float, seconds: float, watched: list[str]
    ) -> dict[str, Any]:
        """Begin every flow at its moment; what is due after `warm` seconds counts."""
        started = perf_counter_ns()
        self._window = (started + int(warm * 1e9), started + int((warm + seconds) * 1e9))
        watch = None
        for number, flow in enumerate(flows):
            due = started + int(number * self._interval)
            await self._wait_until(due, number)
            if watch is None and due >= self._window[0]:
                watch = CpuWatch(watched)
            if due >= self._window[1] or self.over.done():
                break
            self._late_ns.append(max(0, perf_counter_ns() - due))
            if not self._free and len(self._connections) < self._connections_max:
                self._free.append(await self.connect())
            self._begin(flow, due)
        cpu = watch.seconds() if watch is not None else {}
        unanswered = await self._drain()
        self.close()
        offered = 1e9 / self._interval
        return self.tally.figures(seconds, cpu) | {
            "offered_per_second": offered,
            "good_per_second": self._good / seconds,
            "unanswered": unanswered,
            "connections": len(self._connections),
            "begun_late_ms": latency_ms(self._late_ns),
        }

    def ended(self, connection: Connection, status: bytes) -> None:
        """Count a flow; its connection takes the one that waits for the longest time."""
        now = perf_counter_ns()
        if connection.due >= self._window[0]:
            tally = self.tally
            times = tally.refusals_ns if status in SHED else tally.latencies_ns
            times.append(now - connection.due)
        if status in SHED:
            self._refused(connection.flow)
        elif self._window[0] <= now < self._window[1]:
            self._good += 1
        if self._waiting:
            due, flow = self._waiting.popleft()
            connection.begin(flow, due)
        else:
            self._under_way.discard(connection)
            self._free.append(connection)

    async def _wait_until(self, due: int, number: int) -> None:
        """Return at `due`; when late, let answers in now and then."""
        early = due - perf_counter_ns()
        if early > 0:
            await asyncio.sleep(early / 1e9)
        elif number % LATE_STARTS_IN_A_ROW_MAX == 0:
            await asyncio.sleep(0)

    def _begin(self, flow: Flow, due: int) -> None:
        if self._free:
            connection = self._free.pop()
            self._under_way.add(connection)
            connection.begin(flow, due)
        else:
            self._waiting.append((due, flow))

    def _refused(self, flow: Flow) -> None:
        """Let a flow that was refused come again, if it may, after a second or so."""
        self._refusals[flow] += 1
        if self._refusals[flow] < self._tries_max:
            self._coming_again += 1
            pause = random.uniform(*RETRY_PAUSE_S)
            asyncio.get_running_loop().call_later(pause, self._again, flow)

    def _again(self, flow: Flow) -> None:
        self._coming_again -= 1
        self._begin(flow, perf_counter_ns())

    async def _drain(self) -> int:
        """Wait for what is under way; what is not answered by then counts with its age."""
        deadline = perf_counter() + DRAIN_SECONDS_MAX
        while self._under_way or self._waiting or self._coming_again:
            if self.over.done() or perf_counter() > deadline:
                break
            await asyncio.sleep(0.01)
        now = perf_counter_ns()
        left = [connection.due for connection in self._under_way]
        left += [due for due, _ in self._waiting]
        self.tally.latencies_ns.extend(now - due for due in left if due >= self._window[0])
        return len(left)

"""Workers of the simulation: each is a committer with a clock of its own, and can be killed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

from engine.ledger.clock import Clock
from engine.ledger.committer import Committer
from engine.ledger.core import Operation
from engine.ledger.seen import Found
from engine.metrics import Metrics
from engine.settings import Settings
from tests.simulation.database import SimulatedDatabase
from tests.simulation.loop import STARTS_AT_S

COLOMBIA = -5 * 3600
DRAIN_S = 20.0
LOCKS_S = 6
TRIES_MIN = 3


class SilentMetrics(Metrics):
    """Metrics without gauges, which all seeds share."""

    def watch(self, gauges: Any) -> None:
        """Keep no reference to a committer that is over."""


class Gone(Exception):
    """The worker died with the request in its hands, or the client has waited long enough."""


def settings_drawn(dice: Random) -> Settings:
    """Return limits that are ordinary or so low that they are met."""
    share = dice.choice((1, 10, 10, 10))
    return Settings(
        lock_timeout_ms=1000 // share,
        statement_timeout_ms=2000 // share,
        append_timeout_ms=4000 // share,
        answer_timeout_ms=6000 // share,
        lanes=dice.choice((1, 1, 2)),
        batch_operations_max=dice.choice((4, 16, 512)),
        queue_operations_max=dice.choice((8, 4096)),
        account_operations_max=dice.choice((3, 64)),
        wallets_cached_max=dice.choice((4, 200_000)),
        tries_max=dice.choice((TRIES_MIN, 5)),
        contended_customers_max=dice.choice((1, 256)),
        contended_s=dice.choice((1, 10)),
    )


class Worker:
    """One process: its committer, its clock, and the requests that it has in its hands."""

    def __init__(
        self, database: SimulatedDatabase, settings: Settings, metrics: Metrics, dice: Random
    ) -> None:
        self._database = database
        self._settings = settings
        self._metrics = metrics
        self._loop = database.loop
        self._requests: dict[asyncio.Task[Any], None] = {}
        self._committer: Committer | None = None
        self.append_timeout_s = settings.append_timeout_ms / 1000
        self.clock_ahead_s = 0.0
        self.decided_at = 0
        """What its clock said when it was asked last, in microseconds."""
        time = self._loop.time
        self._clock = Clock(time, time, self._time_ns, dice.uniform)

    def start(self) -> None:
        """Come up."""
        self._committer = Committer(
            partial(self._database.connect, self),
            self._settings,
            self._metrics,
            coins_utc_offset=COLOMBIA,
            look_up=self._look_up,
            clock=self._clock,
        )
        self._committer.start()

    async def submit(self, operation: Operation, patience_s: float) -> Any:
        """Return or raise what the committer does; raises Gone where no answer comes."""
        return await self._answer_of(lambda one: one.submit(operation), patience_s)

    async def submit_many(self, operations: Sequence[Operation], patience_s: float) -> Any:
        """Do the same for many."""
        return await self._answer_of(lambda one: one.submit_many(operations), patience_s)

    async def kill(self) -> None:
        """Die now: no request is answered, and what was sent is on its way."""
        committer, self._committer = self._committer, None
        for request in list(self._requests):
            request.cancel()
        if committer is not None:
            await committer.close()

    async def stop(self, drain_s: float = DRAIN_S) -> list[str]:
        """Drain and end; return what is not as it has to be then, where the weather is calm."""
        committer = self._committer
        if committer is None:
            return []
        faults: list[str] = []
        if not await committer.drain(drain_s):
            await self.kill()
            return [f"a drain takes longer than {drain_s} s"]
        # Accounts are unlocked once the operations are answered and the locks are given back.
        for _ in range(LOCKS_S):
            if not any(lane.room.locked or lane._unresolved for lane in committer.lanes):
                break
            await asyncio.sleep(1)
        else:
            faults.append("accounts stay locked")
        await self.kill()
        return faults

    def doubt(self) -> None:
        """Learn that the server's configuration was loaded again."""
        for lane in self._committer.lanes if self._committer else ():
            lane.doubted = True

    async def _answer_of(self, ask: Any, patience_s: float) -> Any:
        if self._committer is None:
            raise Gone
        request = asyncio.ensure_future(ask(self._committer))
        self._requests[request] = None
        try:
            await asyncio.wait({request}, timeout=patience_s)
        finally:
            del self._requests[request]
        if not request.done():
            request.cancel()
            raise Gone
        if request.cancelled():
            raise Gone
        return request.result()

    async def _look_up(self, operations: Sequence[Operation]) -> Found:
        journal = await self._database.connect(self)
        try:
            return await journal.find(operations), await journal.find_barred(operations)
        finally:
            journal.terminate()

    def _time_ns(self) -> int:
        now_s = STARTS_AT_S + self._loop.time() + self.clock_ahead_s
        self.decided_at = int(now_s * 1e6)
        return self.decided_at * 1000

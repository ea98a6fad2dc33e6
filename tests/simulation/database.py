"""A simulated database: one state, and connections to it that are slow and break.

The server executes an append at one moment. Whether its client still waits then, and whether the
answer reaches it, is drawn by the dice. What the server says comes back as the errors of asyncpg,
so `engine.ledger.verdicts` classifies them as in production.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import asyncpg

from engine.errors import ReadOnly
from engine.ledger.core import Batch, Ledger, Operation
from engine.ledger.journal import Bar, Journal
from engine.ledger.receipts import Receipt
from engine.ledger.verdicts import Verdict
from tests.copy_format import Posting, decode
from tests.fakes import FakeDatabase, FakeJournal

LATE_S_MAX = 3.0
"""How long an append can be on its way after its client has given it up."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How often what goes wrong, as shares; drawn for each seed, and many of them are 0."""

    trip_s: float = 0.001
    slow: float = 0.0
    read_lost: float = 0.0
    lost_before: float = 0.0
    lost_after: float = 0.0
    late: float = 0.0
    hangs: float = 0.0
    passing: float = 0.0
    lock_lost: float = 0.0

    @staticmethod
    def drawn(dice: Random) -> Weather:
        """Return the weather of a seed: each fault is absent, rare or frequent."""
        shares = {
            name: dice.choice((0.0, 0.0, 0.02, 0.15))
            for name in Weather.__dataclass_fields__
            if name != "trip_s"
        }
        return Weather(trip_s=dice.choice((0.0005, 0.002, 0.02)), **shares)


CALM = Weather()


@dataclass(eq=False, slots=True)
class Flight:
    """An append between its client and the server."""

    journal: SimulatedJournal
    batch: Batch
    rows: list[Posting]
    moment: int
    answer: asyncio.Future[None]
    answered: bool = True
    """Whether the server's answer gets back."""


class SimulatedDatabase(FakeDatabase):
    """A database that lives in the time of the running loop."""

    def __init__(self, customers: Iterable[bytes], dice: Random, weather: Weather) -> None:
        super().__init__(customers)
        self.dice = dice
        self.weather = weather
        self.loop = asyncio.get_running_loop()
        self.journals: dict[SimulatedJournal, None] = {}
        self.flights: dict[Flight, None] = {}
        self.down_until = 0.0
        self.read_only_until = 0.0
        self.lost: set[bytes] = set()
        """The transactions that a failover lost after they were committed."""
        self.moments: dict[bytes, int] = {}
        """What the worker's clock said when a transaction of the journal was decided."""
        self._decided: dict[int, tuple[Batch, list[Posting], int]] = {}
        self._before: list[dict[str, Any]] = []
        """What the tables were before each commit, the latest last."""

    # What happens to it.

    def fail_over(self, *, commits_lost: int = 0) -> None:
        """Go on as another server, without the last commits where it was asynchronous.

        An append that was on its way has just arrived, or never will.
        """
        for flight in list(self.flights):
            if not commits_lost and self.dice.random() < 0.5:
                self._execute(flight)
        self.flights.clear()
        for before in reversed(self._before[-commits_lost:] if commits_lost else []):
            here = {row.transaction_id for row in self.rows}
            vars(self).update(before)
            self.lost |= here - {row.transaction_id for row in self.rows}
            self._before.pop()
        number = int(self.timeline[2:]) + 1
        self.timeline = f"1/{number:08}"
        for journal in list(self.journals):
            journal.break_off()
        self.down_until = self.loop.time() + self.dice.uniform(0, 0.5)

    def cut(self) -> None:
        """Break one of the connections."""
        if self.journals:
            self.dice.choice(list(self.journals)).break_off()

    def trip_s(self) -> float:
        """Return how long a message is on its way."""
        if self.dice.random() < self.weather.slow:
            return self.dice.uniform(0, 60 * self.weather.trip_s)
        return self.dice.uniform(0.5, 1.5) * self.weather.trip_s

    def rows_of(self, transaction_id: bytes) -> list[Posting]:
        """Return the rows of a transaction, leg 0 first."""
        rows = [row for row in self.rows if row.transaction_id == transaction_id]
        return sorted(rows, key=lambda row: row.leg)

    # Connections.

    async def connect(self, worker: Any) -> SimulatedJournal:
        """Open a connection of a worker."""
        await asyncio.sleep(self.trip_s())
        if self.loop.time() < self.down_until:
            raise ConnectionRefusedError
        journal = SimulatedJournal(self, worker)
        await journal.refuse_unsafe()
        return journal

    def decided(self, batch: Batch, worker: Any) -> tuple[list[Posting], int]:
        """Return the rows of a batch, and when it was decided: the worker has just asked."""
        known = self._decided.get(id(batch))
        if known is None:
            known = self._decided[id(batch)] = batch, decode(batch.journal), worker.decided_at
        return known[1:]

    # The server's side of an append.

    def arrive(self, flight: Flight) -> None:
        """Execute an append, and send the answer back, unless this server is none any more."""
        if flight not in self.flights:
            return
        del self.flights[flight]
        error = self._execute(flight)
        if flight.answered:
            self.loop.call_later(self.trip_s(), settle, flight.answer, error)

    def _execute(self, flight: Flight) -> Exception | None:
        if self.loop.time() < self.read_only_until:
            return self.dice.choice((asyncpg.ReadOnlySQLTransactionError, asyncpg.DiskFullError))(
                "no writes"
            )
        if self.dice.random() < self.weather.passing:
            return self.dice.choice((asyncpg.DeadlockDetectedError, asyncpg.QueryCanceledError))(
                "passes"
            )
        rows = flight.rows
        if any(row.transaction_id in self.bad for row in rows):
            return asyncpg.DataError("bad")
        conflict = self.conflict(flight.batch, rows)
        if conflict is not None:
            stale, error = conflict is Verdict.STALE, asyncpg.UniqueViolationError("duplicate")
            error.constraint_name = "journal_pkey" if stale else "journal_transaction_key"
            return error
        tables = ("rows", "claims", "payments", "taken", "once", "allotments")
        self._before.append({table: getattr(self, table) for table in tables})
        self.commit(flight.batch, rows)
        self.moments |= dict.fromkeys([row.transaction_id for row in rows], flight.moment)
        return None


class SimulatedJournal(FakeJournal):
    """A connection of a worker; every message may be the last that gets through."""

    def __init__(self, database: SimulatedDatabase, worker: Any) -> None:
        super().__init__(database)
        self._simulated = database
        self._worker = worker
        self._answer: asyncio.Future[None] | None = None
        database.journals[self] = None

    _judge = Journal._judge

    def terminate(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._simulated.journals.pop(self, None)
            # The server notices some time later that the connection is closed.
            late_s = self._simulated.dice.uniform(0, 0.2)
            self._simulated.loop.call_later(late_s, self._unlock)

    def break_off(self) -> None:
        """Be gone for the client too."""
        self.terminate()
        if self._answer is not None:
            # It says nothing of the append whether the server has time for a last word.
            last_word = self._simulated.dice.choice((OSError, asyncpg.AdminShutdownError))
            settle(self._answer, last_word("gone"))

    async def refuse_unsafe(self) -> None:
        await self._trip(self._simulated.weather.read_lost)
        if self._simulated.loop.time() < self._simulated.read_only_until:
            raise ReadOnly

    async def lock(self, customer_ids: Iterable[bytes]) -> set[bytes]:
        await self._trip(self._simulated.weather.lock_lost)
        return await super().lock(sorted(customer_ids))

    async def unlock(self) -> None:
        await self._trip(self._simulated.weather.lock_lost)
        await super().unlock()

    async def load(self, ledger: Ledger, customer_ids: Iterable[bytes]) -> set[bytes]:
        await self._trip(self._simulated.weather.read_lost)
        broken = await super().load(ledger, customer_ids)
        await self._trip(self._simulated.weather.read_lost)
        return broken

    async def find(self, operations: Sequence[Operation]) -> dict[bytes, Receipt]:
        await self._trip(self._simulated.weather.read_lost)
        return await super().find(operations)

    async def find_barred(self, operations: Sequence[Operation]) -> dict[bytes, Bar]:
        await self._trip(self._simulated.weather.read_lost)
        return await super().find_barred(operations)

    async def find_taken(self, operations: Sequence[Operation]) -> set[bytes]:
        await self._trip(self._simulated.weather.read_lost)
        return await super().find_taken(operations)

    async def append(self, batch: Batch) -> Verdict:
        database = self._simulated
        rows, moment = database.decided(batch, self._worker)
        if self.is_closed:
            return self._judge(asyncpg.InterfaceError("closed"))
        self._answer = database.loop.create_future()
        self._take_off(Flight(self, batch, rows, moment, self._answer))
        try:
            async with asyncio.timeout(self._worker.append_timeout_s):
                await self._answer
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            return self._judge(error)
        return Verdict.DURABLE

    def _take_off(self, flight: Flight) -> None:
        """Send an append on its way, and draw what becomes of it and of its answer."""
        database, weather = self._simulated, self._simulated.weather
        later, there_s = database.loop.call_later, database.trip_s()
        drawn = database.dice.random()
        for share, arrives, breaks_s in (
            (weather.lost_before, None, there_s),
            (weather.lost_after, there_s, 2 * there_s),
            (weather.late, database.dice.uniform(0, LATE_S_MAX), there_s),
            (weather.hangs, there_s, None),
        ):
            drawn -= share
            if drawn < 0:
                flight.answered = False
                if breaks_s is not None:
                    later(breaks_s, self.break_off)
                there_s = arrives
                break
        if there_s is not None:
            database.flights[flight] = None
            later(there_s, database.arrive, flight)

    async def _trip(self, lost: float) -> None:
        """Travel to the server and back, unless the connection breaks."""
        await asyncio.sleep(self._simulated.trip_s())
        if self._simulated.dice.random() < lost:
            self.break_off()
        if self.is_closed:
            raise ConnectionResetError


def settle(answer: asyncio.Future[None], error: Exception | None) -> None:
    """Give an append its answer, where its client still waits for one."""
    if answer.done():
        return
    if error is None:
        answer.set_result(None)
    else:
        answer.set_exception(error)

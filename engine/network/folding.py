"""Folding: rows of the journal become sums by day, in the background, and none is passed over.

A row knows the transaction that wrote it. `fold.xid` is how far the sums reach: they have the rows
of every transaction below it, and no other. A step takes transactions from there on, but never one
that has not ended, nor one after it: a slow transaction holds the sums back until its rows are
there, or never will be. What a step adds and how far the sums reach then is one transaction, so a
step that is killed was none. Every worker folds; the lock on the row of `fold` gives one of them
its turn, and the others go on without it.

A failover or a restore to a point in time carries on with the server's count of transactions. A
restore of a dump into another server does not: then the numbers in the journal say nothing here,
`adopt` writes others, and the sums begin anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from time import perf_counter
from typing import Any, Final

import structlog

from engine.errors import EngineError
from engine.metrics import Metrics
from engine.postgres.connections import Connection, PostgresError
from engine.postgres.sql import queries

log = structlog.get_logger()
SQL = queries("sums")

SUMS: Final = ("fold_accounts", "fold_lots", "fold_coins")
TRANSACTIONS_MAX: Final = 10_000
"""How many numbers of transactions a step looks through."""
SUMMARISE_LOCK_MS: Final = 100
"""Less than the server's deadlock_timeout, after which a vacuum that is in the way is ended."""
TRIED_AGAIN_AFTER_S: Final = 1.0
ADOPT_SECONDS_MAX: Final = 24 * 3600.0


class SumsOfAnotherServer(EngineError):
    """The sums and the journal were restored from another server: start the engine once more, and
    it makes them its own."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step can fold: the rows of the transactions from `first` to before `end`.

    `hours` are those in which they were recorded, with the first and the last transaction of each.
    `waiting` are the rows that were not folded before it, as far as it looked, and `oldest` is when
    the first of them was recorded.
    """

    first: int
    end: int
    rows: int = 0
    hours: dict[datetime, tuple[int, int]] = field(default_factory=dict)
    waiting: int = 0
    oldest: datetime | None = None


class Folder:
    """Folds steps of at most `rows_max` rows, or one transaction of more, on its own connection."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        metrics: Metrics,
        *,
        interval_ms: int,
        rows_max: int,
    ) -> None:
        self._connect = connect
        self._metrics = metrics
        self._interval_s = interval_ms / 1000
        self._rows_max = rows_max
        self._pages = 0

    async def run(self) -> None:
        """Fold for ever, a step at each interval; while rows wait, for half of the time."""
        while True:
            connection = None
            try:
                connection = await self._connect()
                while True:
                    started = perf_counter()
                    rows = await self.step(connection)
                    busy = rows >= self._rows_max // 2
                    await asyncio.sleep(perf_counter() - started if busy else self._interval_s)
            except Exception as error:  # noqa: BLE001 - it goes on from where it was
                self._metrics.fold_failures.inc()
                log.warning("folding_failed", error=type(error).__name__, detail=str(error))
                await asyncio.sleep(max(self._interval_s, TRIED_AGAIN_AFTER_S))
            finally:
                if connection is not None:
                    connection.terminate()

    async def step(self, connection: Connection) -> int:
        """Fold one step, unless somebody else does; return how many rows it had.

        Raises SumsOfAnotherServer, and what PostgreSQL says.
        """
        step = await self._next(connection)
        lag_s = 0.0
        if step.oldest is not None:
            lag_s = max(0.0, (datetime.now(UTC) - step.oldest).total_seconds())
        self._metrics.fold_waiting.set(step.waiting)
        self._metrics.fold_lag.set(lag_s)
        if step.first == step.end or not await self._fold(connection, step):
            return 0
        self._metrics.fold_steps.inc()
        self._metrics.fold_rows.inc(step.rows)
        await self._summarise(connection)
        return step.rows

    async def _next(self, connection: Connection) -> Step:
        reach = await connection.fetchrow(SQL["reach"])  # network op
        assert reach is not None
        if not reach["at_home"]:
            raise SumsOfAnotherServer
        first, ended = reach["xid"], reach["ended"]
        self._pages = max(self._pages, reach["pages"])
        rows = await connection.fetch(  # network op
            SQL["waiting"], first, first + TRANSACTIONS_MAX
        )
        if not rows and first + TRANSACTIONS_MAX < ended:
            # Others have used the numbers. What comes next may be far.
            following = await connection.fetchval(SQL["next"], first, ended)  # network op
            return Step(first, ended if following is None else following)
        return _step_of(first, min(ended, first + TRANSACTIONS_MAX), rows, self._rows_max)

    async def _fold(self, connection: Connection, step: Step) -> bool:
        """Add the rows to the sums; return whether it was this one's turn."""
        async with connection.transaction():  # network op
            if not await connection.fetchval(SQL["take"], step.first):  # network op
                return False
            if step.rows:
                for name in SUMS:
                    await connection.execute(SQL[name], step.first, step.end)  # network op
                first_last = zip(*step.hours.values(), strict=True)
                await connection.execute(  # network op
                    SQL["fold_hours"], list(step.hours), *map(list, first_last)
                )
            await connection.execute(SQL["move_on"], step.end, self._pages)  # network op
        return True

    async def _summarise(self, connection: Connection) -> None:
        """Let the index know the pages that are full; a vacuum may be in the way, which does it."""
        with suppress(PostgresError):
            async with connection.transaction():  # network op
                await connection.execute(  # network op
                    f"set local lock_timeout = {SUMMARISE_LOCK_MS}"
                )
                row = await connection.fetchrow(SQL["summarise"], self._pages)  # network op
                assert row is not None
                self._pages = max(self._pages, row["pages"])


def _step_of(first: int, end: int, rows: list[Any], rows_max: int) -> Step:
    """Return the step from `first` to `end`, cut before it has more than `rows_max` rows.

    A transaction is not taken apart. Where there is nothing to fold, the sums stay where they are.
    """
    waiting = sum(row["rows"] for row in rows)
    oldest = min((row["recorded_at"] for row in rows), default=None)
    taken, hours = 0, dict[datetime, tuple[int, int]]()
    for xid, group in groupby(rows, itemgetter("xid")):
        of_transaction = list(group)
        count = sum(row["rows"] for row in of_transaction)
        if xid < end and taken and taken + count > rows_max:
            end = xid
        if xid >= end:
            break
        taken += count
        for row in of_transaction:
            hours[row["hour"]] = hours.get(row["hour"], (xid, xid))[0], xid
    return Step(first, end if taken else first, taken, hours, waiting, oldest)


async def adopt(connection: Connection) -> bool:
    """Make a journal that was restored from another server this one's; return whether it was one.

    Where this server has yet to count to the transactions that stand in the journal, all rows get
    others and the sums begin anew; nobody appends meanwhile.
    """
    found = await connection.fetchrow(SQL["strangers"])  # network op
    if found is None or not found["moved"]:
        return False
    async with connection.transaction():  # network op
        if found["ahead"]:
            await connection.execute("set local statement_timeout = 0")  # network op
            for name in ("lock_journal", "stamp", "forget", "begin_anew"):
                await connection.execute(SQL[name], timeout=ADOPT_SECONDS_MAX)  # network op
        await connection.execute(SQL["settle_here"])  # network op
    log.warning("sums_adopted", anew=found["ahead"])
    return True

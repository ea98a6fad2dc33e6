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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final

import structlog

from engine.errors import EngineError
from engine.metrics import Metrics
from engine.postgres.connections import Connection
from engine.postgres.sql import queries

log = structlog.get_logger()
SQL = queries("sums")

SUMS: Final = ("fold_accounts", "fold_lots", "fold_coins")
NO_END: Final = 2**63 - 1
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
        if step.rows == 0 or not await self._fold(connection, step):
            return 0
        self._metrics.fold_steps.inc()
        self._metrics.fold_rows.inc(step.rows)
        return step.rows

    async def _next(self, connection: Connection) -> Step:
        reach = await connection.fetchrow(SQL["reach"])  # network op
        assert reach is not None
        if not reach["at_home"]:
            raise SumsOfAnotherServer
        first, ended = reach["xid"], reach["ended"]
        rows = await connection.fetch(  # network op
            SQL["waiting"], first, NO_END, self._rows_max + 1
        )
        if not rows:
            return Step(first, first)
        waiting = sum(row["rows"] for row in rows)
        oldest = min(row["recorded_at"] for row in rows)
        last = rows[-1]["xid"]
        if waiting > self._rows_max and last == rows[0]["xid"]:
            # One transaction of more rows than a step has: it is not taken apart.
            ended = min(ended, last + 1)
            rows = await connection.fetch(SQL["waiting"], first, ended, None)  # network op
        elif waiting > self._rows_max:
            ended = min(ended, last)  # of which there may be more rows
        return _step_of(first, ended, [row for row in rows if row["xid"] < ended], waiting, oldest)

    async def _fold(self, connection: Connection, step: Step) -> bool:
        """Add the rows to the sums; return whether it was this one's turn."""
        async with connection.transaction():  # network op
            if not await connection.fetchval(SQL["take"], step.first):  # network op
                return False
            for name in SUMS:
                await connection.execute(SQL[name], step.first, step.end)  # network op
            first_last = zip(*step.hours.values(), strict=True)
            await connection.execute(  # network op
                SQL["fold_hours"], list(step.hours), *map(list, first_last)
            )
            await connection.execute(SQL["move_on"], step.end)  # network op
        return True


def _step_of(first: int, end: int, rows: list[Any], waiting: int, oldest: datetime) -> Step:
    """Return the step of these rows; where there are none, the sums stay where they are."""
    hours = dict[datetime, tuple[int, int]]()
    for row in rows:
        hours[row["hour"]] = hours.get(row["hour"], (row["xid"], 0))[0], row["xid"]
    taken = sum(row["rows"] for row in rows)
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

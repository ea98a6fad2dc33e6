"""The sweep: what is due in wallets that nobody uses is written down in the background.

Available balances are correct without it (PTS-5): every reader of a wallet counts what
is due, and the next posting writes it down. The sweep does so where no posting comes: lots past
their last day become breakage in the books of their brand (COI-4), and holds whose time is up give
their coins and the unit of their item back.

Lots are found by a walk over all wallets in the order of their key, a page at each tick, so that it
stays unnoticed beside the sales; where it is stands in a table, and another worker goes on from
there. Holds cannot wait for that: those of the last minutes are looked for at each tick by the time
they were placed. What is found goes through the lanes as any other operation does, and is decided
there; so whatever this reads may be old, and two sweeps at once do no harm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from uuid_utils import uuid7

from engine.codes import COINS
from engine.errors import EngineError, Overloaded, Quarantined
from engine.ledger.committer import Committer
from engine.ledger.operations import expiry
from engine.metrics import Metrics
from engine.postgres.connections import Pool
from engine.postgres.sql import queries
from engine.programme.calendar import local_day
from engine.settings import Settings

log = structlog.get_logger()

SQL = queries("sweep")
BEFORE_ALL = UUID(int=0), -1
LEASE_TICKS = 10
"""Ticks without a step after which a worker has left the sweep to others."""
HOLDS_LOOKED_BACK = timedelta(days=1)
"""How old a hold may be that a worker finds when it begins to sweep; older ones the walk finds."""
HOLDS_SHOWN_AFTER = timedelta(minutes=1)
"""A slow transaction may show its hold so late, after faster ones that began after it."""
HOLDS_PAGE = 500
HOLDS_PAGES_MAX = 10
"""Of one tick: what a day has left behind is caught up with in several."""


class Sweeper:
    """Walks over the wallets, and lets the ledger write down what is due in them."""

    def __init__(
        self,
        pool: Pool,
        committer: Committer,
        utc_offset: Callable[[int], int],
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        """`utc_offset` gives the seconds east of UTC of an asset's country."""
        self._pool = pool
        self._committer = committer
        self._utc_offset = utc_offset
        self._settings = settings
        self._metrics = metrics
        self._worker = str(uuid7())
        self._holds_until = datetime.now(UTC) - HOLDS_LOOKED_BACK

    async def run(self) -> None:
        """Sweep for ever, as long as no other worker does."""
        tick_s = self._settings.sweep_tick_ms / 1000
        while True:
            await asyncio.sleep(tick_s)
            try:
                leased = await self._pool.fetchval(  # network op
                    SQL["lease"], self._worker, LEASE_TICKS * tick_s
                )
                if leased:
                    await self.release_holds()
                    await self.begin(self._settings.sweep_round_s)
                    await self.step()
            except Overloaded:
                log.info("sweep_put_off")  # the lanes are full, or closing: others come first
            except Exception as error:  # noqa: BLE001 - it goes on from where it was
                log.warning("sweep_failed", error=type(error).__name__)

    async def begin(self, pause_s: float = 0.0) -> None:
        """Begin a round, unless one is under way or the last one began less than `pause_s` ago."""
        await self._pool.fetchval(SQL["begin"], pause_s)  # network op

    async def step(self) -> int:
        """Sweep the next page of the round; return how many wallets it had, 0 at the end.

        Raises the error of an operation that was not done; the page is swept again then.
        """
        state = await self._pool.fetchrow(SQL["state"])  # network op
        assert state is not None
        if state["ended_at"] is not None or state["began_at"] is None:
            return 0
        place = state["customer_id"], state["asset"]
        page = await self._pool.fetch(  # network op
            *(SQL["page"], *(BEFORE_ALL if place[0] is None else place)),
            self._settings.sweep_wallets_max,
        )
        now_s = time.time()
        await self._write_down(
            (row["customer_id"], row["asset"])
            for row in page
            if row["has_holds"]
            or 0 < (row["first_day"] or 0) < local_day(now_s, self._utc_offset(row["asset"]))
        )
        ended = len(page) < self._settings.sweep_wallets_max
        last = (page[-1]["customer_id"], page[-1]["asset"]) if page else place
        await self._pool.fetchval(SQL["move"], *place, *last, ended)  # network op
        self._metrics.swept_wallets.inc(len(page))
        if ended:
            self._metrics.last_sweep.set(time.time())
            log.info("sweep_ended", began_at=state["began_at"].isoformat())
        return len(page)

    async def release_holds(self) -> int:
        """Let holds go whose time is up; return how many customers had such.

        Holds are looked at once they are as old as a code lives, and then not again, unless that is
        so soon that some may not be shown yet.
        """
        lifetime = timedelta(seconds=self._settings.code_lifetime_s)
        until = datetime.now(UTC) - lifetime
        released = 0
        for _ in range(HOLDS_PAGES_MAX):
            page = await self._pool.fetch(  # network op
                SQL["holds"], self._holds_until, until, HOLDS_PAGE
            )
            due = {(row["customer_id"], COINS) for row in page if row["is_open"]}
            await self._write_down(due)
            released += len(due)
            if len(page) < HOLDS_PAGE:
                self._holds_until = until - max(timedelta(), HOLDS_SHOWN_AFTER - lifetime)
                break
            self._holds_until = page[-1]["recorded_at"]
        return released

    async def count(self) -> int:
        """Return about how many wallets there are."""
        return int(await self._pool.fetchval(SQL["wallets"]))  # network op

    async def _write_down(self, due: Iterable[tuple[UUID, int]]) -> None:
        """Let the ledger write down what is due in these wallets; raises EngineError.

        A wallet that contradicts itself is left out; the sweep goes on with the others.
        """
        operations = [
            expiry(
                customer_id=customer_id.bytes,
                transaction_id=uuid7().bytes,
                asset=asset,
                utc_offset=self._utc_offset(asset),
                occurred_at=time.time_ns() // 1000,
            )
            for customer_id, asset in due
        ]
        failures = []
        for result in await self._committer.submit_many(operations):
            if not isinstance(result, EngineError):
                self._metrics.swept_due.inc()
                self._metrics.breakage_postings.inc(result[0].amount < 0)
            elif not isinstance(result, Quarantined):  # which the lane has logged
                failures.append(result)
        if failures:
            raise failures[0]

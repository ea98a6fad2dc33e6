"""Wrong codes, capped per cashier, store and brand: what a payment's own tries cannot see (COI-6).

Whoever may start payments could start one for each of many customers, and guess three times at each
of them. So wrong codes are also counted by where they are typed. Each is a row that is inserted in
the transaction of its posting, so none is missed, and no row is waited for. Where a cap is reached
in the window, no payment by code begins there and none is confirmed, until the first of them is out
of the window; payments by QR go on. A cashier alone reaches their own cap long before the store's,
and a store its own before the brand's, so that nobody shuts the others out.

A code counts once it is committed. Those that are being judged count as well, as if they were
wrong, so that a worker evaluates no more of parallel guesses than of one after the other: who finds
no room beside them waits a moment for what becomes of them. Workers do not see what the others
judge at the moment, so N of them let less than N times the cap through, and that once: what is
committed they all see.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from time import monotonic

import structlog

from engine.errors import EngineError, Overloaded
from engine.metrics import Metrics
from engine.postgres.connections import OUT_OF_REACH, Pool
from engine.postgres.sql import queries
from engine.settings import Settings

log = structlog.get_logger()

SQL = queries("codes")
PLACES = ("cashier", "store", "brand")
LOOK_AGAIN_S = 0.03
FULL_REMEMBERED_MAX = 10_000

Place = tuple[str, int]
"""One of PLACES, and its id."""


@dataclass(frozen=True, slots=True)
class Till:
    """Where a code is typed, and by whom; `cashier_id` is 0 where that is a key."""

    brand_id: int
    store_id: int
    cashier_id: int

    @property
    def places(self) -> tuple[Place, ...]:
        """What wrong codes are counted by, in the order of PLACES."""
        return tuple(zip(PLACES, (self.cashier_id, self.store_id, self.brand_id), strict=True))


class TooManyFailedCodes(EngineError):
    """Too many wrong codes were typed here; the QR of the customer's app pays without one."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"{self.__doc__} Codes are taken again in {seconds} s.")
        self.seconds = seconds


class FailedCodes:
    """Says where no more codes are taken."""

    def __init__(self, pool: Pool, settings: Settings, metrics: Metrics) -> None:
        self._pool = pool
        self._refused = metrics.failed_codes_refused
        self._window_s = settings.failed_codes_window_s
        self._wait_s = settings.answer_timeout_ms / 1000
        self._caps = (
            settings.failed_codes_of_cashier_max,
            settings.failed_codes_of_store_max,
            settings.failed_codes_of_brand_max,
        )
        self._judged: Counter[Place] = Counter()
        self._full_until: dict[Place, float] = {}

    async def check(self, till: Till) -> None:
        """Raise TooManyFailedCodes where a cap is reached at a till."""
        self._refuse_full(till)
        await self._failed(till)

    @asynccontextmanager
    async def judging(self, till: Till) -> AsyncIterator[None]:
        """Count a code as wrong while it is judged; raises TooManyFailedCodes, Overloaded.

        Whoever leaves this has the posting of a wrong code committed.
        """
        deadline = monotonic() + self._wait_s
        while not await self._enter(till):
            if monotonic() > deadline:
                raise Overloaded
            await asyncio.sleep(random.uniform(LOOK_AGAIN_S / 2, LOOK_AGAIN_S))  # noqa: S311
        try:
            yield
        finally:
            self._judged.subtract(till.places)

    async def forget_old(self, till: Till) -> None:
        """Forget a brand's wrong codes that are out of the window; to be called after a new one."""
        try:
            await self._pool.fetch(  # network op
                SQL["forget_failed"], till.brand_id, self._window_s
            )
        except OUT_OF_REACH as error:
            log.warning("failed_codes_not_forgotten", error=type(error).__name__)

    async def _enter(self, till: Till) -> bool:
        """Take a place among those that are judged; return whether there is room for one more.

        The place is taken before the committed ones are counted: so of two that come together one
        at least sees the other, and none is in neither number.
        """
        self._refuse_full(till)
        judged = [self._judged[place] if place[1] else 0 for place in till.places]
        if any(number >= cap for number, cap in zip(judged, self._caps, strict=True)):
            return False
        self._judged.update(till.places)
        room = False
        try:
            failed = await self._failed(till)
            sums = [before + number for before, number in zip(judged, failed, strict=True)]
            room = all(number < cap for number, cap in zip(sums, self._caps, strict=True))
        finally:
            if not room:
                self._judged.subtract(till.places)
        return room

    async def _failed(self, till: Till) -> list[int]:
        """Return how many wrong codes are committed at each place; raises TooManyFailedCodes."""
        ids = (till.brand_id, till.store_id, till.cashier_id)
        row = await self._pool.fetchrow(  # network op
            SQL["failed"], *ids, self._window_s, *self._caps
        )
        assert row is not None
        failed = [row[name] for name in PLACES]
        for place, number, cap in zip(till.places, failed, self._caps, strict=True):
            if number >= cap:
                await self._remember_full(till, place, cap)
                self._refuse_full(till)
        return failed

    async def _remember_full(self, till: Till, place: Place, cap: int) -> None:
        """Remember until when a place is full: rows stay for the window, so that is certain."""
        store_id = till.store_id if place[0] == "store" else 0
        cashier_id = till.cashier_id if place[0] == "cashier" else 0
        seconds = await self._pool.fetchval(  # network op
            SQL["full_for"], till.brand_id, store_id, cashier_id, self._window_s, cap
        )
        if len(self._full_until) >= FULL_REMEMBERED_MAX:
            self._full_until.clear()
        self._full_until[place] = monotonic() + max(1, seconds or 1)
        log.warning(
            "too_many_failed_codes",
            place=place[0],
            brand_id=till.brand_id,
            store_id=till.store_id,
            cashier_id=till.cashier_id,
            seconds=seconds,
        )

    def _refuse_full(self, till: Till) -> None:
        now = monotonic()
        for place in till.places:
            seconds = self._full_until.get(place, now) - now
            if seconds > 0:
                self._refused.labels(place[0]).inc()
                raise TooManyFailedCodes(ceil(seconds))
            self._full_until.pop(place, None)

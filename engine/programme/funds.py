"""Funds of prepaid issuers: what a brand has paid for is issued, and not a coin more (COI-2).

Sales do not touch the fund. A lane takes an allotment out of it now and then, which is a row of its
own, and the transaction that appends what issues the coins draws them from that row, whose check
enforces it. So what is reserved here, in memory, is a proposal: where the allotment was closed
meanwhile, nothing is done and the caller reserves again.

An allotment is a share of what is left, so that the last coins are spread thin, or what is waited
for at the moment. Where the fund has not enough, the allotments of all lanes and workers, also of
those that died, are closed and what was not drawn comes back. One that was given coins a moment ago
is left alone for that long, for its lane is about to issue them; else two lanes could take the last
coins from each other for ever.

Nobody is told that there are none before the fund and all allotments together have not so many. As
coins are only drawn, that stays true until a deposit, which changes the brand in the catalogue, or
a reversal; so it is remembered for a moment, and sales at a brand that has used up its fund do not
queue for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

import structlog
from uuid_utils import uuid7

from engine.errors import FundBusy, Unavailable
from engine.postgres.connections import OUT_OF_REACH, Pool, PooledConnection
from engine.postgres.sql import queries
from engine.programme.brands import Brand
from engine.settings import Settings

log = structlog.get_logger()

SQL = queries("funds")

BUSY_S = 0.03
"""How long nobody asks again for coins that others have and may be about to issue."""

ALLOTMENTS_OF_REST = 16
"""An allotment is one of so many equal parts of what is left, or what is wanted at the moment."""


@dataclass(slots=True)
class Allotment:
    """Coins that one lane may issue; `left` are those that nobody has reserved."""

    allotment_id: bytes
    left: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """The coins left in all when the brand had deposited so many; for a while that is believed."""

    left: int
    deposited: int
    believed_until: float


class Funds:
    """The allotments of one worker's lanes, and the funds that have run short."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._coins_max = settings.allotment_coins_max
        self._lease_s = settings.allotment_lease_ms / 1000
        self._remembered_s = settings.fund_remembered_ms / 1000
        self._allotments: dict[tuple[int, int], Allotment] = {}
        self._shortages: dict[int, Shortage] = {}
        self._busy: dict[int, tuple[int, float]] = {}
        self._wanted: Counter[tuple[int, int]] = Counter()
        self._turns: dict[int, asyncio.Lock] = {}

    async def reserve(self, brand: Brand, lane: int, coins: int) -> Allotment | None:
        """Reserve coins of an allotment of `lane`; None where the brand has fewer left.

        Raises FundBusy where others have them and may be about to issue them, and Unavailable.
        """
        place = brand.brand_id, lane
        if allotment := self._reserved(place, coins):
            return allotment
        if self._is_short(brand, coins):
            return None
        self._wanted[place] += coins
        try:
            async with self._turns.setdefault(brand.brand_id, asyncio.Lock()):
                # Whoever had the turn before may have found enough for all, or that there is none.
                if allotment := self._reserved(place, coins):
                    return allotment
                if self._is_short(brand, coins):
                    return None
                await self._renew(brand, place, coins)
                return self._reserved(place, coins)
        finally:
            self._wanted[place] -= coins

    def give_back(self, allotment: Allotment, coins: int) -> None:
        """Let others reserve what was reserved and not issued."""
        allotment.left += coins

    def forget(self, allotment_ids: Collection[bytes]) -> None:
        """Reserve nothing more of allotments that are closed."""
        self._allotments = {
            place: allotment
            for place, allotment in self._allotments.items()
            if allotment.allotment_id not in allotment_ids
        }

    def _reserved(self, place: tuple[int, int], coins: int) -> Allotment | None:
        allotment = self._allotments.get(place)
        if allotment is None or allotment.left < coins:
            return None
        allotment.left -= coins
        return allotment

    def _is_short(self, brand: Brand, coins: int) -> bool:
        known = self._shortages.get(brand.brand_id)
        return (
            known is not None
            and coins > known.left
            and brand.deposited == known.deposited
            and monotonic() < known.believed_until
        )

    async def _renew(self, brand: Brand, place: tuple[int, int], coins: int) -> None:
        """Give the allotment of a lane coins, `coins` at least; or remember that there are none.

        Raises FundBusy and Unavailable.
        """
        wanted, busy_until = self._busy.get(brand.brand_id, (0, 0.0))
        if coins >= wanted and monotonic() < busy_until:
            raise FundBusy
        try:
            await self._ask(brand, place, coins)
        except OUT_OF_REACH:
            raise Unavailable from None

    async def _ask(self, brand: Brand, place: tuple[int, int], coins: int) -> None:
        """Ask the fund, and take back what others do not issue where it has not enough.

        Raises FundBusy, and what a database out of reach raises.
        """
        began = monotonic()
        taken_back: list[bytes] = []
        given, elsewhere, allotment_id = 0, 0, None
        async with (
            self._pool.acquire() as connection,
            connection.transaction(),  # network op
        ):
            left: int = await connection.fetchval(SQL["lock"], brand.brand_id) or 0  # network op
            if left < coins:
                rows = await connection.fetch(  # network op
                    SQL["take_back"], brand.brand_id, self._lease_s
                )
                taken_back = [row["allotment_id"].bytes for row in rows]
                left += sum(row["coins"] for row in rows)
            if left < coins:
                elsewhere = await connection.fetchval(  # network op
                    SQL["elsewhere"], brand.brand_id
                )
            else:
                share = min(left // ALLOTMENTS_OF_REST, self._coins_max)
                given = min(left, max(self._wanted[place], share))
                allotment_id = await self._allot(connection, place, given)
            await connection.execute(SQL["leave"], brand.brand_id, left - given)  # network op
        self.forget(taken_back)
        if allotment_id is not None:
            self._add(place, allotment_id, given)
        elif left + elsewhere >= coins:
            self._busy[brand.brand_id] = coins, monotonic() + BUSY_S
            raise FundBusy
        else:
            self._shortages[brand.brand_id] = Shortage(
                left + elsewhere, brand.deposited, began + self._remembered_s
            )
            log.warning("fund_short", brand_id=brand.brand_id, wanted=coins, left=left + elsewhere)

    async def _allot(
        self, connection: PooledConnection, place: tuple[int, int], coins: int
    ) -> bytes:
        """Give coins to the allotment of a lane, or to a new one; return which it is."""
        own = self._allotments.get(place)
        if own is not None:
            added = await connection.fetchval(  # network op
                SQL["allot"], UUID(bytes=own.allotment_id), place[0], coins
            )
            if added is not None:
                return own.allotment_id
        opened = uuid7().bytes
        await connection.execute(SQL["allot"], UUID(bytes=opened), place[0], coins)  # network op
        return opened

    def _add(self, place: tuple[int, int], allotment_id: bytes, coins: int) -> None:
        own = self._allotments.get(place)
        if own is None or own.allotment_id != allotment_id:
            own = self._allotments[place] = Allotment(allotment_id, 0)
        own.left += coins

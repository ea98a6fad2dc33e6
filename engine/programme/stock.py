"""Stock and limits: which unit of an item, and which of a customer's turns, a redemption takes.

Units and turns are numbered, and the ledger inserts the numbers that are taken with the posting
that takes them: their keys decide between two that want the same one (RED-5). So what is picked
here is a proposal; where another took it meanwhile, it is picked again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, count, islice
from time import monotonic
from typing import TypeVar
from uuid import UUID

from engine.errors import ItemTaken, Overloaded
from engine.postgres.connections import Pool
from engine.postgres.sql import queries
from engine.programme.items import GIFT_TURNS, Item, ItemKind

SQL = queries("items")

Result = TypeVar("Result")

UNITS_TRIED = 8
UNITS_FOUND_MAX = 64
SEARCH_PAUSE = 5
"""What a search of a whole stock found is believed for so many times as long as it took."""


@dataclass(frozen=True, slots=True)
class Pick:
    """What a redemption may take: a unit and a turn, 0 where the item does not number them.

    `named` says whether a gift is for this customer; it is true of everything else.
    """

    unit: int = 0
    turn: int = 0
    out_of_stock: bool = False
    limit_reached: bool = False
    named: bool = True


UNLIMITED = Pick()


@dataclass(frozen=True, slots=True)
class Standing:
    """How an item stands for a customer, as a list of offers tells it."""

    out_of_stock: bool
    limit_reached: bool
    named: bool


@dataclass(slots=True)
class _Searched:
    """What the last search of an item's stock found; one searches at a time."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    units: list[int] = field(default_factory=list)
    found_any: bool = True
    believed_until: float = 0.0


class Stock:
    """Picks units and turns, and knows what is sold out."""

    def __init__(self, pool: Pool, remembered_ms: int) -> None:
        self._pool = pool
        self._remembered_s = remembered_ms / 1000
        self._in_flight: set[tuple[object, ...]] = set()
        self._searched: dict[int, tuple[int, _Searched]] = {}
        self._sold_out: dict[tuple[int, int], float] = {}

    @asynccontextmanager
    async def picked(self, item: Item, customer_id: bytes) -> AsyncIterator[Pick]:
        """Give what may be taken of `item`; until the end nobody else here is given the same.

        Unless there is no other: then the ledger decides between them.
        """
        if not item.limited:
            yield UNLIMITED
            return
        pick = await self._pick(item, customer_id)
        wanted = {(item.item_id, pick.unit), (customer_id, item.item_id, pick.turn)}
        own = {number for number in wanted if number[-1]} - self._in_flight
        self._in_flight |= own
        try:
            yield pick
        finally:
            self._in_flight -= own

    async def take(
        self,
        item: Item,
        customer_id: bytes,
        tries_max: int,
        submit: Callable[[Pick], Awaitable[Result]],
    ) -> Result:
        """Submit what takes `item`, with one pick after the other while somebody else is faster.

        Raises Overloaded after `tries_max`, and what `submit` raises but ItemTaken.
        """
        for _ in range(tries_max):
            async with self.picked(item, customer_id) as pick:
                try:
                    return await submit(pick)
                except ItemTaken:
                    continue
        raise Overloaded

    async def standings(self, items: Iterable[Item], customer_id: bytes) -> dict[int, Standing]:
        """Return by item id how items stand for a customer, in one round trip at most.

        What is sold out is remembered for a moment; what is not is looked up each time.
        """
        limited = [item for item in items if item.limited]
        if not limited:
            return {}
        now = monotonic()
        known = {key: until for key, until in self._sold_out.items() if until > now}
        self._sold_out = dict(known)
        rows = await self._pool.fetch(  # network op
            SQL["standing"],
            UUID(bytes=customer_id),
            [item.item_id for item in limited],
            [None if _stock_of(item) in known else item.stock for item in limited],
        )
        found = {row["item_id"]: row for row in rows}
        standings = {}
        for item in limited:
            row = found[item.item_id]
            if row["sold_out"]:
                self._sold_out[_stock_of(item)] = now + self._remembered_s
            limit = _limit_of(item)
            standings[item.item_id] = Standing(
                out_of_stock=row["sold_out"] or _stock_of(item) in known,
                limit_reached=limit is not None and row["turns"] >= limit,
                named=row["named"] or item.kind is not ItemKind.GIFT,
            )
        return standings

    async def _pick(self, item: Item, customer_id: bytes) -> Pick:
        stock, limit = item.stock, _limit_of(item)
        units = [random.randint(1, stock) for _ in range(UNITS_TRIED)] if stock else []  # noqa: S311
        row = await self._pool.fetchrow(  # network op
            SQL["look"], item.item_id, UUID(bytes=customer_id), units, stock
        )
        assert row is not None
        turn = 0 if limit is None else self._turn(item, customer_id, limit, row["turns"])
        unit = None
        if stock and not row["lowered"]:
            unit = next((one for one in row["units"] if not self._taking(item, one)), None)
        if stock and unit is None:
            unit = await self._search(item, stock)
        return Pick(
            unit or 0,
            turn or 0,
            out_of_stock=stock is not None and unit is None,
            limit_reached=turn is None,
            named=row["named"] or item.kind is not ItemKind.GIFT,
        )

    def _taking(self, item: Item, unit: int) -> bool:
        return (item.item_id, unit) in self._in_flight

    def _turn(self, item: Item, customer_id: bytes, limit: int, taken: list[int]) -> int | None:
        """Return the lowest turn that is free, None where there is none.

        Where the limit was lowered, turns above it count, and so many fewer may be taken.
        """
        left = limit - len(taken)
        if left <= 0:
            return None
        gone = set(taken)
        free = islice((number for number in count(1) if number not in gone), left)
        first = next(free)
        return next(
            (
                turn
                for turn in chain((first,), free)
                if (customer_id, item.item_id, turn) not in self._in_flight
            ),
            first,
        )

    async def _search(self, item: Item, stock: int) -> int | None:
        """Return a unit of the whole stock, None where all are taken.

        While one looks through a large stock that is nearly gone, the others wait for what it
        finds: it would be searched by everybody who wants one of the last.
        """
        of_stock, searched = self._searched.get(item.item_id, (stock, None))
        if searched is None or of_stock != stock:
            searched = _Searched()
            self._searched[item.item_id] = stock, searched
        async with searched.turn:
            started = monotonic()
            used_up = searched.found_any and not searched.units
            if used_up or started >= searched.believed_until:
                rows = await self._pool.fetch(  # network op
                    SQL["search"],
                    item.item_id,
                    stock,
                    random.randint(1, stock),  # noqa: S311
                    UNITS_FOUND_MAX,
                )
                searched.units = [row["unit"] for row in rows]
                searched.found_any = bool(rows)
                took = monotonic() - started
                pause = min(SEARCH_PAUSE * took, self._remembered_s)
                searched.believed_until = started + took + pause
            if not searched.units:
                return None
            free = [unit for unit in searched.units if not self._taking(item, unit)]
            unit = random.choice(free or searched.units)  # noqa: S311
            searched.units.remove(unit)
            return unit


def _stock_of(item: Item) -> tuple[int, int]:
    return item.item_id, 0 if item.stock is None else item.stock


def _limit_of(item: Item) -> int | None:
    return GIFT_TURNS if item.kind is ItemKind.GIFT else item.customer_limit

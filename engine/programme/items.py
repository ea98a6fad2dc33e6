"""Items: what a brand gives for points, for coins or for nothing (RED-1, RED-2, RED-3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from engine.postgres.connections import Pool, PooledConnection
from engine.postgres.sql import queries
from engine.programme.calendar import COINS_COUNTRY, local_date
from engine.programme.segments import Segment, segment_of

if TYPE_CHECKING:
    from engine.people.customers import Profile
    from engine.programme.brands import Brand

SQL = queries("items")

MOMENT_MIN_S = 946_684_800
MOMENT_MAX_S = 7_258_118_400
GIFT_TURNS = 1
"""Each of its customers takes a gift once (RED-3)."""


class ItemKind(StrEnum):
    """What sort of item it is."""

    REWARD = "reward"
    PROMOTION = "promotion"
    GIFT = "gift"

    @property
    def id_name(self) -> str:
        """The name of its id on the wire."""
        return f"{self.value}_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What a brand gives. Times are seconds since 1970; None stands for no limit."""

    item_id: int
    kind: ItemKind
    brand: Brand
    name: str
    points: int
    coins: int
    stock: int | None
    customer_limit: int | None
    starts_at: float | None
    ends_at: float | None
    segment: Segment | None
    available: bool
    retired: bool

    @property
    def limited(self) -> bool:
        """Whether it takes a look at its stock, at the customer's turns, or at the names of it."""
        return (
            self.stock is not None or self.customer_limit is not None or self.kind is ItemKind.GIFT
        )

    def on_offer(self, moment_s: float) -> bool:
        """Return whether it can be taken at `moment_s`, as far as the brand has a say in it."""
        return (
            self.available
            and not self.retired
            and (self.starts_at is None or self.starts_at <= moment_s)
            and (self.ends_at is None or moment_s < self.ends_at)
        )

    def is_for(self, customer: Profile, moment_s: float) -> bool:
        """Return whether the customer is in its segment on the day it is in the brand's country."""
        return self.segment is None or self.segment.matches(
            customer, local_date(moment_s, self.brand.utc_offset)
        )

    def fault(self, moment_s: float) -> str | None:
        """Return in a sentence why a brand may not configure it so at `moment_s`, else None."""
        if any(
            moment is not None and not MOMENT_MIN_S <= moment < MOMENT_MAX_S
            for moment in (self.starts_at, self.ends_at)
        ):
            return "`starts_at` and `ends_at` must lie between the years 2000 and 2200."
        if (-inf if self.starts_at is None else self.starts_at) >= (
            inf if self.ends_at is None else self.ends_at
        ):
            return "`ends_at` must come after `starts_at`."
        if self.points and self.coins:
            return "A promotion costs either `points` or `coins`, not both."
        if self.coins:
            programme = self.brand.programme_at(moment_s)
            if self.brand.country != COINS_COUNTRY or programme is None or not programme.receiver:
                return "Only a brand of Colombia that receives coins can have a price in `coins`."
        if self.segment is not None:
            return self.segment.fault()
        return None


def item_from(row: Any, brand: Brand) -> Item:
    """Return the item of a row of the query `items`."""
    facts = dict(row)
    del facts["brand_id"]
    for name in ("starts_at", "ends_at"):
        facts[name] = None if row[name] is None else row[name].timestamp()
    facts["kind"] = ItemKind(row["kind"])
    facts["segment"] = segment_of(row["segment"], row["item_id"])
    return Item(brand=brand, **facts)


def moment_of(seconds: float | None) -> datetime | None:
    """Return a moment of an item, None for no limit."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


async def find_item(connection: PooledConnection, item: Item) -> Item:
    """Return an item as it stands by now, within a change of the catalogue."""
    row = await connection.fetchrow(SQL["item"], item.item_id)  # network op
    return item_from(row, item.brand)


async def insert_item(connection: PooledConnection, item: Item) -> int:
    """Add an item, whatever its `item_id`; return the id that it gets."""
    item_id: int = await connection.fetchval(  # network op
        SQL["insert_item"], item.kind.value, item.brand.brand_id, *_columns(item)
    )
    return item_id


async def update_item(connection: PooledConnection, item: Item) -> None:
    """Write an item as it is now."""
    await connection.execute(SQL["update_item"], item.item_id, *_columns(item))  # network op


async def retire_item(connection: PooledConnection, item_id: int, at: datetime) -> None:
    """Retire an item; one that is retired keeps its moment."""
    await connection.execute(SQL["retire_item"], item_id, at)  # network op


async def count_unknown(connection: PooledConnection, customer_ids: list[UUID]) -> int:
    """Return how many of these are no customers."""
    unknown: int = await connection.fetchval(  # network op
        SQL["unknown_customers"], customer_ids
    )
    return unknown


async def replace_recipients(
    connection: PooledConnection, item_id: int, customer_ids: list[UUID]
) -> None:
    """Let a gift be for these customers and no others."""
    await connection.execute(SQL["delete_gift_customers"], item_id)  # network op
    await connection.execute(SQL["insert_gift_customers"], item_id, customer_ids)  # network op


async def recipients_of(pool: Pool, item_id: int) -> list[UUID]:
    """Return the customers whom a gift is for."""
    rows = await pool.fetch(SQL["gift_customers"], item_id)  # network op
    return [row["customer_id"] for row in rows]


async def units_taken(pool: Pool, items: Iterable[Item]) -> dict[int, int]:
    """Return by item id how many units are taken of those that have a stock."""
    stocked = [item.item_id for item in items if item.stock is not None]
    if not stocked:
        return {}
    rows = await pool.fetch(SQL["taken"], stocked)  # network op
    return {row["item_id"]: row["units"] for row in rows}


def _columns(item: Item) -> tuple[Any, ...]:
    """Return what the statements that write an item take, in their order."""
    return (
        item.name,
        item.points,
        item.coins,
        item.stock,
        item.customer_limit,
        moment_of(item.starts_at),
        moment_of(item.ends_at),
        None if item.segment is None else msgspec.json.encode(item.segment).decode(),
        item.available,
    )

"""Brands and their stores, what is in force there at a moment, and how they are kept."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engine.postgres.connections import PooledConnection
from engine.postgres.sql import queries
from engine.programme.calendar import CURRENCIES, Country, Currency
from engine.programme.earning import Programme

SQL = queries("administration")


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand; `programmes` are its versions, oldest first, and `starts` when each began.

    Where it is `prepaid`, the coins that it issues are drawn from what it has `deposited` (COI-2).
    """

    brand_id: int
    name: str
    country: Country
    currency: Currency
    utc_offset: int
    programmes: tuple[Programme, ...]
    starts: tuple[float, ...]
    retired: bool = False
    prepaid: bool = False
    deposited: int = 0

    def programme_at(self, moment_s: float) -> Programme | None:
        """Return the version in force at `moment_s` (seconds since 1970), None before the first."""
        at = bisect_right(self.starts, moment_s)
        return self.programmes[at - 1] if at else None


InvoiceScope = Literal["forever", "day", "till_day"]
"""How long a number of a store names one invoice: for ever, on its day, on its day at its till."""


@dataclass(frozen=True, slots=True)
class EarlierScope:
    """An invoice scope that a store had, in force until a moment (seconds since 1970)."""

    scope: InvoiceScope
    until: float


@dataclass(frozen=True, slots=True)
class Store:
    """A shop of a brand; `accepts_coins` says that its point of sale is enabled for them.

    `invoice_scope` is how long a number names one invoice (INV-4). `earlier_scopes` are those that
    it had while sales were made which can still be claimed, the newest first; nearly every store
    has none.
    """

    store_id: int
    brand: Brand
    name: str
    city: str
    accepts_coins: bool
    invoice_scope: InvoiceScope = "forever"
    closed: bool = False
    earlier_scopes: tuple[EarlierScope, ...] = ()

    @property
    def retired(self) -> bool:
        """Whether it is gone, by itself or with its brand."""
        return self.closed or self.brand.retired

    def takes_coins(self, moment_s: float) -> bool:
        """Return whether coins are spent here at `moment_s` (COI-3)."""
        programme = self.brand.programme_at(moment_s)
        return (
            self.accepts_coins and not self.retired and programme is not None and programme.receiver
        )


async def insert_brand(connection: PooledConnection, name: str, country: Country) -> int:
    """Add a brand, with the currency of its country; return its id."""
    brand_id: int = await connection.fetchval(  # network op
        SQL["insert_brand"], name, country, CURRENCIES[country]
    )
    return brand_id


async def update_brand(connection: PooledConnection, brand_id: int, name: str) -> None:
    """Give a brand another name."""
    await connection.execute(SQL["update_brand"], brand_id, name)  # network op


async def retire_brand(connection: PooledConnection, brand_id: int, at: datetime) -> None:
    """Retire a brand; one that is retired keeps its moment."""
    await connection.execute(SQL["retire_brand"], brand_id, at)  # network op


async def insert_store(
    connection: PooledConnection,
    brand_id: int,
    *,
    name: str,
    city: str,
    accepts_coins: bool,
    invoice_scope: InvoiceScope,
) -> int:
    """Add a store to a brand; return its id."""
    store_id: int = await connection.fetchval(  # network op
        SQL["insert_store"], brand_id, name, city, accepts_coins, invoice_scope
    )
    return store_id


async def update_store(
    connection: PooledConnection,
    store_id: int,
    at: datetime,
    *,
    name: str | None,
    city: str | None,
    accepts_coins: bool | None,
    invoice_scope: InvoiceScope | None,
) -> None:
    """Change a store; None leaves a column as it is. A replaced scope is kept, to end `at`."""
    await connection.execute(  # network op
        SQL["update_store"], store_id, name, city, accepts_coins, invoice_scope, at
    )


async def retire_store(connection: PooledConnection, store_id: int, at: datetime) -> None:
    """Retire a store; one that is retired keeps its moment."""
    await connection.execute(SQL["retire_store"], store_id, at)  # network op

"""Brands and their stores, with what is in force there at a moment."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from engine.programme.calendar import Country, Currency
from engine.programme.earning import Programme


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

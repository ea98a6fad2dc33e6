"""Shapes of administration: brands, stores, programmes, items, keys, and who coins come from."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from engine.api.shapes.scalars import (
    AMOUNT_MAX,
    Age,
    Amount,
    Count,
    Country,
    Currency,
    CustomerId,
    Days,
    Gender,
    Id,
    Name,
    Points,
    Price,
    Stock,
)


class NewBrand(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that makes a brand; the currency is its country's."""

    name: Name
    country: Country


class BrandChange(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that changes a brand."""

    name: Name


class NewStore(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that makes a store; a brand's own key may leave the brand out."""

    name: Name
    city: Name
    brand_id: Id | None = None
    accepts_coins: bool = False


class StoreChange(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that changes a store."""

    name: Name | UnsetType = UNSET
    city: Name | UnsetType = UNSET
    accepts_coins: bool | UnsetType = UNSET


class NewProgramme(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that makes a version of a programme, in force from now or from a moment to come (PTS-2).

    `points` for each `points_amount` minor units of a bill, `coins` for each `coins_amount`.
    """

    points: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
    points_amount: Amount
    points_validity_days: Days
    coins: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)] = 0
    coins_amount: Amount = 100_000
    issuer: bool = False
    receiver: bool = False
    effective_from: datetime | None = None


class Segment(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Customers whom a promotion is for: each field that is there must hold (RED-2)."""

    genders: Annotated[list[Gender], Meta(min_length=1, max_length=3)] | None = None
    cities: Annotated[list[Name], Meta(min_length=1, max_length=50)] | None = None
    age_min: Age | None = None
    age_max: Age | None = None
    birthday_month: bool | None = None


class NewReward(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that makes a reward (RED-1)."""

    name: Name
    points: Points
    stock: Stock | None = None
    customer_limit: Count | None = None
    available: bool = True


class NewPromotion(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that makes a promotion, priced in points or in coins (RED-2, RED-6)."""

    name: Name
    points: Price = 0
    coins: Price = 0
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    segment: Segment | None = None
    stock: Stock | None = None
    customer_limit: Count | None = None
    available: bool = True


class NewGift(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that makes a gift for named customers; each takes it once (RED-3)."""

    name: Name
    customer_ids: Annotated[list[CustomerId], Meta(min_length=1, max_length=300)]
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    stock: Stock | None = None
    available: bool = True


class ItemChange(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that changes a reward, a promotion or a gift; null takes a limit away."""

    name: Name | UnsetType = UNSET
    points: Price | UnsetType = UNSET
    coins: Price | UnsetType = UNSET
    stock: Stock | UnsetType | None = UNSET
    customer_limit: Count | UnsetType | None = UNSET
    starts_at: datetime | UnsetType | None = UNSET
    ends_at: datetime | UnsetType | None = UNSET
    segment: Segment | UnsetType | None = UNSET
    available: bool | UnsetType = UNSET
    customer_ids: Annotated[list[CustomerId], Meta(min_length=1, max_length=300)] | UnsetType = (
        UNSET
    )


class NewKey(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that makes an API key (USR-3)."""

    role: Literal["network", "brand", "store", "app"]
    name: Name
    brand_id: Id | None = None
    store_id: Id | None = None


class NewParty(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that makes or changes a partner programme (SYS-9) or an organisation (COI-8)."""

    name: Name


class PrintedInvoice(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a sale that a point of sale has printed (INV-1)."""

    amount: Amount
    currency: Currency
    issued_at: datetime

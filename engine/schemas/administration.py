"""Shapes of administration: brands, stores, programmes, items, and who coins come from."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from engine.schemas.scalars import (
    AMOUNT_MAX,
    Amount,
    Country,
    Currency,
    Days,
    Id,
    Moment,
    Name,
)
from engine.schemas.texts import Sent

RatePart = Annotated[int, Meta(ge=1, le=1_000_000)]


class NewBrand(Sent, frozen=True):
    """Body that makes a brand; the currency is its country's."""

    name: Name
    country: Country


class BrandChange(Sent, frozen=True):
    """Body that changes a brand."""

    name: Name


class Programme(Struct, kw_only=True):
    """A version of a brand's programme: what a bill earns from `effective_from` on (PTS-2, COI-2).

    `points` for each `points_amount` minor units of a bill, `coins` for each `coins_amount`.
    A version keeps its number; that of one that was withdrawn is never given again.
    """

    version: int
    effective_from: Moment
    points: int
    points_amount: int
    points_validity_days: int
    coins: int
    coins_amount: int
    issuer: bool
    receiver: bool
    currency: Currency


class Programmes(Struct, kw_only=True):
    """A brand's programme: the version in force, and all versions, oldest first."""

    current: Programme | None
    versions: list[Programme]


class Brand(Struct, kw_only=True):
    """A brand, with the version of its programme that is in force."""

    brand_id: int
    name: str
    country: Country
    currency: Currency
    retired: bool
    programme: Programme | None


class Brands(Struct, kw_only=True):
    """Brands by their ids."""

    brands: list[Brand]
    next_cursor: str | None


InvoiceScope = Annotated[
    Literal["forever", "day", "till_day"],
    Meta(
        description="How long a number names one invoice of the store (INV-4). A change holds at"
        " once, but for sales that were printed, claimed or paid before: they keep their name."
    ),
]


class NewStore(Sent, frozen=True):
    """Body that makes a store; a brand's own key may leave the brand out."""

    name: Name
    city: Name
    brand_id: Id | None = None
    accepts_coins: bool = False
    invoice_scope: InvoiceScope = "forever"


class StoreChange(Sent, frozen=True):
    """Body that changes a store."""

    name: Name | UnsetType = UNSET
    city: Name | UnsetType = UNSET
    accepts_coins: bool | UnsetType = UNSET
    invoice_scope: InvoiceScope | UnsetType = UNSET


class Store(Struct, kw_only=True):
    """A store, with the programme that a sale there earns by at this moment (PTS-2).

    `accepts_coins` says that its point of sale is enabled for coins, `coins_accepted` that they
    are accepted at this moment: its brand is a receiver besides, and nothing is retired (COI-3).
    """

    store_id: int
    brand_id: int
    brand_name: str
    name: str
    city: str
    country: Country
    currency: Currency
    accepts_coins: bool
    invoice_scope: InvoiceScope
    coins_accepted: bool
    retired: bool
    programme: Programme | None


class Stores(Struct, kw_only=True):
    """Stores by their ids."""

    stores: list[Store]
    next_cursor: str | None


class NewProgramme(Sent, frozen=True):
    """Body that makes a version of a programme, in force from now or from a moment to come (PTS-2).

    `points` for each `points_amount` minor units of a bill, `coins` for each `coins_amount`. What
    is left out of `coins`, `coins_amount`, `issuer` and `receiver` is as in the version that is in
    force at `effective_from`. In a brand's first version they are 0, 100000, false and false.
    """

    points: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
    points_amount: Amount
    points_validity_days: Days
    coins: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)] | UnsetType = UNSET
    coins_amount: Amount | UnsetType = UNSET
    issuer: bool | UnsetType = UNSET
    receiver: bool | UnsetType = UNSET
    effective_from: Moment | None = None


class NewParty(Sent, frozen=True):
    """Body that makes or changes an organisation (COI-8)."""

    name: Name


class Rate(Sent, frozen=True):
    """What the points of a partner become: `coins` for each `points` (SYS-9)."""

    coins: RatePart
    points: RatePart


ONE_TO_ONE = Rate(coins=1, points=1)


class NewPartner(Sent, frozen=True):
    """Body that makes a partner programme (SYS-9)."""

    name: Name
    rate: Rate = ONE_TO_ONE


class PartnerChange(Sent, frozen=True):
    """Body that changes a partner programme; another rate is in force from now on (SYS-9)."""

    name: Name | UnsetType = UNSET
    rate: Rate | UnsetType = UNSET


class Partner(Struct, kw_only=True):
    """A partner programme, with the rate at which its points become coins now (SYS-9)."""

    partner_id: int
    name: str
    rate: Rate | None
    retired: bool


class Partners(Struct, kw_only=True):
    """Partner programmes by their ids."""

    partners: list[Partner]
    next_cursor: str | None


class Organisation(Struct, kw_only=True):
    """A social organisation, which coins can be donated to (COI-8)."""

    organisation_id: int
    name: str
    retired: bool


class Organisations(Struct, kw_only=True):
    """Organisations by their ids."""

    organisations: list[Organisation]
    next_cursor: str | None

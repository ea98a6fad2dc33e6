"""Shapes of people: customers and their look-up."""

from __future__ import annotations

from datetime import date
from typing import Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from engine.schemas.scalars import (
    Country,
    Gender,
    IssuingCountry,
    Moment,
    Name,
    PersonName,
    Reason,
    SentIssuingCountry,
    Text,
)
from engine.schemas.texts import Sent
from engine.schemas.wallets import Wallet

DocumentCode = Literal[
    "CC", "CE", "PA", "NIT", "TI", "RC", "PPT", "PEP", "DUI", "DPI", "CUI", "CED", "RUC"
]


class Document(Sent, frozen=True):
    """An identity document (CUS-5).

    `country` is who issued it. A passport has that of any country, and is of an unknown issuer
    where it is left out; a NIT is of the store's country then. Other types are of one country, and
    need none.
    """

    type: DocumentCode
    number: Text
    country: SentIssuingCountry | None = None


class Registration(Sent, frozen=True):
    """Body of a registration, quick (CUS-3) or full (CUS-4)."""

    document: Document
    email: Text
    phone: Text | None = None
    first_names: PersonName | None = None
    last_names: PersonName | None = None
    gender: Gender | None = None
    birth_date: date | None = None
    country: Country | None = None
    city: Name | None = None


class ProfileChange(Sent, frozen=True):
    """Body of *Actualizar* (CUS-6): what is left out stays as it is.

    What makes a profile complete can be changed, and not be emptied again: redeeming and paying
    stand on it (CUS-7).
    """

    document: Document | UnsetType = UNSET
    email: Text | UnsetType = UNSET
    phone: Text | UnsetType = UNSET
    first_names: PersonName | UnsetType = UNSET
    last_names: PersonName | UnsetType = UNSET
    gender: Gender | UnsetType = UNSET
    birth_date: date | UnsetType = UNSET
    country: Country | UnsetType | None = UNSET
    city: Name | UnsetType | None = UNSET


class Lookup(Sent, frozen=True):
    """Body of a look-up: exactly one way to find the customer (CUS-2).

    `text` is a document, a phone, an e-mail or a QR, and the server finds out which (CUS-15).
    """

    document: Document | None = None
    phone: Text | None = None
    email: Text | None = None
    qr: Text | None = None
    text: Text | None = None


class Standing(Sent, frozen=True):
    """Body of a block or an unblock (CUS-9)."""

    reason: Reason


class ShownDocument(Struct, kw_only=True):
    """An identity document; its number is masked for roles that need no more.

    `country` is given where the type does not say it, and it is known: of passports and NITs.
    """

    type: str
    number: str
    country: IssuingCountry | UnsetType = UNSET


class Customer(Struct, kw_only=True):
    """A customer, as the caller may see them (CUS-1, CUS-6, CUS-9); null where they were erased."""

    customer_id: UUID
    status: Literal["active", "blocked"]
    profile_complete: bool
    missing_fields: list[str]
    document: ShownDocument | None
    email: str | None
    phone: str | None
    first_names: str | None
    last_names: str | None
    gender: Gender | None
    birth_date: date | None
    country: Country | None
    city: str | None
    created_at: Moment


class Presence(Struct, kw_only=True):
    """A customer who was found by their QR is at this store, until `expires_at` (COI-10).

    The `token` is accepted by one payment of this store, in place of the QR.
    """

    token: str
    expires_at: Moment


class Match(Struct, kw_only=True):
    """One of several customers whom a text fits, masked for every role (CUS-15)."""

    customer_id: UUID
    document: ShownDocument
    email: str
    phone: str | None
    first_names: str | None
    last_names: str | None


class Found(Struct, kw_only=True):
    """Who a look-up found, and what they have (CUS-2, PTS-6).

    `presence` is there where a store found them by their QR (COI-10). Where a `text` fits several
    customers, `matches` is there alone: look one of them up.
    """

    customer: Customer | UnsetType = UNSET
    presence: Presence | UnsetType = UNSET
    wallets: list[Wallet] | UnsetType = UNSET
    matches: list[Match] | UnsetType = UNSET


class ShownQr(Struct, kw_only=True):
    """What the customer's app shows: 39 characters A-Z and 0-9, until `expires_at` (COI-6)."""

    qr: str
    expires_at: Moment


class StandingChange(Struct, kw_only=True):
    """A block or an unblock in the books, which the network alone sees (CUS-9)."""

    transaction_id: UUID
    customer_id: UUID
    type: Literal["block", "unblock"]
    reason: str
    by: str
    recorded_at: Moment

"""Shapes of people: customers, their look-up, and cashiers' sessions."""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from engine.api.shapes.scalars import (
    Country,
    Gender,
    Id,
    Name,
    Password,
    Reason,
    Text,
    UserName,
)


class Document(Struct, forbid_unknown_fields=True, frozen=True):
    """An identity document (CUS-5)."""

    type: Literal["CC", "CE", "PA", "NIT", "TI", "PPT", "DUI", "DPI", "CED", "RUC"]
    number: Text
    country: Country | None = None


class Registration(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a registration, quick (CUS-3) or full (CUS-4)."""

    document: Document
    email: Text
    phone: Text | None = None
    first_names: Name | None = None
    last_names: Name | None = None
    gender: Gender | None = None
    birth_date: date | None = None
    country: Country | None = None
    city: Name | None = None


class ProfileChange(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of *Actualizar* (CUS-6): what is left out stays as it is, null empties a field."""

    document: Document | UnsetType = UNSET
    email: Text | UnsetType = UNSET
    phone: Text | UnsetType | None = UNSET
    first_names: Name | UnsetType | None = UNSET
    last_names: Name | UnsetType | None = UNSET
    gender: Gender | UnsetType | None = UNSET
    birth_date: date | UnsetType | None = UNSET
    country: Country | UnsetType | None = UNSET
    city: Name | UnsetType | None = UNSET


class Lookup(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a look-up: exactly one way to find the customer (CUS-2)."""

    document: Document | None = None
    phone: Text | None = None
    email: Text | None = None
    qr: Text | None = None


class Standing(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a block or an unblock (CUS-9)."""

    reason: Reason


class SignIn(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a cashier's signing in (USR-1)."""

    store_id: Id
    user: UserName
    password: Password


class NewCashier(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that makes a cashier; without `store_id` they work at any store of the brand."""

    user: UserName
    password: Password
    name: Name
    store_id: Id | None = None


class CashierChange(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that changes a cashier; whoever is disabled has no session any more."""

    name: Name | UnsetType = UNSET
    store_id: Id | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class PasswordReset(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a password's reset: only the brand's administrator does it (USR-1)."""

    password: Password

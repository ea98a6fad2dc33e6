"""Shapes of principals: cashiers and their sessions (USR-1), and API keys (USR-3)."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from engine.schemas.scalars import (
    Currency,
    Id,
    Moment,
    Name,
    Password,
    Text,
    TypedPassword,
    UserName,
)
from engine.schemas.texts import Sent


class SignIn(Sent, frozen=True):
    """Body of a cashier's signing in; spaces around the user mean nothing (USR-1).

    `device` is what the last sign-in on this till was answered with: failures of others do not
    pause it (USR-8). One that is unknown or not valid is as good as none.
    """

    store_id: Id
    user: Text
    password: TypedPassword
    device: Text | None = None


class Session(Struct, kw_only=True):
    """A cashier's session at one store."""

    expires_at: Moment
    cashier_id: Id
    name: str
    user: str
    store_id: Id
    brand_id: Id
    store_name: str
    currency: Currency


class SignedIn(Session, kw_only=True):
    """A session that has just begun; its token is shown this once.

    The till keeps `device` and sends it with the next sign-in. It is not secret: by itself it
    signs nobody in.
    """

    token: str
    device: str


class ListedSession(Struct, kw_only=True):
    """A session as those see it who may end it; `current` is the one that asks."""

    session_id: str
    cashier_id: Id
    brand_id: Id
    store_id: Id
    user: str
    name: str
    created_at: Moment
    last_used_at: Moment
    expires_at: Moment
    current: bool


class ListedSessions(Struct, kw_only=True):
    """A page of sessions that have not ended."""

    sessions: list[ListedSession]
    next_cursor: str | None


class EndedSessions(Struct, kw_only=True):
    """How many sessions of a cashier were ended."""

    ended: int


class NewCashier(Sent, frozen=True):
    """Body that makes a cashier; without `store_id` they work at any store of the brand."""

    user: UserName
    password: Password
    name: Name
    store_id: Id | None = None


class CashierChange(Sent, frozen=True):
    """Body that changes a cashier; a disabled one has no session any more."""

    name: Name | UnsetType = UNSET
    store_id: Id | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class PasswordReset(Sent, frozen=True):
    """Body of a password's reset: only the brand's administrator does it (USR-1)."""

    password: Password


class Cashier(Struct, kw_only=True):
    """A cashier; without a store they work at any of the brand."""

    cashier_id: Id
    brand_id: Id
    store_id: Id | None
    user: str
    name: str
    disabled: bool
    password_set_at: Moment
    created_at: Moment


class Cashiers(Struct, kw_only=True):
    """A page of a brand's cashiers."""

    cashiers: list[Cashier]
    next_cursor: str | None


class NewKey(Sent, frozen=True):
    """Body that makes an API key: of a brand by its `brand_id`, of a store by its `store_id`."""

    role: Literal["network", "brand", "store", "app"]
    name: Name
    brand_id: Id | None = None
    store_id: Id | None = None


class Key(Struct, kw_only=True):
    """An API key without its secret."""

    key_id: str
    role: Literal["network", "brand", "store", "app"]
    brand_id: Id | None
    store_id: Id | None
    name: str
    created_at: Moment
    revoked_at: Moment | None


class MadeKey(Key, kw_only=True):
    """An API key that has just been made; `key` is shown this once."""

    key: str


class Keys(Struct, kw_only=True):
    """A page of API keys in the order in which they were made, the revoked ones too."""

    keys: list[Key]
    next_cursor: str | None

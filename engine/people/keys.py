"""Principals and their API keys: `lk_<key id>_<secret>`, of which only a hash is stored (USR-3).

The secret has 160 random bits, so a plain SHA-256 is enough; there is nothing to guess. Changes of
keys run in the caller's transaction, which begins with a touch of the catalogue: its row lock makes
them one after the other, so that what is counted here stays true.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hmac import compare_digest
from typing import Any
from uuid import UUID, uuid5

from engine.errors import EngineError
from engine.postgres.connections import Connection, Pool, PooledConnection
from engine.postgres.sql import queries

SQL = queries("keys")
PREFIX = "lk"
NAMESPACE = UUID("5c0a7b52-0a0a-4f6b-9d0d-1e4a1c0e9b11")
KEY_CHARACTERS_MAX = 100
KEY_ID = re.compile(r"[a-z0-9]{1,100}")
LIVE_KEYS_MAX = 2
"""Keys of one principal that are valid at once: the one in use, and the one that takes over."""


class Role(StrEnum):
    """What a principal is."""

    NETWORK = "network"
    BRAND = "brand"
    STORE = "store"
    APP = "app"
    CASHIER = "cashier"


ADMINISTRATORS = frozenset({Role.NETWORK, Role.BRAND})
"""Those who administer brands: the network all of them, a brand itself."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. `scope` is the name space of their idempotency keys: their brand, or they."""

    key_id: str
    role: Role
    brand_id: int | None
    store_id: int | None
    scope: bytes

    @property
    def cashier_id(self) -> int:
        """The cashier whose session it is, 0 where it is a key."""
        return int(self.key_id.partition(":")[2]) if self.role is Role.CASHIER else 0

    def sees_brand(self, brand_id: int) -> bool:
        """Return whether what happened at this brand is theirs to see (USR-2)."""
        return self.brand_id is None or self.brand_id == brand_id


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is told once, and what of it is stored."""

    key_id: str
    key: str
    secret_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as it is stored, without its hash; `principal_id` says whose it is."""

    key_id: str
    principal_id: str
    role: Role
    brand_id: int | None
    store_id: int | None
    name: str
    created_at: datetime
    revoked_at: datetime | None


class KeyRevoked(EngineError):
    """This key is revoked, so it is not rotated: make a new one."""


class KeyLimitReached(EngineError):
    """There are two live keys of this principal already: revoke one of them first."""


class LastNetworkKey(EngineError):
    """This is the last live key of the network: make another one before it is revoked."""


def make_key(prefix: str = PREFIX) -> NewKey:
    """Return a new key, from the system's randomness."""
    key_id = _random_text(6)
    secret = _random_text(20)
    return NewKey(key_id, f"{prefix}_{key_id}_{secret}", _hash(secret))


def principal_of(
    key_id: str, role: str, brand_id: int | None, store_id: int | None, principal_id: str
) -> Principal:
    """Return the principal of a stored key; `principal_id` outlives the key's rotation."""
    owner = f"key:{principal_id}" if brand_id is None else f"brand:{brand_id}"
    return Principal(key_id, Role(role), brand_id, store_id, uuid5(NAMESPACE, owner).bytes)


def split_key(key: str, prefix: str = PREFIX) -> tuple[str, str] | None:
    """Return (key id, secret) of what looks like a key, else None."""
    parts = key.split("_")
    if len(parts) != 3 or parts[0] != prefix or len(key) > KEY_CHARACTERS_MAX or not key.isascii():
        return None
    return parts[1], parts[2]


def matches(secret: str, secret_hash: bytes) -> bool:
    """Return whether `secret` is the one that was hashed, in constant time."""
    return compare_digest(_hash(secret), secret_hash)


async def brand_of_key(
    connection: Connection, brand_id: int | None, store_id: int | None
) -> int | None:
    """Return the brand that a key will be of: a store's own, whether it is named or not.

    Raises ValueError, with a sentence, for a brand or a store that is not there or retired, and for
    a store of another brand.
    """
    if store_id is not None:
        store = await connection.fetchrow(SQL["store"], store_id)  # network op
        if store is None or store["retired"]:
            raise ValueError(f"There is no store {store_id}, or it is retired.")
        own: int = store["brand_id"]
        if brand_id not in (None, own):
            raise ValueError(f"Store {store_id} is one of brand {own}, not of brand {brand_id}.")
        return own
    if brand_id is not None:
        retired = await connection.fetchval(SQL["brand"], brand_id)  # network op
        if retired is not False:
            raise ValueError(f"There is no brand {brand_id}, or it is retired.")
    return brand_id


async def insert_key(
    connection: Connection | PooledConnection,
    *,
    role: Role,
    brand_id: int | None,
    store_id: int | None,
    name: str,
    at: datetime,
    principal_id: str | None = None,
) -> tuple[NewKey, Key]:
    """Make a key, of a new principal unless one is named; return it as told and as kept.

    `store` has both a store and its brand, `brand` a brand, `network` and `app` neither.
    """
    new = make_key()
    row = await connection.fetchrow(  # network op
        *(SQL["insert"], new.key_id, new.secret_hash, role.value, brand_id, store_id, name, at),
        principal_id,
    )
    assert row is not None
    return new, _key(row)


async def rotate_key(
    connection: Connection | PooledConnection, key: Key, at: datetime
) -> tuple[NewKey, Key]:
    """Make another key of the same principal; the old one is valid until it is revoked.

    Raises KeyRevoked, KeyLimitReached.
    """
    live = await connection.fetch(SQL["live"], key.principal_id)  # network op
    if key.key_id not in [row["key_id"] for row in live]:
        raise KeyRevoked
    if len(live) >= LIVE_KEYS_MAX:
        raise KeyLimitReached
    return await insert_key(
        connection,
        role=key.role,
        brand_id=key.brand_id,
        store_id=key.store_id,
        name=key.name,
        at=at,
        principal_id=key.principal_id,
    )


async def revoke_key(
    connection: Connection | PooledConnection,
    key_id: str,
    at: datetime,
    *,
    spare_last: bool = False,
) -> Key | None:
    """Revoke a key; None where there is none that is not revoked.

    Raises LastNetworkKey where the network would have none any more and `spare_last` says so.
    """
    row = await connection.fetchrow(SQL["revoke"], key_id, at)  # network op
    if row is None:
        return None
    others = await connection.fetchval(SQL["network_has_key"])  # network op
    if spare_last and row["role"] == Role.NETWORK and not others:
        raise LastNetworkKey
    return _key(row)


async def find_key(connection: Connection | Pool, key_id: str) -> Key | None:
    """Return a key, revoked or not; None where there is none."""
    if KEY_ID.fullmatch(key_id) is None:
        return None
    row = await connection.fetchrow(SQL["key"], key_id)  # network op
    return None if row is None else _key(row)


async def list_keys(connection: Connection | Pool) -> list[Key]:
    """Return all keys in the order in which they were made, the revoked ones too."""
    return [_key(row) for row in await connection.fetch(SQL["list"])]  # network op


def _key(row: Any) -> Key:
    return Key(**dict(row) | {"role": Role(row["role"])})


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _random_text(size: int) -> str:
    return b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()

"""Principals and their API keys: `lk_<key id>_<secret>`, of which only a hash is stored (USR-3).

The secret has 160 random bits, so a plain SHA-256 is enough; there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import b32encode
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest
from uuid import UUID, uuid5

PREFIX = "lk"
NAMESPACE = UUID("5c0a7b52-0a0a-4f6b-9d0d-1e4a1c0e9b11")
KEY_CHARACTERS_MAX = 100


class Role(StrEnum):
    """What a principal is."""

    NETWORK = "network"
    BRAND = "brand"
    STORE = "store"
    APP = "app"
    CASHIER = "cashier"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. `scope` is the name space of their idempotency keys: their brand, or they."""

    key_id: str
    role: Role
    brand_id: int | None
    store_id: int | None
    scope: bytes

    def sees_brand(self, brand_id: int) -> bool:
        """Return whether what happened at this brand is theirs to see (USR-2)."""
        return self.brand_id is None or self.brand_id == brand_id


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is told once, and what of it is stored."""

    key_id: str
    key: str
    secret_hash: bytes


def make_key() -> NewKey:
    """Return a new key, from the system's randomness."""
    key_id = _random_text(6)
    secret = _random_text(20)
    return NewKey(key_id, f"{PREFIX}_{key_id}_{secret}", _hash(secret))


def principal_of(
    key_id: str, role: str, brand_id: int | None, store_id: int | None, principal_id: str
) -> Principal:
    """Return the principal of a stored key; `principal_id` outlives the key's rotation."""
    owner = f"key:{principal_id}" if brand_id is None else f"brand:{brand_id}"
    return Principal(key_id, Role(role), brand_id, store_id, uuid5(NAMESPACE, owner).bytes)


def split_key(key: str) -> tuple[str, str] | None:
    """Return (key id, secret) of what looks like a key, else None."""
    parts = key.split("_")
    if len(parts) != 3 or parts[0] != PREFIX or len(key) > KEY_CHARACTERS_MAX or not key.isascii():
        return None
    return parts[1], parts[2]


def matches(secret: str, secret_hash: bytes) -> bool:
    """Return whether `secret` is the one that was hashed, in constant time."""
    return compare_digest(_hash(secret), secret_hash)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _random_text(size: int) -> str:
    return b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()

"""Presence: who was found by their QR is at that store, for some minutes and one payment (COI-10).

A QR serves the first store that looks it up; a row of `qr_look_up` says which. The store gets a
token that says who is there, since when, and by which QR. It is signed and not stored: a payment
by the token uses up the row of `qr_use` that a payment by the QR would use, so the two pay once,
on whatever worker.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from typing import Final
from uuid import UUID

from engine.people.qr import CUSTOMER_SIZE, Shown, key_of
from engine.postgres.connections import Pool
from engine.postgres.sql import queries

SQL = queries("presence")

SECONDS_BACK_MAX: Final = 9
"""How old a QR may be that is handed out: the seconds after it were used."""
FORGOTTEN_S: Final = 3600
STORE_SIZE: Final = 4
TIME_SIZE: Final = 5
MAC_SIZE: Final = 16
TOKEN_SIZE: Final = CUSTOMER_SIZE + STORE_SIZE + 2 * TIME_SIZE + MAC_SIZE


@dataclass(frozen=True, slots=True)
class Presence:
    """A customer at a store: found by the QR of `issued_at_s`, until `expires_at_s`.

    Both are seconds since 1970.
    """

    customer_id: bytes
    store_id: int
    issued_at_s: int
    expires_at_s: int


def presence_token(secret: bytes, presence: Presence) -> str:
    """Return the token of a presence: 62 characters A-Z, a-z, 0-9, `-` and `_` (COI-10)."""
    message = (
        presence.customer_id
        + presence.store_id.to_bytes(STORE_SIZE, "big")
        + presence.issued_at_s.to_bytes(TIME_SIZE, "big")
        + presence.expires_at_s.to_bytes(TIME_SIZE, "big")
    )
    return urlsafe_b64encode(message + _mac(secret, message)).decode().rstrip("=")


def read_presence(secret: bytes, token: str, now_s: int) -> Presence | None:
    """Return what a token says, None unless it is ours and not over (COI-10)."""
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return None
    message, mac = raw[:-MAC_SIZE], raw[-MAC_SIZE:]
    if len(raw) != TOKEN_SIZE or not compare_digest(_mac(secret, message), mac):
        return None
    rest = message[CUSTOMER_SIZE:]
    presence = Presence(
        message[:CUSTOMER_SIZE],
        int.from_bytes(rest[:STORE_SIZE], "big"),
        int.from_bytes(rest[STORE_SIZE:-TIME_SIZE], "big"),
        int.from_bytes(rest[-TIME_SIZE:], "big"),
    )
    return presence if now_s <= presence.expires_at_s else None


class Presences:
    """Which store a QR serves, and which QRs have paid, for all workers."""

    def __init__(self, pool: Pool, lifetime_s: int) -> None:
        self._pool = pool
        self._lifetime_s = lifetime_s

    async def look_up(self, shown: Shown, store_id: int, now_s: int) -> Presence | None:
        """Let a QR serve this store if it serves no other (COI-10).

        Return None where another store was first, or it has paid.
        """
        customer_id, issued_at_s = UUID(bytes=shown.customer_id), shown.issued_at_s
        (row,) = await self._pool.fetch(  # network op
            SQL["look_up"], customer_id, issued_at_s, store_id, FORGOTTEN_S
        )
        if row["used"] or row["store_id"] != store_id:
            return None
        return Presence(shown.customer_id, store_id, shown.issued_at_s, now_s + self._lifetime_s)

    async def serves(self, shown: Shown, store_id: int | None) -> bool:
        """Return whether a QR may be used by a store; by None, of no store, whether it is unused.

        A payment that is recorded already is answered from its row, whatever this says.
        """
        (row,) = await self._pool.fetch(  # network op
            SQL["standing"], UUID(bytes=shown.customer_id), shown.issued_at_s
        )
        return not row["used"] and (store_id is None or row["store_id"] in (None, store_id))

    async def free_second(self, customer_id: bytes, now_s: int) -> int | None:
        """Return the latest second whose QR no store knows and that has not paid (COI-6, COI-10).

        It is at most SECONDS_BACK_MAX seconds before `now_s`; None where all of these are taken.
        """
        first = now_s - SECONDS_BACK_MAX
        rows = await self._pool.fetch(  # network op
            SQL["seconds_taken"], UUID(bytes=customer_id), first, now_s
        )
        taken = {row["issued_at"] for row in rows}
        return next((one for one in range(now_s, first - 1, -1) if one not in taken), None)


def _mac(secret: bytes, message: bytes) -> bytes:
    key = key_of(secret, b"leal-present-key")
    return blake2b(message, key=key, digest_size=MAC_SIZE, person=b"leal-presence").digest()

"""Known devices: the tills where a cashier signed in before (USR-8).

A till keeps the token that its sign-in was answered with, and sends it back at the next one. It
names the device, signed; the database says who signed in there at which store. So the token of one
till serves all who work at it, and signs nobody in: it only keeps the failures of strangers apart.
A new password by the administrator forgets the devices of that cashier.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from engine.people.qr import key_of
from engine.postgres.connections import Pool
from engine.postgres.sql import queries

SQL = queries("sessions")

PREFIX: Final = "ld_"
ID_SIZE: Final = 16
MAC_SIZE: Final = 16


class Devices:
    """Makes and reads the tokens of devices, and knows who signed in on which."""

    def __init__(self, pool: Pool, secret: bytes) -> None:
        self._pool = pool
        self._key = key_of(secret, b"leal-device-key")

    def token(self, device_id: bytes) -> str:
        """Return the token that a till keeps: 46 characters A-Z, a-z, 0-9, `-` and `_`."""
        return PREFIX + urlsafe_b64encode(device_id + self._mac(device_id)).decode().rstrip("=")

    def read(self, token: str | None) -> bytes | None:
        """Return the device that a token names, None unless it is ours."""
        if token is None or not token.startswith(PREFIX) or not token.isascii():
            return None
        text = token.removeprefix(PREFIX)
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except NotBase64:
            return None
        device_id, mac = raw[:ID_SIZE], raw[ID_SIZE:]
        return device_id if compare_digest(self._mac(device_id), mac) else None

    async def knows(self, device_id: bytes, store_id: int, brand_id: int, user: str) -> bool:
        """Return whether this user signed in on the device at the store before."""
        known: bool = await self._pool.fetchval(  # network op
            SQL["knows"], device_id, store_id, brand_id, user.lower()
        )
        return known

    def _mac(self, device_id: bytes) -> bytes:
        return blake2b(
            device_id, key=self._key, digest_size=MAC_SIZE, person=b"leal-device"
        ).digest()


def new_device() -> bytes:
    """Return the id of a device that nobody knows yet."""
    return secrets.token_bytes(ID_SIZE)

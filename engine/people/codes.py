"""The code that authorises a payment found by hand (COI-6).

Four digits are safe because of what surrounds them. A code is bound to the payment, its customer,
its store and its coins; it takes six digits for many coins; only a keyed hash of it is stored, with
the key outside the database; every wrong try is committed before it is answered; and wrong codes
are capped beyond the payment (engine.people.failed_codes).

A code is not drawn but made of the posting that sets it, with a key: nobody without the key can
tell it, and a process that has the key can make it again. So a retry of a payment whose code never
went out (its first answer was lost, or the process died) sends that very code: nothing is set
anew, no resend is spent, and no second code is ever valid. What went out is in `sent_code`; it is
marked after it was sent, so that a crash between the two sends the same code twice, and never none.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

from engine.postgres.connections import Pool
from engine.postgres.sql import queries

SQL = queries("codes")
CODE_DIGITS = 4
LONG_CODE_DIGITS = 6
MAC_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorised:
    """What a code authorises: these coins of this customer, at this store, by this payment."""

    payment_id: bytes
    customer_id: bytes
    store_id: int
    coins: int

    def message(self) -> bytes:
        """Return the bytes that a keyed hash is taken over; each field has its own length."""
        place = self.store_id.to_bytes(4, "big") + self.coins.to_bytes(8, "big")
        return self.payment_id + self.customer_id + place


def code_digits(coins: int, long_coins_min: int) -> int:
    """Return how many digits the code of a payment has."""
    return LONG_CODE_DIGITS if coins >= long_coins_min else CODE_DIGITS


def code_of(secret: bytes, authorised: Authorised, transaction_id: bytes, digits: int) -> str:
    """Return the code that the hold or the resend of this transaction id sets."""
    message = authorised.message() + transaction_id
    drawn = blake2b(message, key=secret, digest_size=16, person=b"leal-code").digest()
    return f"{int.from_bytes(drawn, 'big') % 10**digits:0{digits}d}"


def code_mac(secret: bytes, authorised: Authorised, code: str) -> bytes:
    """Return the keyed hash of a code of this payment: what the journal keeps and compares."""
    message = authorised.message() + code.encode()
    return blake2b(message, key=secret, digest_size=MAC_SIZE, person=b"leal-code-mac").digest()


class SentCodes:
    """Which postings' codes have gone out; each is remembered for `kept_s` seconds."""

    def __init__(self, pool: Pool, kept_s: int) -> None:
        self._pool = pool
        self._kept_s = kept_s

    async def mark(self, customer_id: bytes, transaction_id: bytes) -> None:
        """Remember that the code of a hold or a resend went out."""
        await self._pool.fetch(  # network op
            SQL["mark"], UUID(bytes=customer_id), UUID(bytes=transaction_id), self._kept_s
        )

    async def has(self, customer_id: bytes, transaction_id: bytes) -> bool:
        """Return whether the code of a hold or a resend went out."""
        found: bool = await self._pool.fetchval(  # network op
            SQL["is_sent"], UUID(bytes=customer_id), UUID(bytes=transaction_id)
        )
        return found

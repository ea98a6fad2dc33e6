"""The rotating QR of the customer's app: who shows it and since when (COI-6, SYS-6).

It has 39 characters of A–Z and 0–9, which a keyboard-wedge scanner types alike on every QWERTY
layout, with caps lock or without:
25 bytes in base 36, of which 16 are the customer, 3 the low bits of the second it was made in, and
6 a keyed hash of the customer and the whole second.

Who has no secret can but guess those 48 bits, and only here, where each guess is a request: at a
thousand requests a second one guess succeeds in some 8 900 years. What is shown is no secret after
it is shown: a photograph of it is as good as the telephone for as long as it lives.

Workers' clocks differ. One that is up to SKEW_S seconds behind the maker's reads what is of its
future; one that is ahead reads it for as much less than the LIFETIME_S seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

LIFETIME_S: Final = 60
SKEW_S: Final = 5  # how far the clock of the process that made it may be ahead

CUSTOMER_SIZE: Final = 16
TIME_SIZE: Final = 3
MAC_SIZE: Final = 6
QR_SIZE: Final = CUSTOMER_SIZE + TIME_SIZE + MAC_SIZE
QR_CHARACTERS: Final = 39

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# A scanner on a keyboard with caps lock on types small letters.
QR_TEXT: Final = re.compile(f"[0-9A-Za-z]{{{QR_CHARACTERS}}}")
SYMBOLOGY: Final = re.compile(r"^\][A-Za-z][0-9A-Za-z]")
TIME_PERIOD_S: Final = 1 << 8 * TIME_SIZE


@dataclass(frozen=True, slots=True)
class Shown:
    """What a QR says: the customer, and the second since the epoch that it was made in."""

    customer_id: bytes
    issued_at_s: int


def make_qr(secret: bytes, customer_id: bytes, now_s: int) -> str:
    """Return the QR of a customer for the LIFETIME_S seconds from now on (COI-6).

    Raises ValueError for a customer id that has not 16 bytes.
    """
    if len(customer_id) != CUSTOMER_SIZE:
        raise ValueError(f"A customer id has {CUSTOMER_SIZE} bytes.")
    low_bits = (now_s % TIME_PERIOD_S).to_bytes(TIME_SIZE, "big")
    shown = customer_id + low_bits + _mac(secret, customer_id, now_s)
    return _base36(int.from_bytes(shown, "big"))


def read_qr(secret: bytes, text: str, now_s: int) -> Shown | None:
    """Return what a QR says, None unless it is whole, ours and of these seconds (COI-6, SYS-6)."""
    shown = known_qr(secret, text, now_s)
    return shown if shown is not None and is_fresh(shown, now_s) else None


def known_qr(secret: bytes, text: str, now_s: int) -> Shown | None:
    """Return what a QR of any age says, None unless it is whole and ours.

    White space around it, the symbology that a scanner puts in front (`]Q1`) and small letters are
    read too. The second is the one nearest to now with the low bits that are shown, and the hash is
    over all of it: a QR is not valid again after the 194 days that these bits take to come round.
    """
    typed = _bare(text)
    if QR_TEXT.fullmatch(typed) is None:
        return None
    value = int(typed, 36)
    if value >> 8 * QR_SIZE:
        return None
    shown = value.to_bytes(QR_SIZE, "big")
    customer_id = shown[:CUSTOMER_SIZE]
    low_bits = int.from_bytes(shown[CUSTOMER_SIZE:-MAC_SIZE], "big")
    half = TIME_PERIOD_S // 2
    age_s = (now_s - low_bits + half) % TIME_PERIOD_S - half
    issued_at_s = now_s - age_s
    if not compare_digest(_mac(secret, customer_id, issued_at_s), shown[-MAC_SIZE:]):
        return None
    return Shown(customer_id, issued_at_s)


def is_fresh(shown: Shown, now_s: int) -> bool:
    """Return whether a QR can be used at this second."""
    return -SKEW_S <= now_s - shown.issued_at_s <= LIFETIME_S


def _bare(text: str) -> str:
    """Return a QR without white space, and without what tells its symbology (AIM)."""
    return SYMBOLOGY.sub("", text.strip()).strip()


def looks_like_qr(text: str) -> bool:
    """Return whether a text could be a QR, of whatever age and maker: no document is so long."""
    return QR_TEXT.fullmatch(_bare(text)) is not None


def _base36(value: int) -> str:
    """Return QR_CHARACTERS digits, with zeros in front."""
    digits = []
    for _ in range(QR_CHARACTERS):
        value, digit = divmod(value, 36)
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))


def _mac(secret: bytes, customer_id: bytes, issued_at_s: int) -> bytes:
    """Return the keyed hash of a customer and a second."""
    message = issued_at_s.to_bytes(8, "big", signed=True) + customer_id
    return blake2b(
        message, key=key_of(secret, b"leal-qr-key"), digest_size=MAC_SIZE, person=b"leal-qr"
    ).digest()


@lru_cache(maxsize=16)
def key_of(secret: bytes, purpose: bytes) -> bytes:
    """Return the key of one purpose: a hash made for another one with the same secret differs."""
    return blake2b(secret, digest_size=32, person=purpose).digest()

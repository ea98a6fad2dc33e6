"""The code that authorises a payment found by hand (COI-6).

Four digits are safe because of what surrounds them: a code is bound to its payment, of which the
customer, store and amount are part; only a keyed hash of it is stored, with the key outside the
database; and every wrong try is committed before it is answered.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b

CODE_DIGITS = 4
MAC_SIZE = 16


def make_code() -> str:
    """Return a new code, from the system's randomness."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


def code_mac(secret: bytes, payment_id: bytes, code: str) -> bytes:
    """Return the keyed hash of a code of this payment: what the journal keeps and compares."""
    return blake2b(payment_id + code.encode(), key=secret, digest_size=MAC_SIZE).digest()

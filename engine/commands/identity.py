"""What names a transaction: its idempotency key, and the fingerprint of what was asked under it."""

from __future__ import annotations

import re

import msgspec

from engine.commands.currencies import AT_PAR, one_name
from engine.commands.problem import Problem
from engine.ledger.core import fingerprint_of, transaction_id_of
from engine.people.keys import Principal
from engine.schemas.transactions import Accumulation, Payment, Redemption

ENCODER = msgspec.json.Encoder()
KEY_CHARACTERS_MAX = 255
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
"""A key as a structured field has it (RFC 9651): a quote or a backslash inside is escaped."""


def bare_key(text: str) -> str:
    """Return the idempotency key that a text names, bare or quoted; raises Problem."""
    key = text.strip(" \t")
    if key[:1] == '"' and QUOTED.fullmatch(key) is not None:
        key = re.sub(r'\\(["\\])', r"\1", key[1:-1])
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX or not (key.isascii() and key.isprintable()):
        raise Problem(
            "idempotency_key_invalid",
            f"An idempotency key has 1 to {KEY_CHARACTERS_MAX} printable ASCII characters.",
        )
    return key


def transaction_id(principal: Principal, customer_id: bytes, key: str) -> bytes:
    """Return the id of (brand or principal, customer, idempotency key).

    It is the idempotency key of the journal: one brand can neither block nor read another's keys.
    """
    return transaction_id_of(principal.scope, customer_id, key.encode())


def fingerprint(verb: str, fields: bytes, place: int) -> int:
    """Return 64 bits that distinguish requests under the same key."""
    return fingerprint_of(b"%s:%d:%s" % (verb.encode(), place, fields))


def fingerprint_fields(body: Accumulation | Redemption | Payment) -> bytes:
    """Return the meaning of a body as bytes: the same however its JSON was spelled.

    The store is left out, for it goes into the fingerprint whether it was named or is the key's.
    A currency goes in by its one name.
    """
    if isinstance(body, Accumulation) and body.currency is not None and body.currency in AT_PAR:
        body = msgspec.structs.replace(body, currency=one_name(body.currency))
    if body.store_id is not None:
        body = msgspec.structs.replace(body, store_id=None)
    return ENCODER.encode(body)

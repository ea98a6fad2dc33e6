"""Ids in paths, idempotency keys in headers, and the transaction ids that come of them."""

from __future__ import annotations

import re

from engine.api.door import Asked
from engine.api.problems import Problem
from engine.ledger.core import fingerprint_of, transaction_id_of, uuid_bytes
from engine.people.keys import Principal

KEY_CHARACTERS_MAX = 255
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
"""A key as a structured field has it (RFC 9651): a quote or a backslash inside is escaped."""
JOINED = re.compile(r'^,|,$|,[ \t]|"[ \t]*,')
"""What a header looks like where a hop has joined two lines of it (RFC 9110, 5.3)."""


def customer_id_of(params: dict[str, str]) -> bytes:
    """Return the 16 bytes of the customer in the path; what is no UUID is nobody's."""
    return _uuid_of(params, "customer_id", "customer_not_found")


def payment_id_of(params: dict[str, str]) -> bytes:
    """Return the 16 bytes of the payment in the path."""
    return _uuid_of(params, "payment_id", "payment_not_found")


def transaction_of(params: dict[str, str]) -> bytes:
    """Return the 16 bytes of the transaction in the path."""
    return _uuid_of(params, "transaction_id", "transaction_not_found")


def idempotency_key_of(request: Asked, *, required: bool = True) -> str | None:
    """Return the idempotency key, bare or quoted in the header; raises Problem."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        if not required:
            return None
        raise Problem(
            "idempotency_key_missing",
            "Send the header Idempotency-Key: a new one for each intent, the same for a retry.",
        )
    if "," in key and JOINED.search(key) and QUOTED.fullmatch(key.strip(" \t")) is None:
        raise Problem(
            "idempotency_key_invalid",
            "The header Idempotency-Key looks like several keys in one line. Send one; put a key"
            ' with a comma in quotes: "A, 1".',
        )
    return bare_key(key)


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
    """Return 64 bits that tell one request from another under the same key."""
    return fingerprint_of(b"%s:%d:%s" % (verb.encode(), place, fields))


def _uuid_of(params: dict[str, str], name: str, code: str) -> bytes:
    raw = uuid_bytes(params[name])
    if raw is None:
        raise Problem(code, f"{name} is a UUID, like 0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c.")
    return raw

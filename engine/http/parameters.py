"""Parameters of requests: ids in paths, and idempotency keys in headers."""

from __future__ import annotations

import re

from engine.commands.identity import QUOTED, bare_key
from engine.commands.problem import Problem
from engine.http.dispatcher import Asked
from engine.ledger.core import uuid_bytes

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


def idempotency_key_of(request: Asked) -> str:
    """Return the idempotency key, bare or quoted in the header; raises Problem."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
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


def optional_idempotency_key_of(request: Asked) -> str | None:
    """Return the idempotency key of a call that may come without one; raises Problem."""
    return idempotency_key_of(request) if "Idempotency-Key" in request.headers else None


def _uuid_of(params: dict[str, str], name: str, code: str) -> bytes:
    raw = uuid_bytes(params[name])
    if raw is None:
        raise Problem(code, f"{name} is a UUID, like 0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c.")
    return raw

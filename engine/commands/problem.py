"""A problem: why something that was asked for cannot be done, by a stable code (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.codes import Refusal
from engine.ledger.vocabulary import REFUSALS


@dataclass(slots=True)
class Problem(Exception):
    """One problem; `members` are what its code promises beyond the standard's.

    `code` is one of the table in `engine/http/problems.py`, or a refusal of the ledger. `spanish`
    is its detail in Spanish where the sentence of its code does not fit. `retry_after_s` is the
    time after which another try may succeed, in seconds. `replayed` is whether an earlier request
    with the same idempotency key has had the same answer.
    """

    code: str
    detail: str
    members: dict[str, Any] = field(default_factory=dict)
    spanish: str | None = None
    retry_after_s: int | None = None
    replayed: bool = False


def refusal_problem(refusal: Refusal, **members: Any) -> Problem:
    """Return the problem that reports a refusal of the ledger."""
    return Problem(refusal.code, REFUSALS[refusal].advice, members)

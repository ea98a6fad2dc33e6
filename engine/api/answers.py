"""Answers: what a decided operation, or its receipt, looks like on the wire.

The same functions write the first answer and every retry's, so the two cannot differ.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NoReturn

import orjson

from engine.api.problems import Problem, refusal_problem
from engine.api.reply import REPLAYED
from engine.ledger.core import uuid_text
from engine.ledger.receipts import Answer
from engine.ledger.vocabulary import Kind, Refusal
from engine.people.profile import names_of
from engine.programme.calendar import iso_day, iso_moment

iso_day_cached = lru_cache(maxsize=4096)(iso_day)


def raise_refusal(decided: Answer, *, replayed: bool = False) -> None:
    """Raise the Problem of a refused operation, with what its code promises; else do nothing."""
    if decided.refusal:
        _refuse(decided, replayed=replayed)


def accumulation_answer(decided: Answer) -> bytes:
    """Return the body of an accumulation's 201."""
    if decided.refusal:
        _refuse(decided)
    return orjson.dumps(
        _place(decided)
        | {
            "points": _earned(decided.amount, decided.balance, decided.earned_expires_day),
            "coins": _earned(decided.coins_amount, decided.coins_balance, decided.coins_expires_day)
            if decided.has_coins
            else None,
            "recorded_at": iso_moment(decided.recorded_at),
        }
    )


def redemption_answer(decided: Answer) -> bytes:
    """Return the body of a redemption's 201."""
    if decided.refusal:
        _refuse(decided)
    return orjson.dumps(
        _place(decided)
        | {
            "points": {"spent": -decided.amount, "balance": decided.balance},
            **_details(decided),
            "recorded_at": iso_moment(decided.recorded_at),
        }
    )


def payment_answer(decided: Answer, status: str, hold: Answer | None = None) -> bytes:
    """Return the body of a payment in `status`; `hold` is its first posting, if it has more."""
    first = hold or decided
    body = {
        "payment_id": uuid_text(first.reference or first.transaction_id),
        **_place(decided),
        "status": status,
        "coins": first.requested or abs(decided.amount),
        "balance": decided.balance,
        "held": decided.held,
    }
    if status == "requires_code":
        body |= {
            "sent_to": _details(first).get("sent_to"),
            "expires_at": iso_moment(first.hold_expires_at),
            "tries_left": decided.tries_left,
        }
    return orjson.dumps(body | {"recorded_at": iso_moment(decided.recorded_at)})


def recorded_answer(decided: Answer, hold: Answer | None = None) -> bytes:
    """Return the recorded answer of any transaction that a client asked for; raises Problem.

    `hold` is what the payment of a resent code began with.
    """
    if decided.kind == Kind.ACCUMULATION:
        return accumulation_answer(decided)
    if decided.kind == Kind.REDEMPTION:
        return redemption_answer(decided)
    if decided.kind == Kind.EXPIRY:
        return _expiry_answer(decided)
    if decided.kind in STANDING_KINDS:
        return _standing_answer(decided)
    raise_refusal(decided)
    return payment_answer(decided, PAYMENT_STATUS[Kind(decided.kind)], hold)


def _expiry_answer(decided: Answer) -> bytes:
    """Return the body of breakage, which nobody asked for (PTS-5)."""
    return orjson.dumps(
        {
            "transaction_id": uuid_text(decided.transaction_id),
            "customer_id": uuid_text(decided.customer_id),
            "brand_id": decided.brand_id or None,
            "expired": -decided.amount,
            "balance": decided.balance,
            "recorded_at": iso_moment(decided.recorded_at),
        }
    )


def _standing_answer(decided: Answer) -> bytes:
    """Return the body of a block or an unblock: who did it, and why (CUS-9)."""
    return orjson.dumps(
        {
            "transaction_id": uuid_text(decided.transaction_id),
            "customer_id": uuid_text(decided.customer_id),
            "type": Kind(decided.kind).name.lower(),
            **_details(decided),
            "recorded_at": iso_moment(decided.recorded_at),
        }
    )


STANDING_KINDS = frozenset({Kind.BLOCK, Kind.UNBLOCK})
"""What is for the network's eyes alone."""

PAYMENT_STATUS = {
    Kind.HOLD: "requires_code",
    Kind.CAPTURE: "succeeded",
    Kind.VOID: "voided",
    Kind.RELEASE: "expired",
    Kind.RESEND: "requires_code",
}


def _place(decided: Answer) -> dict[str, Any]:
    """Return what every answer begins with: which transaction, whose, and where."""
    return {
        "transaction_id": uuid_text(decided.transaction_id),
        "customer_id": uuid_text(decided.customer_id),
        "store_id": decided.store_id,
        "brand_id": decided.brand_id,
    }


def _refuse(decided: Answer, *, replayed: bool = False) -> NoReturn:
    refusal = Refusal(decided.refusal)
    members: dict[str, Any] = {}
    if refusal is Refusal.PROFILE_INCOMPLETE:
        members = {"missing_fields": names_of(decided.missing_fields)}
    elif refusal in (Refusal.INSUFFICIENT_POINTS, Refusal.INSUFFICIENT_COINS):
        members = {"available": decided.balance, "required": decided.requested}
    elif refusal is Refusal.CODE_INVALID:
        members = {"tries_left": decided.tries_left}
    problem: Problem = refusal_problem(refusal, **members)
    if replayed:
        problem.headers |= REPLAYED
    raise problem


def _earned(amount: int, balance: int, expires_day: int) -> dict[str, Any]:
    expires_on = iso_day_cached(expires_day) if amount else None
    return {"earned": amount, "balance": balance, "expires_on": expires_on}


def _details(decided: Answer) -> dict[str, Any]:
    return orjson.loads(decided.details) if decided.details else {}

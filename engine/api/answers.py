"""Answers: what a decided operation, or its receipt, looks like on the wire.

The same functions write the first answer and every retry's, so the two cannot differ. None is given
a refusal: commands raise the Problem of it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from engine.codes import COINS, EXCHANGES, PAYMENT_STATUS, STANDING, Kind
from engine.http.plain import accumulation_text
from engine.ledger.core import uuid_text
from engine.ledger.receipts import Answer, details_of
from engine.people.codes import CODE_DIGITS
from engine.programme.calendar import iso_day, iso_moment
from engine.programme.items import ItemKind

iso_day_cached = lru_cache(maxsize=4096)(iso_day)


def redemption_answer(decided: Answer) -> bytes:
    """Return the body of a redemption's 201."""
    return orjson.dumps(
        _place(decided)
        | {
            "points": {"spent": -decided.amount, "balance": decided.balance},
            "item": redeemed_item(details_of(decided)),
            "recorded_at": iso_moment(decided.recorded_at),
        }
    )


def redeemed_item(details: dict[str, Any]) -> dict[str, Any] | None:
    """Return what was redeemed by the details of a posting, None where nothing was."""
    item: dict[str, Any] | None = details.get("item")
    if item is None:
        return None
    kind = next(kind for kind in ItemKind if kind.id_name in item)
    return {"kind": kind.value, **item}


def payment_answer(decided: Answer, status: str, hold: Answer | None = None) -> bytes:
    """Return the body of a payment in `status`; `hold` is its first posting, if it has more."""
    first = hold or decided
    body = {
        "payment_id": uuid_text(first.reference or first.transaction_id),
        **_place(decided),
        "store_id": first.store_id,
        "brand_id": first.brand_id,
        "status": status,
        "coins": first.requested or abs(decided.amount),
        "balance": decided.balance,
        "held": decided.held,
    }
    details = details_of(first)
    if "item" in details:
        body["item"] = redeemed_item(details)
    if status == "requires_code":
        body |= {
            "sent_to": details.get("sent_to"),
            "expires_at": iso_moment(first.hold_expires_at),
            "tries_left": decided.tries_left,
            "resends_left": decided.resends_left,
            "code_digits": details.get("code_digits", CODE_DIGITS),
        }
    return orjson.dumps(body | {"recorded_at": iso_moment(decided.recorded_at)})


def recorded_answer(decided: Answer, hold: Answer | None = None) -> bytes:
    """Return the recorded answer of any transaction that a client asked for.

    `hold` is what the payment of a resent code began with.
    """
    if decided.kind == Kind.ACCUMULATION:
        return accumulation_text(decided)
    if decided.kind == Kind.REDEMPTION:
        return redemption_answer(decided)
    if decided.kind == Kind.EXPIRY:
        return _expiry_answer(decided)
    if decided.kind in STANDING:
        return _standing_answer(decided)
    if decided.kind in EXCHANGES:
        return coins_answer(decided)
    if decided.kind == Kind.REVERSAL:
        return reversal_answer(decided)
    return payment_answer(decided, PAYMENT_STATUS[decided.kind], hold)


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


def coins_answer(decided: Answer) -> bytes:
    """Return the body of coins that came or went at once: whose, whereby, and how many."""
    coins = _earned(decided.amount, decided.balance, decided.earned_expires_day)
    if decided.kind == Kind.DONATION:
        coins = {"spent": -decided.amount, "balance": decided.balance}
    place = _place(decided)
    if decided.kind != Kind.CASHBACK:
        del place["store_id"], place["brand_id"]
    return orjson.dumps(
        place
        | details_of(decided)
        | {"coins": coins, "recorded_at": iso_moment(decided.recorded_at)}
    )


def reversal_answer(decided: Answer) -> bytes:
    """Return the body of a reversal: what it undid, and what each wallet got of it."""
    details = details_of(decided)
    first = _undone(decided.amount, decided.balance)
    second = _undone(decided.coins_amount, decided.coins_balance) if decided.has_coins else None
    of_coins = decided.asset == COINS
    return orjson.dumps(
        {
            "transaction_id": uuid_text(decided.transaction_id),
            "customer_id": uuid_text(decided.customer_id),
            "store_id": decided.store_id or None,
            "brand_id": decided.brand_id or None,
            "reversed_transaction_id": uuid_text(decided.reference or decided.transaction_id),
            "type": details["type"],
            "points": None if of_coins else first,
            "coins": first if of_coins else second,
            "reason": details["reason"],
            "cause": details["cause"],
            "recorded_at": iso_moment(decided.recorded_at),
        }
    )


def _undone(amount: int, balance: int) -> dict[str, int]:
    return {"amount": amount, "balance": balance, "owed": max(-balance, 0)}


def _standing_answer(decided: Answer) -> bytes:
    """Return the body of a block or an unblock: who did it, and why (CUS-9)."""
    return orjson.dumps(
        {
            "transaction_id": uuid_text(decided.transaction_id),
            "customer_id": uuid_text(decided.customer_id),
            "type": Kind(decided.kind).name.lower(),
            **details_of(decided),
            "recorded_at": iso_moment(decided.recorded_at),
        }
    )


def _place(decided: Answer) -> dict[str, Any]:
    """Return what every answer begins with: which transaction, whose, and where."""
    return {
        "transaction_id": uuid_text(decided.transaction_id),
        "customer_id": uuid_text(decided.customer_id),
        "store_id": decided.store_id,
        "brand_id": decided.brand_id,
    }


def _earned(amount: int, balance: int, expires_day: int) -> dict[str, Any]:
    expires_on = iso_day_cached(expires_day) if amount else None
    return {"earned": amount, "balance": balance, "expires_on": expires_on}

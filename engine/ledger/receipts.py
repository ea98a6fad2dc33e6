"""Receipts: what the journal says of an operation, the same for every reader and every retry.

An operation that was just decided and its rows read back have the same attributes, so that one
function writes the answer to the first request and to every retry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from engine.codes import EARNS, ISSUES, Counter, Kind
from engine.constants import MICROSECONDS
from engine.ledger.core import Leg, hold_of


class Answer(Protocol):
    """What an answer is written from; see `engine/ledger/core.pyi` for units."""

    kind: int
    customer_id: bytes
    transaction_id: bytes
    brand_id: int
    store_id: int
    asset: int
    requested: int
    refusal: int
    missing_fields: int
    amount: int
    balance: int
    held: int
    earned_expires_day: int
    has_coins: bool
    coins_amount: int
    coins_balance: int
    coins_expires_day: int
    recorded_at: int
    tries_left: int
    resends_left: int
    hold_expires_at: int
    reference: bytes | None
    details: bytes | None


def details_of(answer: Answer) -> dict[str, Any]:
    """Return what is said of an operation that no column holds, by name; empty for nothing."""
    return {} if answer.details is None else orjson.loads(answer.details)


@dataclass(slots=True)
class Receipt:
    """An operation as its journal rows tell it."""

    kind: int
    customer_id: bytes
    transaction_id: bytes
    fingerprint: int
    brand_id: int
    store_id: int
    asset: int
    requested: int
    refusal: int
    missing_fields: int
    amount: int
    balance: int
    held: int
    earned_expires_day: int
    has_coins: bool
    coins_amount: int
    coins_balance: int
    coins_expires_day: int
    recorded_at: int
    tries_left: int
    resends_left: int
    hold_expires_at: int
    reference: bytes | None
    details: bytes | None
    hash: bytes


def receipt_of(rows: Sequence[Any]) -> Receipt:
    """Return the receipt of one transaction from its rows, leg 0 first.

    Each row has the columns of the query `find`.
    """
    first = rows[0]
    coins = rows[1] if len(rows) > 1 else None
    reference = first["reference"]
    tries_left, resends_left, hold_expires_at = _hold_facts(first)
    return Receipt(
        kind=first["kind"],
        customer_id=first["customer_id"].bytes,
        transaction_id=first["transaction_id"].bytes,
        fingerprint=first["fingerprint"],
        brand_id=first["brand_id"],
        store_id=first["store_id"],
        asset=first["asset"],
        requested=first["requested"],
        refusal=first["refusal"],
        missing_fields=first["missing_fields"],
        amount=first["held_amount"] if first["kind"] == Kind.CAPTURE else first["amount"],
        balance=first["balance"],
        held=first["held"],
        earned_expires_day=_expires_day(first),
        has_coins=coins is not None,
        coins_amount=0 if coins is None else coins["amount"],
        coins_balance=0 if coins is None else coins["balance"],
        coins_expires_day=0 if coins is None else _expires_day(coins),
        recorded_at=microseconds(first["recorded_at"]),
        tries_left=tries_left,
        resends_left=resends_left,
        hold_expires_at=hold_expires_at,
        reference=None if reference is None else reference.bytes,
        details=None if first["details"] is None else first["details"].encode(),
        hash=first["hash"],
    )


@dataclass(frozen=True, slots=True)
class Once:
    """What a transaction took, claimed or paid, which no column of its rows says.

    `claim` is (kind, owner, key), `invoice` (store_id, key) of the invoice that its coins paid.
    """

    item_id: int = 0
    unit: int = 0
    turn: int = 0
    claim: tuple[int, int, bytes] | None = None
    invoice: tuple[int, bytes] | None = None


def legs_of(rows: Sequence[Any], once: Once) -> list[Leg]:
    """Return what a reversal of a transaction needs of its rows, leg 0 first.

    Each row has the columns of the query `find`. A capture's unit, turn and invoice are those of
    its payment. The reference of a row that issues coins is the allotment that paid for them.
    """
    return [
        Leg(
            asset=row["asset"],
            kind=row["kind"],
            refusal=row["refusal"],
            amount=row["amount"],
            held_amount=row["held_amount"],
            moved=zip(row["moved"][::2], row["moved"][1::2], strict=True),
            counter=row["counter"],
            counter_party=row["counter_party"],
            item_id=0 if row["leg"] else once.item_id,
            unit=0 if row["leg"] else once.unit,
            turn=0 if row["leg"] else once.turn,
            claim=None if row["leg"] else once.claim,
            invoice=None if row["leg"] else once.invoice,
            taker=row["reference" if row["kind"] == Kind.CAPTURE else "transaction_id"].bytes,
            allotment_id=_allotment_of(row),
        )
        for row in rows
    ]


def microseconds(moment: datetime) -> int:
    """Return microseconds since 1970 of an aware `moment`, exactly."""
    return int(moment.replace(microsecond=0).timestamp()) * MICROSECONDS + moment.microsecond


def _allotment_of(row: Any) -> bytes | None:
    """Return what the coins of a prepaid issuer were drawn from, None where none were."""
    if row["kind"] not in ISSUES or row["counter"] != Counter.COINS_ISSUED:
        return None
    return None if row["reference"] is None else bytes(row["reference"].bytes)


def _expires_day(row: Any) -> int:
    """Return the last day of the lot that was earned, 0 where none was."""
    moved = row["moved"]
    if row["kind"] not in EARNS or not moved:
        return 0
    return int(moved[0]) >> 32


def _hold_facts(row: Any) -> tuple[int, int, int]:
    """Return (tries left, resends left, expires at) of the row's payment after it; 0s when over."""
    packed, reference = row["holds"], row["reference"]
    hold = None if reference is None else hold_of(packed, reference.bytes)
    return (0, 0, 0) if hold is None else (hold.tries_left, hold.resends_left, hold.expires_at)

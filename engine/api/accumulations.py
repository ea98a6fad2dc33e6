"""Accumulations: a sale earns points, and at an issuer brand coins (PTS-3, COI-2)."""

from __future__ import annotations

import time
from datetime import datetime

from engine.api.answers import accumulation_answer, raise_refusal
from engine.api.door import Call, answer, read_body
from engine.api.identity import (
    customer_id_of,
    fingerprint,
    idempotency_key_of,
    transaction_id,
)
from engine.api.places import store_of
from engine.api.problems import Problem
from engine.api.reply import Reply
from engine.api.services import Services
from engine.api.shapes.scalars import AMOUNT_MAX
from engine.api.shapes.transactions import Accumulation
from engine.api.wire import Wire, fingerprint_fields
from engine.ledger.core import Operation
from engine.ledger.vocabulary import Kind
from engine.people.keys import Principal
from engine.programme.calendar import COINS_COUNTRY, DAY_SECONDS, UTC_OFFSETS, local_day
from engine.programme.catalogue import Store
from engine.programme.earning import coins_expire

FUTURE_SECONDS_MAX = 300
"""How far ahead of ours the clock of a point of sale may be."""

WIRE = Wire(Accumulation)


async def accumulate(services: Services, call: Call) -> Reply:
    """`POST /v1/customers/{customer_id}/accumulations`."""
    customer_id = customer_id_of(call.params)
    key = idempotency_key_of(call.request)
    body = WIRE.decode(await read_body(services, call.request))
    store = store_of(services.catalogue.now, call.principal, body.store_id)
    try:
        operation = earn(services, call.principal, store, customer_id, str(key), body)
    except Problem:
        # A retry is answered from the books, even where the sale is too old for a new one by now.
        transaction = transaction_id(call.principal, customer_id, str(key))
        recorded = await services.statements.receipt(customer_id, transaction)
        if recorded is None or recorded.fingerprint != _fingerprint(body, store):
            raise
        raise_refusal(recorded, replayed=True)
        return answer(accumulation_answer(recorded), 201, replayed=True)
    decided, replayed = await services.committer.submit(operation)
    raise_refusal(decided, replayed=replayed)
    return answer(accumulation_answer(decided), 201, replayed=replayed)


def earn(
    services: Services,
    principal: Principal,
    store: Store,
    customer_id: bytes,
    key: str,
    body: Accumulation,
) -> Operation:
    """Return the operation that a sale makes, by the programme in force at that time (PTS-2)."""
    brand = store.brand
    if body.amount is None:
        raise Problem("amount_required", "Send `amount` and `currency`; no such invoice is known.")
    if body.currency is not None and body.currency != brand.currency:
        raise Problem("currency_mismatch", f"Sales of this store are in {brand.currency}.")
    occurred_s = occurred_at_s(body.occurred_at, services.settings.occurred_days_max)
    programme = brand.programme_at(occurred_s)
    if programme is None:
        raise Problem("occurred_at_out_of_range", "The brand had no programme at `occurred_at`.")
    points, coins = programme.points_for(body.amount), programme.coins_for(body.amount)
    if max(points, coins) > AMOUNT_MAX:
        raise Problem("invalid_request", f"`amount` earns more than {AMOUNT_MAX}.")
    return Operation(
        kind=Kind.ACCUMULATION,
        customer_id=customer_id,
        transaction_id=transaction_id(principal, customer_id, key),
        fingerprint=_fingerprint(body, store),
        brand_id=brand.brand_id,
        store_id=store.store_id,
        asset=brand.brand_id,
        requested=points,
        expires_day=programme.points_expire(local_day(occurred_s, brand.utc_offset)),
        coins=coins,
        coins_expires_day=coins_expire(local_day(occurred_s, UTC_OFFSETS[COINS_COUNTRY])),
        utc_offset=brand.utc_offset,
        occurred_at=int(occurred_s * 1_000_000),
        bill_amount=body.amount,
        invoice_number=None if body.invoice_number is None else body.invoice_number.encode(),
    )


def _fingerprint(body: Accumulation, store: Store) -> int:
    return fingerprint("accumulation", fingerprint_fields(body), store.store_id)


def occurred_at_s(occurred_at: datetime | None, days_max: int) -> float:
    """Return when a sale happened, in seconds since 1970; raises Problem where that cannot be."""
    now = time.time()
    if occurred_at is None:
        return now
    if occurred_at.tzinfo is None:
        raise Problem(
            "invalid_request", "`occurred_at` needs its offset, like 2026-01-31T10:00:00Z."
        )
    moment = occurred_at.timestamp()
    if not now - days_max * DAY_SECONDS <= moment <= now + FUTURE_SECONDS_MAX:
        raise Problem(
            "occurred_at_out_of_range", f"`occurred_at` lies at most {days_max} days back."
        )
    return moment

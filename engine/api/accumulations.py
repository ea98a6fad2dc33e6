"""Accumulations: a sale earns points, and at an issuer brand coins (PTS-3, COI-2)."""

from __future__ import annotations

from engine.api.answers import accumulation_answer
from engine.api.replays import retried
from engine.codes import Kind
from engine.commands.currencies import check_currency
from engine.commands.identity import fingerprint, fingerprint_fields, transaction_id
from engine.commands.issuing import Facts, issue, needs_funds
from engine.commands.moments import occurred_at_s
from engine.commands.problem import Problem
from engine.commands.refusals import raise_refusal
from engine.commands.sales import NOT_KNOWN, Asked, Sale, check_printed, find_sale, sold_at_s
from engine.commands.scope import store_of
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of, idempotency_key_of
from engine.http.plain import PlainRequest
from engine.http.response import Response
from engine.ledger.core import Operation
from engine.people.keys import Principal
from engine.programme.brands import Store
from engine.programme.calendar import (
    COINS_COUNTRY,
    UTC_OFFSETS,
    local_day,
)
from engine.programme.earning import coins_expire
from engine.schemas.scalars import AMOUNT_MAX
from engine.schemas.transactions import Accumulation

WIRE = BodyDecoder(Accumulation)


async def accumulate(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/accumulations`."""
    customer_id = customer_id_of(call.params)
    key = idempotency_key_of(call.request)
    body = WIRE.decode(await read_body(services, call.request))
    try:
        store = store_of(services.catalogue.now, call.principal, body.store_id)
        sale = await _sale(services, store, body)
        facts = earn(services, call.principal, store, customer_id, str(key), body, sale)
    except Problem as problem:
        return await retried(
            services, call.principal, customer_id, str(key), "accumulation", body, problem
        )
    decided, replayed = await issue(services, store.brand, facts)
    raise_refusal(decided, replayed=replayed)
    return answer(accumulation_answer(decided), 201, replayed=replayed)


def accumulation_at_once(
    services: Services,
    principal: Principal,
    customer_id: bytes,
    request: PlainRequest,
    sent: bytes,
) -> Operation | None:
    """Return the operation of a sale for which nothing has to be looked up, None for another one.

    Raises Problem where `accumulate` does, which may know an answer all the same.
    """
    key = idempotency_key_of(request)
    body = WIRE.decode(sent)
    store = store_of(services.catalogue.now, principal, body.store_id)
    if body.invoice_number is not None and (
        body.amount is None
        or store.earlier_scopes
        or not services.invoices.prints_nothing(store.store_id)
    ):
        return None
    facts = earn(services, principal, store, customer_id, str(key), body, NOT_KNOWN)
    operation = Operation(**facts)
    if needs_funds(store.brand, operation) or services.committer.repeats.expects(operation):
        return None
    return operation


async def _sale(services: Services, store: Store, body: Accumulation) -> Sale:
    """Return how the sale of a body stands already (INV-2).

    A store whose point of sale prints nothing is not asked for what it cannot have.
    """
    number = body.invoice_number
    if number is None or (
        body.amount is not None
        and not store.earlier_scopes
        and not await services.invoices.prints(store.store_id)
    ):
        return NOT_KNOWN
    asked = Asked(store, number, sold_at_s(services, body.occurred_at), body.till)
    return await find_sale(services, asked)


def earn(
    services: Services,
    principal: Principal,
    store: Store,
    customer_id: bytes,
    key: str,
    body: Accumulation,
    sale: Sale,
) -> Facts:
    """Return what a sale makes an operation of, by the programme in force at that time (PTS-2).

    What the point of sale has printed of the `sale` is what was sold, when it was issued unless the
    body says otherwise; nobody types another amount. Raises Problem.
    """
    brand, printed = store.brand, sale.printed
    amount, occurred_at, scope = body.amount, body.occurred_at, None
    number = body.invoice_number
    if printed is not None:
        # Of a claimed one the ledger says so, whatever amount was sent.
        check_printed(printed, amount if printed.transaction_id is None else None)
        amount = printed.amount
        occurred_at = printed.issued_at if occurred_at is None else occurred_at
    if amount is None:
        raise Problem("amount_required", _what_is_missing(store, number))
    check_currency(body.currency, brand)
    occurred_s = occurred_at_s(occurred_at, services.settings.occurred_days_max)
    programme = brand.programme_at(occurred_s)
    if programme is None:
        raise Problem("occurred_at_out_of_range", "The brand had no programme when this was sold.")
    if number is not None:
        scope = sale.scope(store, number, occurred_s, body.till)
    points, coins = programme.points_for(amount), programme.coins_for(amount)
    if max(points, coins) > AMOUNT_MAX:
        raise Problem("invalid_request", f"`amount` is too large: it earns more than {AMOUNT_MAX}.")
    return {
        "kind": Kind.ACCUMULATION,
        "customer_id": customer_id,
        "transaction_id": transaction_id(principal, customer_id, key),
        "fingerprint": _fingerprint(body, store),
        "brand_id": brand.brand_id,
        "store_id": store.store_id,
        "asset": brand.brand_id,
        "requested": points,
        "expires_day": programme.points_expire(local_day(occurred_s, brand.utc_offset)),
        "coins": coins,
        "coins_expires_day": coins_expire(local_day(occurred_s, UTC_OFFSETS[COINS_COUNTRY])),
        "utc_offset": brand.utc_offset,
        "occurred_at": int(occurred_s * 1_000_000),
        "bill_amount": amount,
        "invoice_number": None if number is None else number.encode(),
        "invoice_scope": scope,
    }


def _what_is_missing(store: Store, number: str | None) -> str:
    if number is None:
        return "Send `amount` in minor units, or the `invoice_number` of a sale that was printed."
    missing = "Send `amount`: the point of sale of this store has printed no invoice of this number"
    if store.invoice_scope == "forever":
        return f"{missing}."
    return (
        f"{missing} on the day of the sale. Its numbers restart: send `occurred_at` for a sale of"
        " another day."
    )


def _fingerprint(body: Accumulation, store: Store) -> int:
    return fingerprint("accumulation", fingerprint_fields(body), store.store_id)

"""Payments with coins: hold, code, confirm, or void (COI-3…COI-7).

A payment is found by its id for ever after: what is open stands in the wallet, what is over is told
from its postings.
"""

from __future__ import annotations

import time
from uuid import UUID

import orjson
import structlog
from uuid_utils import uuid7

from engine.api.answers import payment_answer, raise_refusal
from engine.api.door import Call, answer, read_body
from engine.api.identity import (
    customer_id_of,
    fingerprint,
    idempotency_key_of,
    payment_id_of,
    transaction_id,
)
from engine.api.places import store_of
from engine.api.problems import Problem, refusal_problem
from engine.api.reply import Reply
from engine.api.retries import retried
from engine.api.services import Services
from engine.api.shapes.transactions import Confirmation, Nothing, Payment
from engine.api.wire import Wire, fingerprint_fields
from engine.errors import CustomerNotFound, PaymentNotFound
from engine.ledger.core import Operation, uuid_text
from engine.ledger.receipts import Receipt
from engine.ledger.vocabulary import COINS, Kind, Refusal
from engine.people.codes import code_mac, make_code
from engine.people.contacts import mask_email, mask_tail
from engine.people.customers import Customer
from engine.programme.brands import Store

log = structlog.get_logger()

COIN_MINOR_UNITS = 100
"""A coin is a peso (COI-1), and a peso has 100 minor units."""

PAYMENT = Wire(Payment)
CONFIRMATION = Wire(Confirmation)
NOTHING = Wire(Nothing)


async def pay(services: Services, call: Call) -> Reply:
    """`POST /v1/customers/{customer_id}/payments`: hold the coins, and send a code."""
    customer_id = customer_id_of(call.params)
    key = idempotency_key_of(call.request)
    body = PAYMENT.decode(await read_body(services, call.request))
    if not body.document_checked:
        raise Problem(
            "document_not_checked",
            "Check the customer's physical document, then send `document_checked: true`.",
        )
    if body.amount is not None and body.coins * COIN_MINOR_UNITS > body.amount:
        raise Problem("invalid_request", "`coins` are more than the bill of `amount`.")
    try:
        store = store_of(services.catalogue.now, call.principal, body.store_id)
    except Problem as problem:
        return await retried(
            services, call.principal, customer_id, str(key), "payment", body, problem
        )
    customer = await _customer(services, customer_id)
    payment_id = transaction_id(call.principal, customer_id, str(key))
    code = make_code()
    sent_to = _masked(customer)
    operation = Operation(
        kind=Kind.HOLD,
        customer_id=customer_id,
        transaction_id=payment_id,
        fingerprint=fingerprint("payment", fingerprint_fields(body), store.store_id),
        brand_id=store.brand.brand_id,
        store_id=store.store_id,
        asset=COINS,
        requested=body.coins,
        occurred_at=time.time_ns() // 1000,
        bill_amount=-1 if body.amount is None else body.amount,
        details=orjson.dumps({"sent_to": sent_to, "invoice_number": body.invoice_number}),
        reference=payment_id,
        code_mac=code_mac(services.code_secret, payment_id, code),
        hold_expires_at=time.time_ns() // 1000 + services.settings.code_lifetime_s * 1_000_000,
        tries_max=services.settings.code_tries_max,
        resends_max=services.settings.code_resends_max,
        needs_profile=True,
        barred=_barred(store, body),
    )
    decided, replayed = await services.committer.submit(operation)
    raise_refusal(decided, replayed=replayed)
    if not replayed:
        await _send_code(services, customer, store.store_id, body.coins, code)
    return answer(payment_answer(decided, "requires_code"), 201, replayed=replayed)


async def confirm(services: Services, call: Call) -> Reply:
    """`POST …/payments/{payment_id}/confirm`: capture the hold with the code that was typed."""
    body = CONFIRMATION.decode(await read_body(services, call.request))
    payment_id = payment_id_of(call.params)
    hold = await _payment(services, call)
    mac = code_mac(services.code_secret, payment_id, body.code)
    operation = _operation(call, hold, Kind.CAPTURE, fields=mac, mac=mac)
    try:
        decided, replayed = await services.committer.submit(operation)
    except PaymentNotFound:
        return await _over(services, hold, wanted=Kind.CAPTURE)
    raise_refusal(decided, replayed=replayed)
    return answer(payment_answer(decided, "succeeded"), replayed=replayed)


async def resend(services: Services, call: Call) -> Reply:
    """`POST …/payments/{payment_id}/resend`: a new code to the same person (*Reenviar código*)."""
    NOTHING.decode(await read_body(services, call.request))
    payment_id = payment_id_of(call.params)
    hold = await _payment(services, call)
    customer = await _customer(services, hold.customer_id)
    code = make_code()
    mac = code_mac(services.code_secret, payment_id, code)
    operation = _operation(call, hold, Kind.RESEND, mac=mac)
    try:
        decided, replayed = await services.committer.submit(operation)
    except PaymentNotFound:
        return await _over(services, hold, wanted=None)
    raise_refusal(decided, replayed=replayed)
    if not replayed:
        await _send_code(services, customer, hold.store_id, hold.requested, code)
    return answer(payment_answer(decided, "requires_code", hold=hold), replayed=replayed)


async def void(services: Services, call: Call) -> Reply:
    """`POST …/payments/{payment_id}/void`: the held coins go back."""
    NOTHING.decode(await read_body(services, call.request))
    hold = await _payment(services, call)
    operation = _operation(call, hold, Kind.VOID)
    try:
        decided, replayed = await services.committer.submit(operation)
    except PaymentNotFound:
        return await _over(services, hold, wanted=Kind.VOID)
    return answer(payment_answer(decided, "voided"), replayed=replayed)


async def get(services: Services, call: Call) -> Reply:
    """`GET …/payments/{payment_id}`: how the payment stands."""
    hold = await _payment(services, call)
    postings = await services.statements.payment(hold.customer_id, payment_id_of(call.params))
    last = postings[-1]
    return answer(payment_answer(last, _status(last, postings), hold=hold))


def _barred(store: Store, body: Payment) -> int:
    """Return the refusal that no balance has a say in, 0 where there is none (COI-3)."""
    if not store.takes_coins(time.time()):
        return Refusal.COINS_NOT_ACCEPTED
    return Refusal.QR_INVALID if body.qr is not None else 0


async def _customer(services: Services, customer_id: bytes) -> Customer:
    customer = await services.customers.get(UUID(bytes=customer_id))
    if customer is None:
        raise CustomerNotFound
    return customer


async def _payment(services: Services, call: Call) -> Receipt:
    """Return the hold that a payment began with; another's is told like none at all."""
    payment_id = payment_id_of(call.params)
    hold = await services.statements.receipt(customer_id_of(call.params), payment_id)
    if (
        hold is None
        or hold.kind != Kind.HOLD
        or hold.refusal
        or not call.principal.sees_brand(hold.brand_id)
        or call.principal.store_id not in (None, hold.store_id)
    ):
        raise Problem("payment_not_found", f"There is no payment {uuid_text(payment_id)}.")
    return hold


def _operation(
    call: Call,
    hold: Receipt,
    kind: Kind,
    *,
    fields: bytes = b"",
    mac: bytes | None = None,
) -> Operation:
    """Return an operation on an open payment; its key is optional, for it can be done only once."""
    key = idempotency_key_of(call.request, required=False)
    verb = kind.name.lower()
    own_id = (
        uuid7().bytes
        if key is None
        else transaction_id(call.principal, hold.customer_id, f"{verb}\0{key}")
    )
    return Operation(
        kind=kind,
        customer_id=hold.customer_id,
        transaction_id=own_id,
        fingerprint=fingerprint(verb, hold.transaction_id + fields, hold.store_id),
        brand_id=hold.brand_id,
        store_id=hold.store_id,
        occurred_at=time.time_ns() // 1000,
        reference=hold.transaction_id,
        code_mac=mac,
    )


def _status(last: Receipt, postings: list[Receipt]) -> str:
    """Return how a payment stands by its newest posting, at this moment."""
    if last.kind == Kind.CAPTURE and not last.refusal:
        return "succeeded"
    if last.kind == Kind.VOID:
        return "voided"
    if last.kind == Kind.CAPTURE and last.tries_left == 0 and last.refusal == Refusal.CODE_INVALID:
        return "failed"
    expired = max(posting.hold_expires_at for posting in postings) <= time.time_ns() // 1000
    return "expired" if last.kind == Kind.RELEASE or expired else "requires_code"


async def _over(services: Services, hold: Receipt, *, wanted: Kind | None) -> Reply:
    """Answer for a payment that is not open any more: it is told the same for ever."""
    postings = await services.statements.payment(hold.customer_id, hold.transaction_id)
    last = postings[-1]
    status = _status(last, postings)
    if status == "succeeded" and wanted == Kind.CAPTURE:
        return answer(payment_answer(last, status), replayed=True)
    if status == "succeeded":
        raise Problem(
            "payment_captured", "The coins are paid already; reverse the payment instead."
        )
    if wanted == Kind.VOID:
        return answer(payment_answer(last, "voided", hold=hold), replayed=True)
    raise refusal_problem(Refusal.CODE_EXHAUSTED if status == "failed" else Refusal.PAYMENT_EXPIRED)


def _masked(customer: Customer) -> str:
    return mask_tail(customer.phone) if customer.phone else mask_email(customer.email)


async def _send_code(
    services: Services, customer: Customer, store_id: int, coins: int, code: str
) -> None:
    """Send a code to what is on file; where that fails, the cashier can send it again."""
    store = services.catalogue.now.stores.get(store_id)
    place = f" en {store.name}" if store else ""
    text = f"Leal: su código para pagar {coins} coins{place} es {code}. No lo comparta."
    channel, to = ("sms", customer.phone) if customer.phone else ("email", customer.email)
    try:
        await services.sender.send(channel, str(to), text)
    except OSError as error:
        log.error("code_not_sent", channel=channel, error=type(error).__name__)
        services.metrics.codes_sent.labels("failed").inc()
    else:
        services.metrics.codes_sent.labels("sent").inc()

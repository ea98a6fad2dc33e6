"""Payments with coins: at once by a QR; or hold, code, confirm, or void (COI-3…COI-7).

A payment is found by its id for ever after: what is open stands in the wallet, what is over is told
from its postings.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import orjson
from uuid_utils import uuid7

from engine.api.answers import payment_answer, recorded_answer
from engine.api.replays import retried
from engine.codes import BEGINS_PAYMENT, COINS, PAYMENT_STATUS, Kind, Refusal
from engine.commands.bills import bill_of
from engine.commands.codes import authorised_by, digits_of, masked, send_code
from engine.commands.identity import fingerprint, fingerprint_fields, transaction_id
from engine.commands.presences import proof_of
from engine.commands.problem import Problem, refusal_problem
from engine.commands.purchases import Purchase, purchase_of
from engine.commands.refusals import raise_refusal
from engine.commands.services import Services
from engine.errors import CustomerNotFound, KeyReused, PaymentNotFound
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of, idempotency_key_of, payment_id_of
from engine.http.problems import error_problem
from engine.http.response import Response
from engine.ledger.core import Operation, uuid_text
from engine.ledger.receipts import Answer, Receipt, details_of
from engine.people.codes import Authorised, code_digits, code_mac, code_of
from engine.people.customers import Customer
from engine.people.failed_codes import Till, TooManyFailedCodes
from engine.people.keys import Principal
from engine.programme.brands import Store
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS
from engine.programme.stock import UNLIMITED, Pick
from engine.schemas.transactions import Confirmation, Nothing, Payment

PAYMENT = BodyDecoder(Payment)
CONFIRMATION = BodyDecoder(Confirmation)
NOTHING = BodyDecoder(Nothing)


CHECK_ADVICE = "Check the customer's physical document, then send `document_checked: true`."


async def pay(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/payments`: by a code, or at once by the QR (COI-6)."""
    customer_id = customer_id_of(call.params)
    key = idempotency_key_of(call.request)
    body = PAYMENT.decode(await read_body(services, call.request))
    if not body.document_checked:
        raise Problem("document_not_checked", CHECK_ADVICE)
    try:
        purchase = purchase_of(services.catalogue.now, call.principal, body)
        bill = await bill_of(services, purchase.store, body)
        proof = await proof_of(services, customer_id, purchase, body)
        if proof is None:
            await services.failed_codes.check(_till(call.principal, purchase.store))
    except (Problem, TooManyFailedCodes) as error:
        problem = error if isinstance(error, Problem) else error_problem(error)
        return await retried(
            services, call.principal, customer_id, str(key), "payment", body, problem
        )
    customer = await _customer(services, customer_id)
    payment_id = transaction_id(call.principal, customer_id, str(key))
    details: dict[str, Any] = {"invoice_number": body.invoice_number}
    if proof is None:
        kind = Kind.HOLD
        digits = code_digits(purchase.coins, services.settings.code_long_coins_min)
        details |= {"sent_to": masked(services, customer), "code_digits": digits}
        terms = _code_terms(services, customer_id, payment_id, purchase, digits)
    else:
        kind, terms = Kind.PAYMENT, {"qr_issued_at": proof}

    def submit(pick: Pick) -> Awaitable[tuple[Answer, bool]]:
        barred = purchase.barred(customer, pick, qr_is_valid=proof != 0)
        operation = Operation(
            kind=kind,
            customer_id=customer_id,
            transaction_id=payment_id,
            fingerprint=fingerprint("payment", fingerprint_fields(body), purchase.store.store_id),
            brand_id=purchase.store.brand.brand_id,
            store_id=purchase.store.store_id,
            asset=COINS,
            requested=purchase.coins,
            occurred_at=time.time_ns() // 1000,
            bill_amount=bill.amount,
            invoice_number=bill.number_bytes,
            invoice_scope=bill.scope,
            coins_max=bill.coins_max,
            printed=bill.printed,
            details=orjson.dumps(details | purchase.item(pick)),
            reference=payment_id,
            needs_profile=True,
            item_id=0 if purchase.promotion is None else purchase.promotion.item_id,
            unit=0 if barred else pick.unit,
            turn=0 if barred else pick.turn,
            barred=barred,
            **terms,
        )
        return services.committer.submit(operation)

    if purchase.promotion is None:
        decided, replayed = await submit(UNLIMITED)
    else:
        decided, replayed = await services.stock.take(
            purchase.promotion, customer_id, services.settings.tries_max, submit
        )
    raise_refusal(decided, replayed=replayed)
    # A retry may come when the presence is over: the recorded answer says what it was.
    if decided.kind == Kind.HOLD:
        await send_code(services, customer, decided, decided, replayed=replayed)
    body_out = payment_answer(decided, PAYMENT_STATUS[decided.kind])
    return answer(body_out, 201, replayed=replayed)


async def confirm(services: Services, call: Call) -> Response:
    """`POST …/payments/{payment_id}/confirm`: capture the hold with the code that was typed."""
    body = CONFIRMATION.decode(await read_body(services, call.request))
    hold = await _payment(services, call)
    mac = code_mac(services.code_secret, authorised_by(hold), body.code)
    operation = _operation(call, hold, Kind.CAPTURE, fields=mac, mac=mac)
    till = _till(call.principal, hold)
    try:
        async with services.failed_codes.judging(till):
            decided, replayed = await services.committer.submit(operation)
    except PaymentNotFound:
        return await _over(services, hold, operation)
    except TooManyFailedCodes as error:
        return await _over(services, hold, operation, while_open=error)
    if decided.refusal == Refusal.CODE_INVALID and not replayed:
        await services.failed_codes.forget_old(till)
    raise_refusal(decided, replayed=replayed)
    return answer(payment_answer(decided, "succeeded"), replayed=replayed)


async def resend(services: Services, call: Call) -> Response:
    """`POST …/payments/{payment_id}/resend`: a new code to the same person (*Reenviar código*)."""
    NOTHING.decode(await read_body(services, call.request))
    hold = await _payment(services, call)
    customer = await _customer(services, hold.customer_id)
    own_id, authorised = _own_id(call, hold, Kind.RESEND), authorised_by(hold)
    code = code_of(services.code_secret, authorised, own_id, digits_of(hold))
    mac = code_mac(services.code_secret, authorised, code)
    operation = _operation(call, hold, Kind.RESEND, own_id=own_id, mac=mac)
    try:
        decided, replayed = await services.committer.submit(operation)
    except PaymentNotFound:
        return await _over(services, hold, operation)
    raise_refusal(decided, replayed=replayed)
    await send_code(services, customer, hold, decided, replayed=replayed)
    return answer(payment_answer(decided, "requires_code", hold=hold), replayed=replayed)


async def void(services: Services, call: Call) -> Response:
    """`POST …/payments/{payment_id}/void`: the held coins go back."""
    NOTHING.decode(await read_body(services, call.request))
    hold = await _payment(services, call)
    operation = _operation(call, hold, Kind.VOID)
    try:
        decided, replayed = await services.committer.submit(operation)
    except PaymentNotFound:
        return await _over(services, hold, operation)
    return answer(payment_answer(decided, "voided"), replayed=replayed)


async def get(services: Services, call: Call) -> Response:
    """`GET …/payments/{payment_id}`: how the payment stands."""
    first = await _begun(services, call)
    postings = await services.statements.payment(first.customer_id, first.transaction_id)
    if _is_due(postings):
        await _write_down_due(services, first.customer_id)
        postings = await services.statements.payment(first.customer_id, first.transaction_id)
    last = _course(postings)[-1]
    status = _status(last)
    if status == "succeeded" and last.transaction_id != first.transaction_id:
        # What is reversed of a payment by a code is the confirmation that moved the coins.
        postings += await services.statements.payment(last.customer_id, last.transaction_id)
    for posting in postings:
        if posting.kind == Kind.REVERSAL and not posting.refusal:
            last, status = posting, "reversed"
    return answer(payment_answer(last, status, hold=first))


def _item_of(hold: Receipt) -> bytes | None:
    """Return what later postings of a payment say of what it is paid for, to tell it as well."""
    details = details_of(hold)
    item = {name: details[name] for name in ("item", "unit", "turn") if name in details}
    return orjson.dumps(item) if item else None


def _till(principal: Principal, place: Store | Receipt) -> Till:
    """Return where a code is typed: at the payment's store, whoever asks."""
    brand_id = place.brand_id if isinstance(place, Receipt) else place.brand.brand_id
    return Till(brand_id, place.store_id, principal.cashier_id)


def _code_terms(
    services: Services, customer_id: bytes, payment_id: bytes, purchase: Purchase, digits: int
) -> dict[str, Any]:
    """Return what a hold has that waits for its first code."""
    settings, secret = services.settings, services.code_secret
    authorised = Authorised(
        payment_id=payment_id,
        customer_id=customer_id,
        store_id=purchase.store.store_id,
        coins=purchase.coins,
    )
    code = code_of(secret, authorised, payment_id, digits)
    return {
        "code_mac": code_mac(secret, authorised, code),
        "hold_expires_at": time.time_ns() // 1000 + settings.code_lifetime_s * 1_000_000,
        "tries_max": settings.code_tries_max,
        "resends_max": settings.code_resends_max,
    }


async def _customer(services: Services, customer_id: bytes) -> Customer:
    customer = await services.customers.get(UUID(bytes=customer_id))
    if customer is None:
        raise CustomerNotFound
    return customer


async def _payment(services: Services, call: Call) -> Receipt:
    """Return the hold that a payment began with; raises Problem where a QR paid it at once."""
    first = await _begun(services, call)
    if first.kind == Kind.PAYMENT:
        raise Problem("payment_captured", "The coins were paid at once, by a QR.")
    return first


async def _begun(services: Services, call: Call) -> Receipt:
    """Return what a payment began with; another's is told like none at all."""
    payment_id = payment_id_of(call.params)
    first = await services.statements.receipt(customer_id_of(call.params), payment_id)
    if (
        first is None
        or first.kind not in BEGINS_PAYMENT
        or first.refusal
        or not call.principal.sees_brand(first.brand_id)
        or call.principal.store_id not in (None, first.store_id)
    ):
        raise Problem("payment_not_found", f"There is no payment {uuid_text(payment_id)}.")
    return first


def _course(postings: list[Receipt]) -> list[Receipt]:
    """Return the postings of a payment without what was asked to be undone of it afterwards."""
    return [posting for posting in postings if posting.kind != Kind.REVERSAL]


def _own_id(call: Call, hold: Receipt, kind: Kind) -> bytes:
    """Return an operation's own id; its key is optional, for it can be done only once."""
    key = idempotency_key_of(call.request, required=False)
    if key is None:
        return uuid7().bytes
    return transaction_id(call.principal, hold.customer_id, f"{kind.name.lower()}\0{key}")


def _operation(
    call: Call,
    hold: Receipt,
    kind: Kind,
    *,
    own_id: bytes | None = None,
    fields: bytes = b"",
    mac: bytes | None = None,
) -> Operation:
    """Return an operation on an open payment."""
    verb = kind.name.lower()
    return Operation(
        kind=kind,
        customer_id=hold.customer_id,
        transaction_id=own_id or _own_id(call, hold, kind),
        fingerprint=fingerprint(verb, hold.transaction_id + fields, hold.store_id),
        brand_id=hold.brand_id,
        store_id=hold.store_id,
        occurred_at=time.time_ns() // 1000,
        details=_item_of(hold),
        reference=hold.transaction_id,
        code_mac=mac,
        cashier_id=call.principal.cashier_id if kind == Kind.CAPTURE else 0,
    )


def _status(last: Receipt) -> str:
    """Return how a payment stands by its newest posting."""
    if not last.refusal:
        return PAYMENT_STATUS[last.kind]
    if last.refusal == Refusal.INVOICE_VOIDED:
        return "voided"
    if last.refusal == Refusal.CODE_INVALID and last.tries_left == 0:
        return "failed"
    return "requires_code"


def _is_due(postings: list[Receipt]) -> bool:
    """Return whether a payment's hold stands in the books, and its time is up."""
    return 0 < postings[-1].hold_expires_at <= time.time_ns() // 1000


async def _write_down_due(services: Services, customer_id: bytes) -> None:
    """Let the ledger release what is due in a customer's coins.

    A confirmation or a void that was decided in time may be on its way into the books still: the
    clock alone cannot say that a payment has expired. What is in the books first is what it is.
    """
    await services.committer.submit(
        Operation(
            kind=Kind.EXPIRY,
            customer_id=customer_id,
            transaction_id=uuid7().bytes,
            asset=COINS,
            utc_offset=UTC_OFFSETS[COINS_COUNTRY],
            occurred_at=time.time_ns() // 1000,
        )
    )


async def _over(
    services: Services,
    hold: Receipt,
    asked: Operation,
    *,
    while_open: TooManyFailedCodes | None = None,
) -> Response:
    """Answer for a payment that is not open any more: it is told the same for ever.

    A retry under its key gets what was recorded; without one, the code that paid tells a retry.
    `while_open` is raised where the payment is open, and no code is taken.
    """
    postings = await services.statements.payment(hold.customer_id, hold.transaction_id)
    for recorded in postings:
        if recorded.transaction_id == asked.transaction_id:
            if recorded.fingerprint != asked.fingerprint:
                raise KeyReused
            raise_refusal(recorded, replayed=True)
            return answer(recorded_answer(recorded, hold), replayed=True)
    last = _course(postings)[-1]
    status = _status(last)
    if status == "requires_code" and while_open is not None:
        raise while_open
    if status == "succeeded":
        if asked.kind != Kind.CAPTURE:
            raise Problem("payment_captured", "The coins are paid already.")
        if asked.fingerprint != last.fingerprint:
            raise Problem("payment_captured", "The payment is done already, with another code.")
        return answer(payment_answer(last, status), replayed=True)
    if asked.kind == Kind.VOID:
        return answer(payment_answer(last, status, hold=hold), replayed=True)
    if last.refusal == Refusal.INVOICE_VOIDED:
        raise refusal_problem(Refusal.INVOICE_VOIDED)
    raise refusal_problem(Refusal.CODE_EXHAUSTED if status == "failed" else Refusal.PAYMENT_EXPIRED)

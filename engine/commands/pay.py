"""Payments with coins: at once by a QR; or hold, code, confirm, or void (COI-3…COI-7).

A payment is found by its id for ever after: what is open stands in the wallet, what is over is read
from its postings.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import orjson
from uuid_utils import uuid7

from engine.codes import BEGINS_PAYMENT, PAYMENT_STATUS, Kind, Refusal
from engine.commands.bills import Bill, bill_of
from engine.commands.codes import authorised_by, digits_of, masked, send_code
from engine.commands.customers import customer_of
from engine.commands.decisions import accepted, retried
from engine.commands.identity import fingerprint, fingerprint_fields, transaction_id
from engine.commands.presences import proof_of
from engine.commands.problem import Problem, refusal_problem
from engine.commands.purchases import Purchase, purchase_of
from engine.commands.refusals import raise_refusal
from engine.commands.services import Services
from engine.errors import KeyReused, PaymentNotFound
from engine.ledger import operations
from engine.ledger.core import Operation, uuid_text
from engine.ledger.operations import CodeTerms, Spending, Step
from engine.ledger.receipts import Answer, Receipt, details_of
from engine.people.codes import Authorised, code_digits, code_mac, code_of
from engine.people.customers import Customer
from engine.people.failed_codes import Till, TooManyFailedCodes
from engine.people.keys import Principal
from engine.programme.brands import Store
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS
from engine.programme.stock import UNLIMITED, Pick
from engine.schemas.transactions import Confirmation, Payment

VERB = "payment"
"""What fingerprints of payments begin with."""
CHECK_ADVICE = "Check the customer's physical document, then send `document_checked: true`."


@dataclass(frozen=True, slots=True)
class PaymentState:
    """How a payment stands by its `newest` posting.

    `hold` is what it began with, where that is another one. `replayed` is whether an earlier
    request had done what was asked for.
    """

    newest: Answer
    status: str
    hold: Answer | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """A payment as a request names it: who asks, whose it is, and which one."""

    principal: Principal
    customer_id: bytes
    payment_id: bytes


async def pay(
    services: Services, principal: Principal, customer_id: bytes, key: str, body: Payment
) -> PaymentState:
    """Pay with coins, by a code or at once by the QR (COI-6); raises Problem and EngineError."""
    if not body.document_checked:
        raise Problem("document_not_checked", CHECK_ADVICE)
    try:
        purchase = purchase_of(services.catalogue.now, principal, body)
        bill = await bill_of(services, purchase.store, body)
        proof = await proof_of(services, customer_id, purchase, body)
        if proof is None:
            await services.failed_codes.check(_till(principal, purchase.store))
    except (Problem, TooManyFailedCodes) as error:
        before = await retried(services, principal, customer_id, key, VERB, body, error)
        return PaymentState(before.answer, _status_after(before.answer), replayed=True)
    customer = await customer_of(services, customer_id)
    payment_id = transaction_id(principal, customer_id, key)
    details: dict[str, Any] = {"invoice_number": body.invoice_number}
    terms: CodeTerms | None = None
    if proof is None:
        digits = code_digits(purchase.coins, services.settings.code_long_coins_min)
        details |= {"sent_to": masked(services, customer), "code_digits": digits}
        terms = _code_terms(services, customer_id, payment_id, purchase, digits)

    def submit(pick: Pick) -> Awaitable[tuple[Answer, bool]]:
        spending = _spending(
            customer, payment_id, body, purchase, bill, pick, details, qr_is_valid=proof != 0
        )
        if terms is not None:
            return services.committer.submit(operations.hold(spending, terms))
        return services.committer.submit(operations.payment(spending, qr_issued_at=proof or 0))

    if purchase.promotion is None:
        outcome = await submit(UNLIMITED)
    else:
        outcome = await services.stock.take(
            purchase.promotion, customer_id, services.settings.tries_max, submit
        )
    done = accepted(outcome)
    # A retry may come when the presence is over: the recorded answer says what it was.
    if done.answer.kind == Kind.HOLD:
        await send_code(services, customer, done.answer, done.answer, replayed=done.replayed)
    return PaymentState(done.answer, _status_after(done.answer), replayed=done.replayed)


async def confirm(
    services: Services, named: Named, key: str | None, body: Confirmation
) -> PaymentState:
    """Capture a hold with the code that was typed; raises Problem and EngineError.

    Here and in `resend` and `void` the key is optional, for a payment is confirmed or voided once.
    """
    hold = await _hold(services, named)
    mac = code_mac(services.code_secret, authorised_by(hold), body.code)
    operation = operations.capture(
        _step(named, hold, _own_id(named, hold, key, "capture"), "capture", mac),
        code_mac=mac,
        cashier_id=named.principal.cashier_id,
    )
    till = _till(named.principal, hold)
    try:
        async with services.failed_codes.judging(till):
            decided, replayed = await services.committer.submit(operation)
    except PaymentNotFound:
        return await _over(services, hold, operation)
    except TooManyFailedCodes as error:
        return await _over(services, hold, operation, while_open=error)
    if decided.refusal == Refusal.CODE_INVALID and not replayed:
        await services.failed_codes.forget_old(till)
    done = accepted((decided, replayed))
    return PaymentState(done.answer, "succeeded", replayed=done.replayed)


async def resend(services: Services, named: Named, key: str | None) -> PaymentState:
    """Send a new code to the same person (*Reenviar código*); raises Problem and EngineError."""
    hold = await _hold(services, named)
    customer = await customer_of(services, hold.customer_id)
    own_id, authorised = _own_id(named, hold, key, "resend"), authorised_by(hold)
    code = code_of(services.code_secret, authorised, own_id, digits_of(hold))
    mac = code_mac(services.code_secret, authorised, code)
    operation = operations.resend(_step(named, hold, own_id, "resend"), code_mac=mac)
    try:
        done = accepted(await services.committer.submit(operation))
    except PaymentNotFound:
        return await _over(services, hold, operation)
    await send_code(services, customer, hold, done.answer, replayed=done.replayed)
    return PaymentState(done.answer, "requires_code", hold, done.replayed)


async def void(services: Services, named: Named, key: str | None) -> PaymentState:
    """Give the held coins back; raises Problem and EngineError."""
    hold = await _hold(services, named)
    operation = operations.void(_step(named, hold, _own_id(named, hold, key, "void"), "void"))
    try:
        done = accepted(await services.committer.submit(operation))
    except PaymentNotFound:
        return await _over(services, hold, operation)
    return PaymentState(done.answer, "voided", replayed=done.replayed)


async def state_of(services: Services, named: Named) -> PaymentState:
    """Return how a payment stands; raises Problem and EngineError."""
    first = await _begun(services, named)
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
    return PaymentState(last, status, first)


def _status_after(posting: Answer) -> str:
    """Return how a payment stands right after one of its postings."""
    return PAYMENT_STATUS[posting.kind]


def _till(principal: Principal, place: Store | Receipt) -> Till:
    """Return where a wrong code counts: at the payment's store."""
    brand_id = place.brand_id if isinstance(place, Receipt) else place.brand.brand_id
    return Till(brand_id, place.store_id, principal.cashier_id)


def _spending(
    customer: Customer,
    payment_id: bytes,
    body: Payment,
    purchase: Purchase,
    bill: Bill,
    pick: Pick,
    details: dict[str, Any],
    *,
    qr_is_valid: bool,
) -> Spending:
    """Return what a payment spends, with the unit and the turn of its promotion."""
    store, promotion = purchase.store, purchase.promotion
    barred = purchase.barred(customer, pick, qr_is_valid=qr_is_valid)
    return Spending(
        customer_id=customer.customer_id.bytes,
        payment_id=payment_id,
        fingerprint=fingerprint(VERB, fingerprint_fields(body), store.store_id),
        brand_id=store.brand.brand_id,
        store_id=store.store_id,
        coins=purchase.coins,
        occurred_at=time.time_ns() // 1000,
        bill_amount=bill.amount,
        invoice_number=bill.number_bytes,
        invoice_scope=bill.scope,
        coins_max=bill.coins_max,
        printed=bill.printed,
        details=orjson.dumps(details | purchase.item(pick)),
        item_id=0 if promotion is None else promotion.item_id,
        unit=0 if barred else pick.unit,
        turn=0 if barred else pick.turn,
        barred=barred,
    )


def _code_terms(
    services: Services, customer_id: bytes, payment_id: bytes, purchase: Purchase, digits: int
) -> CodeTerms:
    """Return what a hold waits for: its first code."""
    settings, secret = services.settings, services.code_secret
    authorised = Authorised(
        payment_id=payment_id,
        customer_id=customer_id,
        store_id=purchase.store.store_id,
        coins=purchase.coins,
    )
    code = code_of(secret, authorised, payment_id, digits)
    return CodeTerms(
        mac=code_mac(secret, authorised, code),
        expires_at=time.time_ns() // 1000 + settings.code_lifetime_s * 1_000_000,
        tries_max=settings.code_tries_max,
        resends_max=settings.code_resends_max,
    )


async def _hold(services: Services, named: Named) -> Receipt:
    """Return the hold that a payment began with; raises Problem where a QR paid it at once."""
    first = await _begun(services, named)
    if first.kind == Kind.PAYMENT:
        raise Problem("payment_captured", "The coins were paid at once, by a QR.")
    return first


async def _begun(services: Services, named: Named) -> Receipt:
    """Return what a payment began with; raises Problem for another's as for none at all."""
    principal = named.principal
    first = await services.statements.receipt(named.customer_id, named.payment_id)
    if (
        first is None
        or first.kind not in BEGINS_PAYMENT
        or first.refusal
        or not principal.sees_brand(first.brand_id)
        or principal.store_id not in (None, first.store_id)
    ):
        raise Problem("payment_not_found", f"There is no payment {uuid_text(named.payment_id)}.")
    return first


def _course(postings: list[Receipt]) -> list[Receipt]:
    """Return the postings of a payment without what was asked to be undone of it afterwards."""
    return [posting for posting in postings if posting.kind != Kind.REVERSAL]


def _own_id(named: Named, hold: Receipt, key: str | None, verb: str) -> bytes:
    """Return the id of what is done with a payment, by its key where it has one."""
    if key is None:
        return uuid7().bytes
    return transaction_id(named.principal, hold.customer_id, f"{verb}\0{key}")


def _step(named: Named, hold: Receipt, own_id: bytes, verb: str, fields: bytes = b"") -> Step:
    """Return what is done next with an open payment; `fields` are what its body says."""
    return Step(
        hold=hold,
        transaction_id=own_id,
        fingerprint=fingerprint(verb, hold.transaction_id + fields, hold.store_id),
        occurred_at=time.time_ns() // 1000,
        details=_item_of(hold),
    )


def _item_of(hold: Receipt) -> bytes | None:
    """Return what later postings of a payment say of what it is paid for, to show it as well."""
    details = details_of(hold)
    item = {name: details[name] for name in ("item", "unit", "turn") if name in details}
    return orjson.dumps(item) if item else None


def _status(last: Receipt) -> str:
    """Return how a payment stands by its newest posting."""
    if last.kind in (Kind.CAPTURE, Kind.PAYMENT) and not last.refusal:
        return "succeeded"
    if last.kind == Kind.VOID or last.refusal == Refusal.INVOICE_VOIDED:
        return "voided"
    if last.kind == Kind.CAPTURE and last.tries_left == 0 and last.refusal == Refusal.CODE_INVALID:
        return "failed"
    return "expired" if last.kind == Kind.RELEASE else "requires_code"


def _is_due(postings: list[Receipt]) -> bool:
    """Return whether a payment's hold stands in the books, and its time is up."""
    return 0 < postings[-1].hold_expires_at <= time.time_ns() // 1000


async def _write_down_due(services: Services, customer_id: bytes) -> None:
    """Let the ledger release what is due in a customer's coins.

    A confirmation or a void that was decided in time may be on its way into the books still: the
    clock alone cannot say that a payment has expired. What is in the books first is what it is.
    """
    operation = operations.expiry(
        customer_id=customer_id,
        transaction_id=uuid7().bytes,
        utc_offset=UTC_OFFSETS[COINS_COUNTRY],
        occurred_at=time.time_ns() // 1000,
    )
    await services.committer.submit(operation)


async def _over(
    services: Services,
    hold: Receipt,
    asked: Operation,
    *,
    while_open: TooManyFailedCodes | None = None,
) -> PaymentState:
    """Return how a payment stands that is not open any more: the same for ever.

    A retry under its key gets what was recorded; without one, the code that paid marks a retry.
    `while_open` is raised where the payment is open, and no code is taken. Raises Problem.
    """
    postings = await services.statements.payment(hold.customer_id, hold.transaction_id)
    for recorded in postings:
        if recorded.transaction_id == asked.transaction_id:
            if recorded.fingerprint != asked.fingerprint:
                raise KeyReused
            raise_refusal(recorded, replayed=True)
            return PaymentState(recorded, _status_after(recorded), hold, replayed=True)
    last = _course(postings)[-1]
    status = _status(last)
    if status == "requires_code" and while_open is not None:
        raise while_open
    if status == "succeeded":
        if asked.kind != Kind.CAPTURE:
            raise Problem("payment_captured", "The coins are paid already.")
        if asked.fingerprint != last.fingerprint:
            raise Problem("payment_captured", "The payment is done already, with another code.")
        return PaymentState(last, status, replayed=True)
    if asked.kind == Kind.VOID:
        return PaymentState(last, status, hold, replayed=True)
    if last.refusal == Refusal.INVOICE_VOIDED:
        raise refusal_problem(Refusal.INVOICE_VOIDED)
    raise refusal_problem(Refusal.CODE_EXHAUSTED if status == "failed" else Refusal.PAYMENT_EXPIRED)

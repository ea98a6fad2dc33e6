"""Operations: one constructor for each kind that a caller asks of the ledger.

A constructor takes what its kind needs and nothing else, so that an operation without its store or
with another kind's fields does not pass the type checker. Units are those of `core.pyi`:
`occurred_at` is in microseconds since 1970, last days are days since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.codes import COINS, Cause, Kind
from engine.ledger.core import Leg, Operation
from engine.ledger.receipts import Receipt

ACCUMULATION: Final = Kind.ACCUMULATION
"""Looked up once: in an enumeration that takes a tenth of the time that an operation takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTerms:
    """What a hold waits for: its first code, as a MAC, and until when.

    A wrong code may be typed `tries_max` times, and another code sent `resends_max` times.
    """

    mac: bytes
    expires_at: int
    tries_max: int
    resends_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Coins that are spent at a store: on a bill, or on the unit and turn of a promotion.

    `coins_max` is how many coins can pay the invoice, and `printed` whether its point of sale says
    so. `barred` is the refusal that no balance has a say in.
    """

    customer_id: bytes
    payment_id: bytes
    fingerprint: int
    brand_id: int
    store_id: int
    coins: int
    occurred_at: int
    bill_amount: int
    invoice_number: bytes | None
    invoice_scope: bytes | None
    coins_max: int
    printed: bool
    details: bytes | None
    item_id: int
    unit: int
    turn: int
    barred: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is done next with an open payment: `hold` is the receipt of what it began with."""

    hold: Receipt
    transaction_id: bytes
    fingerprint: int
    occurred_at: int
    details: bytes | None


def accumulation(
    *,
    customer_id: bytes,
    transaction_id: bytes,
    fingerprint: int,
    brand_id: int,
    store_id: int,
    points: int,
    expires_day: int,
    coins: int,
    coins_expires_day: int,
    utc_offset: int,
    occurred_at: int,
    bill_amount: int,
    invoice_number: bytes | None,
    invoice_scope: bytes | None,
    allotment_id: bytes | None = None,
) -> Operation:
    """Return the operation of a sale that earns points, and coins at an issuer (PTS-3, COI-2)."""
    return Operation(
        kind=ACCUMULATION,
        customer_id=customer_id,
        transaction_id=transaction_id,
        fingerprint=fingerprint,
        brand_id=brand_id,
        store_id=store_id,
        asset=brand_id,
        requested=points,
        expires_day=expires_day,
        coins=coins,
        coins_expires_day=coins_expires_day,
        utc_offset=utc_offset,
        occurred_at=occurred_at,
        bill_amount=bill_amount,
        invoice_number=invoice_number,
        invoice_scope=invoice_scope,
        allotment_id=allotment_id,
    )


def redemption(
    *,
    customer_id: bytes,
    transaction_id: bytes,
    fingerprint: int,
    brand_id: int,
    store_id: int,
    points: int,
    utc_offset: int,
    occurred_at: int,
    details: bytes,
    item_id: int,
    unit: int,
    turn: int,
    barred: int,
) -> Operation:
    """Return the operation by which points become an item at once (RED-1, RED-5)."""
    return Operation(
        kind=Kind.REDEMPTION,
        customer_id=customer_id,
        transaction_id=transaction_id,
        fingerprint=fingerprint,
        brand_id=brand_id,
        store_id=store_id,
        asset=brand_id,
        requested=points,
        utc_offset=utc_offset,
        occurred_at=occurred_at,
        details=details,
        needs_profile=True,
        item_id=item_id,
        unit=unit,
        turn=turn,
        barred=barred,
    )


def hold(spending: Spending, terms: CodeTerms) -> Operation:
    """Return the operation that sets coins aside until a code is typed (COI-6)."""
    return _spend(
        Kind.HOLD,
        spending,
        code_mac=terms.mac,
        hold_expires_at=terms.expires_at,
        tries_max=terms.tries_max,
        resends_max=terms.resends_max,
    )


def payment(spending: Spending, *, qr_issued_at: int) -> Operation:
    """Return the operation that pays at once by the customer's QR (COI-6).

    `qr_issued_at` is the second of the QR, 0 where what was shown is not valid.
    """
    return _spend(Kind.PAYMENT, spending, qr_issued_at=qr_issued_at)


def _spend(
    kind: Kind,
    spending: Spending,
    *,
    code_mac: bytes | None = None,
    hold_expires_at: int = 0,
    tries_max: int = 0,
    resends_max: int = 0,
    qr_issued_at: int = 0,
) -> Operation:
    return Operation(
        kind=kind,
        customer_id=spending.customer_id,
        transaction_id=spending.payment_id,
        fingerprint=spending.fingerprint,
        brand_id=spending.brand_id,
        store_id=spending.store_id,
        requested=spending.coins,
        occurred_at=spending.occurred_at,
        bill_amount=spending.bill_amount,
        invoice_number=spending.invoice_number,
        invoice_scope=spending.invoice_scope,
        coins_max=spending.coins_max,
        printed=spending.printed,
        details=spending.details,
        reference=spending.payment_id,
        code_mac=code_mac,
        hold_expires_at=hold_expires_at,
        tries_max=tries_max,
        resends_max=resends_max,
        needs_profile=True,
        item_id=spending.item_id,
        unit=spending.unit,
        turn=spending.turn,
        qr_issued_at=qr_issued_at,
        barred=spending.barred,
    )


def capture(step: Step, *, code_mac: bytes, cashier_id: int) -> Operation:
    """Return the operation that pays what is held, if the code is the right one (COI-6).

    `cashier_id` is who typed the code, 0 for a key.
    """
    return _on_hold(Kind.CAPTURE, step, code_mac=code_mac, cashier_id=cashier_id)


def resend(step: Step, *, code_mac: bytes) -> Operation:
    """Return the operation by which another code takes the place of a hold's (COI-6)."""
    return _on_hold(Kind.RESEND, step, code_mac=code_mac)


def void(step: Step) -> Operation:
    """Return the operation that gives held coins back."""
    return _on_hold(Kind.VOID, step)


def _on_hold(
    kind: Kind, step: Step, *, code_mac: bytes | None = None, cashier_id: int = 0
) -> Operation:
    return Operation(
        kind=kind,
        customer_id=step.hold.customer_id,
        transaction_id=step.transaction_id,
        fingerprint=step.fingerprint,
        brand_id=step.hold.brand_id,
        store_id=step.hold.store_id,
        occurred_at=step.occurred_at,
        details=step.details,
        reference=step.hold.transaction_id,
        code_mac=code_mac,
        cashier_id=cashier_id,
    )


def conversion(
    *,
    customer_id: bytes,
    transaction_id: bytes,
    fingerprint: int,
    partner_id: int,
    reference: bytes,
    coins: int,
    expires_day: int,
    occurred_at: int,
    details: bytes,
) -> Operation:
    """Return the operation by which a partner's points become coins (SYS-9)."""
    return Operation(
        kind=Kind.CONVERSION,
        customer_id=customer_id,
        transaction_id=transaction_id,
        fingerprint=fingerprint,
        party_id=partner_id,
        claim_reference=reference,
        requested=coins,
        expires_day=expires_day,
        occurred_at=occurred_at,
        details=details,
    )


def cashback(
    *,
    customer_id: bytes,
    transaction_id: bytes,
    fingerprint: int,
    brand_id: int,
    store_id: int,
    order: bytes,
    coins: int,
    expires_day: int,
    occurred_at: int,
    details: bytes,
    allotment_id: bytes | None = None,
    barred: int = 0,
) -> Operation:
    """Return the operation of coins that a brand gives for an online order (COI-2)."""
    return Operation(
        kind=Kind.CASHBACK,
        customer_id=customer_id,
        transaction_id=transaction_id,
        fingerprint=fingerprint,
        brand_id=brand_id,
        store_id=store_id,
        claim_reference=order,
        requested=coins,
        expires_day=expires_day,
        occurred_at=occurred_at,
        details=details,
        allotment_id=allotment_id,
        barred=barred,
    )


def donation(
    *,
    customer_id: bytes,
    transaction_id: bytes,
    fingerprint: int,
    brand_id: int,
    store_id: int,
    organisation_id: int,
    coins: int,
    occurred_at: int,
    details: bytes,
) -> Operation:
    """Return the operation of coins for a social organisation (COI-8)."""
    return Operation(
        kind=Kind.DONATION,
        customer_id=customer_id,
        transaction_id=transaction_id,
        fingerprint=fingerprint,
        brand_id=brand_id,
        store_id=store_id,
        party_id=organisation_id,
        requested=coins,
        occurred_at=occurred_at,
        details=details,
    )


def reversal(
    original: Receipt,
    legs: list[Leg],
    *,
    transaction_id: bytes,
    fingerprint: int,
    utc_offset: int,
    occurred_at: int,
    details: bytes,
    cause: Cause,
) -> Operation:
    """Return the operation that undoes a transaction, leg by leg (PTS-8, RED-7)."""
    return Operation(
        kind=Kind.REVERSAL,
        customer_id=original.customer_id,
        transaction_id=transaction_id,
        fingerprint=fingerprint,
        brand_id=original.brand_id,
        store_id=original.store_id,
        utc_offset=utc_offset,
        occurred_at=occurred_at,
        details=details,
        reference=original.transaction_id,
        original=legs,
        cause=cause,
    )


def standing(
    *,
    blocked: bool,
    customer_id: bytes,
    transaction_id: bytes,
    occurred_at: int,
    details: bytes,
    fingerprint: int = 0,
) -> Operation:
    """Return the operation that blocks a customer, who then neither earns nor spends, or ends that.

    See CUS-9.
    """
    return Operation(
        kind=Kind.BLOCK if blocked else Kind.UNBLOCK,
        customer_id=customer_id,
        transaction_id=transaction_id,
        fingerprint=fingerprint,
        occurred_at=occurred_at,
        details=details,
    )


def expiry(
    *,
    customer_id: bytes,
    transaction_id: bytes,
    utc_offset: int,
    occurred_at: int,
    asset: int = COINS,
) -> Operation:
    """Return the operation that writes down what is due in a wallet (PTS-5, COI-4)."""
    return Operation(
        kind=Kind.EXPIRY,
        customer_id=customer_id,
        transaction_id=transaction_id,
        asset=asset,
        brand_id=asset,
        utc_offset=utc_offset,
        occurred_at=occurred_at,
    )

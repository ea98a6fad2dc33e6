"""Shapes of transactions: what earns and what spends."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.api.shapes.people import Document
from engine.api.shapes.scalars import (
    Amount,
    Coins,
    Currency,
    CustomerId,
    Id,
    IdempotencyKey,
    InvoiceNumber,
    Text,
)


class Accumulation(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Body of an accumulation (PTS-3)."""

    amount: Amount | None = None
    currency: Currency | None = None
    invoice_number: InvoiceNumber | None = None
    store_id: Id | None = None
    occurred_at: datetime | None = None


class Redemption(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Body of a redemption: exactly one item (RED-1, RED-2, RED-3)."""

    reward_id: Id | None = None
    promotion_id: Id | None = None
    gift_id: Id | None = None
    store_id: Id | None = None


class Payment(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Body of a payment with coins (COI-3, COI-5)."""

    coins: Coins
    document_checked: bool
    invoice_number: InvoiceNumber | None = None
    amount: Amount | None = None
    qr: Text | None = None
    store_id: Id | None = None


class Confirmation(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a confirmation: the code that the customer was sent (COI-6)."""

    code: Annotated[str, Meta(pattern=r"^[0-9]{4,6}\Z")]


class Nothing(Struct, forbid_unknown_fields=True, frozen=True):
    """An empty body, or an empty object."""


class BulkItem(Struct, forbid_unknown_fields=True, frozen=True):
    """One transaction of a bulk upload; the customer is named by exactly one of three."""

    type: Literal[
        "accumulation", "redemption", "payment", "conversion", "cashback", "donation", "reversal"
    ]
    idempotency_key: IdempotencyKey
    customer_id: CustomerId | None = None
    document: Document | None = None
    phone: Text | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    invoice_number: InvoiceNumber | None = None
    store_id: Id | None = None
    occurred_at: datetime | None = None

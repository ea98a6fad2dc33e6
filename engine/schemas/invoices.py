"""Shapes of invoices: what an integrated point of sale prints, and what came of it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from msgspec import Struct

from engine.schemas.scalars import (
    Amount,
    Currency,
    Id,
    InvoiceNumber,
    Moment,
    MomentText,
    SentCurrency,
    Till,
)
from engine.schemas.texts import Sent


class PrintedInvoice(Sent, frozen=True):
    """Body of a sale that a point of sale has printed (INV-1)."""

    amount: Amount
    currency: SentCurrency
    issued_at: Moment
    till: Till | None = None


class Invoice(Struct, kw_only=True):
    """A printed sale; once it is claimed, whose it is and by which transaction (INV-1, INV-2).

    One that its point of sale has voided earns nothing and cannot be paid (INV-5).
    """

    store_id: Id
    invoice_number: InvoiceNumber
    amount: Amount
    currency: Currency
    issued_at: MomentText
    received_at: MomentText
    till: Till | None
    status: Literal["unclaimed", "claimed", "voided"]
    customer_id: UUID | None
    transaction_id: UUID | None


class Invoices(Struct, kw_only=True):
    """A page of a store's invoices, the newest first (*Transacciones históricas*)."""

    invoices: list[Invoice]
    next_cursor: str | None

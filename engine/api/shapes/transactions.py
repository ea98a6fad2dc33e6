"""Shapes of transactions: what earns and what spends."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from engine.api.shapes.people import Document
from engine.api.shapes.scalars import (
    Amount,
    Balance,
    Coins,
    Currency,
    CustomerId,
    Day,
    Id,
    IdempotencyKey,
    InvoiceNumber,
    Moment,
    Text,
)


class Accumulation(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Body of an accumulation (PTS-3)."""

    amount: Amount | None = None
    currency: Currency | None = None
    invoice_number: InvoiceNumber | None = None
    store_id: Id | None = None
    occurred_at: Moment | None = None


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
    """One accumulation of a bulk upload; the customer is named by exactly one of three (SYS-4)."""

    type: Literal["accumulation"]
    idempotency_key: IdempotencyKey
    customer_id: CustomerId | None = None
    document: Document | None = None
    phone: Text | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    invoice_number: InvoiceNumber | None = None
    store_id: Id | None = None
    occurred_at: Moment | None = None


class Earned(Struct, kw_only=True):
    """What a sale earned of points or of coins; `expires_on` is null where it earned none."""

    earned: Annotated[int, Meta(ge=0)]
    balance: Balance
    expires_on: Day | None


class Accumulated(Struct, kw_only=True):
    """What a sale earned (PTS-3); `coins` is null where the brand issues none (COI-2)."""

    transaction_id: UUID
    customer_id: UUID
    store_id: Id
    brand_id: Id
    points: Earned
    coins: Earned | None
    recorded_at: Moment


class Spent(Struct, kw_only=True):
    """What was taken of points or of coins, and what is left."""

    spent: Annotated[int, Meta(ge=0)]
    balance: Balance


class RedeemedItem(Struct, kw_only=True):
    """The reward, promotion or gift that was taken, as it was priced then (RED-1, RED-2, RED-3)."""

    reward_id: Id | UnsetType = UNSET
    promotion_id: Id | UnsetType = UNSET
    gift_id: Id | UnsetType = UNSET
    name: str
    points: int


class Redeemed(Struct, kw_only=True):
    """A redemption that is done (RED-5)."""

    transaction_id: UUID
    customer_id: UUID
    store_id: Id
    brand_id: Id
    points: Spent
    item: RedeemedItem
    recorded_at: Moment


class PaymentState(Struct, kw_only=True):
    """How a payment with coins stands (COI-3, COI-6).

    While `status` is `requires_code`, `sent_to` says where the code went, masked, `expires_at`
    until when it can be typed, and `tries_left` how often it may still be wrong.
    """

    payment_id: UUID
    transaction_id: UUID
    customer_id: UUID
    store_id: Id
    brand_id: Id
    status: Literal["requires_code", "succeeded", "voided", "expired", "failed"]
    coins: Coins
    balance: Balance
    held: Annotated[int, Meta(ge=0)]
    sent_to: str | UnsetType | None = UNSET
    expires_at: Moment | UnsetType = UNSET
    tries_left: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    recorded_at: Moment


class BulkResult(Struct, kw_only=True):
    """What came of one item: the answer of the single call, or a problem (SYS-4).

    `status` is the status of the single call. A problem has `index`, which item it is, from 0, and
    what its code promises; its `idempotency_key` is null where it could not be read. `replayed` is
    there where the item was known.
    """

    idempotency_key: str | None
    status: int
    replayed: bool | UnsetType = UNSET
    transaction_id: UUID | UnsetType = UNSET
    customer_id: UUID | UnsetType = UNSET
    store_id: Id | UnsetType = UNSET
    brand_id: Id | UnsetType = UNSET
    points: Earned | UnsetType = UNSET
    coins: Earned | UnsetType | None = UNSET
    recorded_at: Moment | UnsetType = UNSET
    code: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    index: int | UnsetType = UNSET
    amount: Amount | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    issued_at: Moment | UnsetType = UNSET


class BulkResults(Struct, kw_only=True):
    """The results of a bulk upload, in the order of its items."""

    results: list[BulkResult]

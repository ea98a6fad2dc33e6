"""Shapes of transactions: what earns and what spends."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from engine.schemas.items import RedeemedItem
from engine.schemas.people import Document
from engine.schemas.scalars import (
    Amount,
    Balance,
    Code,
    Coins,
    Currency,
    CustomerId,
    Day,
    Id,
    IdempotencyKey,
    InvoiceNumber,
    Moment,
    Points,
    Reason,
    Reference,
    SentCurrency,
    Text,
    Till,
)
from engine.schemas.texts import Sent


class Accumulation(Sent, frozen=True, omit_defaults=True):
    """Body of an accumulation (PTS-3).

    `currency` may be left out: it is the store's, and another one is refused. So may `store_id`
    where the key has a store of its own. A blank `invoice_number` is none, and so is N/A.
    """

    amount: Amount | None = None
    currency: SentCurrency | None = None
    invoice_number: InvoiceNumber | None = None
    store_id: Id | None = None
    occurred_at: Moment | None = None
    till: Till | None = None


class Redemption(Sent, frozen=True, omit_defaults=True):
    """Body of a redemption: exactly one item (RED-1, RED-2, RED-3)."""

    reward_id: Id | None = None
    promotion_id: Id | None = None
    gift_id: Id | None = None
    store_id: Id | None = None


class Payment(Sent, frozen=True, omit_defaults=True, kw_only=True):
    """Body of a payment with coins (COI-3, COI-5, COI-6).

    `coins` may be left out with a `promotion_id`: it is the promotion's price, and another one is
    refused. With the `qr` that the customer's app shows the coins are paid at once, and so they are
    with the `presence` that a look-up by that QR gave this store (COI-10). Without one of them, and
    with a presence for many coins, they wait for the code that the customer is sent.
    """

    coins: Coins | None = None
    document_checked: bool
    invoice_number: InvoiceNumber | None = None
    amount: Amount | None = None
    promotion_id: Id | None = None
    qr: Text | None = None
    presence: Text | None = None
    store_id: Id | None = None
    till: Till | None = None


class Confirmation(Sent, frozen=True):
    """Body of a confirmation: the code that the customer was sent (COI-6)."""

    code: Code


class Nothing(Sent, frozen=True):
    """An empty body, or an empty object."""


class BulkItem(Sent, frozen=True):
    """One accumulation of a bulk upload; the customer is named by exactly one of three (SYS-4)."""

    type: Literal["accumulation"]
    idempotency_key: IdempotencyKey
    customer_id: CustomerId | None = None
    document: Document | None = None
    phone: Text | None = None
    amount: Amount | None = None
    currency: SentCurrency | None = None
    invoice_number: InvoiceNumber | None = None
    store_id: Id | None = None
    occurred_at: Moment | None = None
    till: Till | None = None


class Earned(Struct, kw_only=True):
    """What a sale earned of points or of coins; `expires_on` is null where it earned none."""

    earned: Annotated[int, Meta(ge=0)]
    balance: Balance
    expires_on: Day | None


class Accumulated(Struct, kw_only=True):
    """What a sale earned (PTS-3); `coins` is null where it earned none (COI-2)."""

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


class Redeemed(Struct, kw_only=True):
    """A redemption that is done (RED-5)."""

    transaction_id: UUID
    customer_id: UUID
    store_id: Id
    brand_id: Id
    points: Spent
    item: RedeemedItem
    recorded_at: Moment


class PaidItem(Struct, kw_only=True):
    """The promotion that coins were paid for, as it was priced then (RED-6)."""

    kind: Literal["promotion"]
    promotion_id: Id
    name: str
    coins: Coins


class PaymentState(Struct, kw_only=True):
    """How a payment with coins stands (COI-3, COI-6).

    `item` is there where the payment is for a promotion. While `status` is `requires_code`,
    `sent_to` says where the code went, masked, `expires_at` until when it can be typed,
    `tries_left` how often it may still be wrong, `resends_left` how often another one may be sent,
    and `code_digits` how many digits it has: 4, or 6 for many coins.
    """

    payment_id: UUID
    transaction_id: UUID
    customer_id: UUID
    store_id: Id
    brand_id: Id
    status: Literal["requires_code", "succeeded", "voided", "expired", "failed", "reversed"]
    coins: Coins
    balance: Balance
    held: Annotated[int, Meta(ge=0)]
    item: PaidItem | UnsetType = UNSET
    sent_to: str | UnsetType | None = UNSET
    expires_at: Moment | UnsetType = UNSET
    tries_left: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    resends_left: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    code_digits: Annotated[int, Meta(ge=4, le=6)] | UnsetType = UNSET
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


class Conversion(Sent, frozen=True):
    """Body of a conversion: a partner's points, once by the partner's own reference (SYS-9)."""

    partner_id: Id
    partner_points: Points
    reference: Reference


class Converted(Struct, kw_only=True):
    """A partner's points that became coins (SYS-9)."""

    transaction_id: UUID
    customer_id: UUID
    partner_id: Id
    partner_points: Points
    reference: str
    coins: Earned
    recorded_at: Moment


class Cashback(Sent, frozen=True):
    """Body of a cashback: the coins that the brand of a store gives for an order (COI-2)."""

    store_id: Id
    coins: Coins
    order: Reference


class CashedBack(Struct, kw_only=True):
    """Coins that were given for an online purchase (COI-2)."""

    transaction_id: UUID
    customer_id: UUID
    store_id: Id
    brand_id: Id
    order: str
    coins: Earned
    recorded_at: Moment


class Donation(Sent, frozen=True):
    """Body of a donation of coins to a social organisation (COI-8)."""

    organisation_id: Id
    coins: Coins


class Donated(Struct, kw_only=True):
    """Coins that were given to a social organisation (COI-8)."""

    transaction_id: UUID
    customer_id: UUID
    organisation_id: Id
    coins: Spent
    recorded_at: Moment


ReversalCause = Literal["returned", "wrong_customer", "mistake"]


class Reversal(Sent, frozen=True):
    """Body of a reversal: what is undone, and why (PTS-8, RED-7).

    With the cause `wrong_customer` or `mistake` the invoice, the partner's reference or the online
    order may be used once more, for the right customer; with `returned` it may not (INV-6).
    """

    transaction_id: CustomerId
    reason: Reason
    cause: ReversalCause = "returned"


class Undone(Struct, kw_only=True):
    """What a wallet got of a reversal, with its sign; `owed` is what the next earnings repay."""

    amount: int
    balance: Balance
    owed: Annotated[int, Meta(ge=0)]


class Reversed(Struct, kw_only=True):
    """A transaction that is undone, each of its legs (PTS-8, RED-7).

    `type` is what it was. What happened at no store, as a conversion, has neither store nor brand.
    """

    transaction_id: UUID
    customer_id: UUID
    store_id: Id | None
    brand_id: Id | None
    reversed_transaction_id: UUID
    type: Literal["accumulation", "redemption", "payment", "conversion", "cashback", "donation"]
    points: Undone | None
    coins: Undone | None
    reason: str
    cause: ReversalCause
    recorded_at: Moment

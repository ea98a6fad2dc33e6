"""Shapes of wallets and of their history: what a customer has, and how it came about."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from engine.schemas.items import RedeemedItem
from engine.schemas.scalars import Asset, Balance, Day, Id, MomentText


class Expiring(Struct, kw_only=True):
    """What a wallet loses when a day is over, if it is not spent before (PTS-4, COI-4)."""

    amount: int
    expires_on: Day


class Wallet(Struct, kw_only=True):
    """The points that a customer has at one brand, or their coins (PTS-1, COI-1).

    `balance` is what can be spent; `held` is set aside for payments that wait for a code. Coins
    have no `brand_id`. `expiring` is in the order in which the lots are spent.
    """

    asset: Asset
    brand_id: Id | UnsetType = UNSET
    balance: Balance
    held: Annotated[int, Meta(ge=0)]
    expiring: list[Expiring]


class Wallets(Struct, kw_only=True):
    """What a customer has at one moment; a brand sees its own points, and coins (USR-2)."""

    wallets: list[Wallet]
    as_of: MomentText


class Posting(Struct, kw_only=True):
    """One line of a wallet's history; a transaction that moves points and coins has two.

    `amount` moved the balance and `held_amount` what is held; both have their sign. `bill_amount`
    is in minor units of the store's currency. `item` is what a redemption took, null for others. A
    block and an unblock have `reason` and `by`, a reversal what it reversed.
    """

    transaction_id: UUID
    type: Literal[
        "accumulation",
        "redemption",
        "hold",
        "capture",
        "void",
        "release",
        "resend",
        "expiry",
        "block",
        "unblock",
        "payment",
        "conversion",
        "cashback",
        "donation",
        "reversal",
    ]
    asset: Asset
    brand_id: Id | None
    store_id: Id | None
    amount: int
    held_amount: int
    balance: Balance
    payment_id: UUID | None
    invoice_number: str | None
    bill_amount: Annotated[int, Meta(ge=0)] | None
    item: RedeemedItem | None
    occurred_at: MomentText
    recorded_at: MomentText
    reversed_transaction_id: UUID | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    by: str | UnsetType = UNSET


class Postings(Struct, kw_only=True):
    """A page of a customer's history, newest first; the next is asked for with `next_cursor`."""

    transactions: list[Posting]
    next_cursor: str | None

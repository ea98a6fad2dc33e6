"""Shapes of the funds of prepaid issuers (COI-2)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from engine.api.shapes.scalars import PRINTABLE_ASCII, Coins, Moment

DepositReference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=PRINTABLE_ASCII,
        description="What the brand paid the coins by. Each is deposited once.",
    ),
]


class Fund(Struct, kw_only=True):
    """What an issuer has paid for: `deposited` in all, `issued` of that, and the `balance`.

    While it is `prepaid`, nothing is issued beyond the balance: a sale earns no coins then, and a
    cashback is not available. While it is postpaid, what it issues leaves the balance as it is.
    """

    brand_id: int
    prepaid: bool
    deposited: int
    issued: int
    balance: int


class FundChange(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that makes an issuer prepaid or postpaid; every worker follows within a second."""

    prepaid: bool


class NewDeposit(Struct, forbid_unknown_fields=True, frozen=True):
    """Body that adds coins to the fund of an issuer."""

    coins: Coins
    reference: DepositReference


class Deposit(Struct):
    """Coins that were added to the fund of an issuer."""

    brand_id: int
    coins: int
    reference: str
    deposited_at: Moment

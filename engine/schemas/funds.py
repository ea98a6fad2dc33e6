"""Shapes of the funds of prepaid issuers (COI-2)."""

from __future__ import annotations

from msgspec import Struct

from engine.schemas.scalars import Coins, DepositReference, Moment
from engine.schemas.texts import Sent


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


class FundChange(Sent, frozen=True):
    """Body that makes an issuer prepaid or postpaid; every worker follows within a second."""

    prepaid: bool


class NewDeposit(Sent, frozen=True):
    """Body that adds coins to the fund of an issuer."""

    coins: Coins
    reference: DepositReference


class Deposit(Struct):
    """Coins that were added to the fund of an issuer."""

    brand_id: int
    coins: int
    reference: str
    deposited_at: Moment

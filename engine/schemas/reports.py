"""Shapes of the reports: settlement between brands, what is owed, the trial balance, statements."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from engine.schemas.scalars import Asset, Balance, Currency, Day, Id, MomentText
from engine.schemas.wallets import Posting

DayOrMoment = Annotated[
    str,
    Meta(
        min_length=10,
        max_length=40,
        description="A day (YYYY-MM-DD), or a moment with its offset (RFC 3339).",
    ),
]
Month = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}\Z")]
SignedCoins = Annotated[int, Meta(description="Whole coins; a coin is a peso (COI-1).")]
SignedAmount = Annotated[int, Meta(description="Minor units of the currency.")]
Count = Annotated[int, Meta(ge=0)]


class Folded(Struct, kw_only=True):
    """How far the folded sums reach that a report was read from.

    They have all that was recorded before `until`. The `rows_added` rows of the journal that they
    lack were read and added, so that the report lacks nothing.
    """

    until: MomentText
    rows_added: Count


class SettlementParty(Struct, kw_only=True):
    """Who issues, receives or is given coins; the name is null of what the catalogue lacks."""

    type: Literal["brand", "partner", "organisation"]
    id: Id
    name: str | None


class SettlementFlow(Struct, kw_only=True):
    """Coins of an issuer that a receiver got, and what the issuer owes the receiver for them.

    By a `payment` a customer spent them at the receiver, by a `donation` gave them to it, and by a
    `repayment` made up for coins of the receiver that were taken back after they were spent. Below
    zero where more was reversed than was moved.
    """

    issuer: SettlementParty
    receiver: SettlementParty
    reason: Literal["payment", "donation", "repayment"]
    coins: SignedCoins
    amount: SignedAmount


class SettlementPosition(Struct, kw_only=True):
    """What somebody receives and pays, in coins; `net` is to be paid to them, below zero by them.

    `issued` are the coins that they issued meanwhile, and `expired` those of theirs that nobody
    spent: breakage (COI-4).
    """

    party: SettlementParty
    receives: SignedCoins
    pays: SignedCoins
    net: SignedCoins
    net_amount: SignedAmount
    issued: SignedCoins
    expired: SignedCoins


class SettlementTotals(Struct, kw_only=True):
    """All the flows together. What is received was paid by somebody, so `net` is 0."""

    coins: SignedCoins
    amount: SignedAmount
    net: SignedCoins
    net_amount: SignedAmount


class Settlement(Struct, kw_only=True):
    """Whose coins went where, and so who owes whom (COI-9).

    A brand sees the flows that it is in. The positions add up to zero.
    """

    start: DayOrMoment = field(name="from")
    end: DayOrMoment = field(name="to")
    currency: Currency
    settlements: list[SettlementFlow]
    positions: list[SettlementPosition]
    totals: SettlementTotals
    folded: Folded


class OwedInMonth(Struct, kw_only=True):
    """What can be spent to a day of this month at the latest."""

    month: Month
    amount: int


class Outstanding(Struct, kw_only=True):
    """What customers hold and may yet spend, by the month it expires in (PTS-4).

    What is held for a payment is among it. `expired` was past its last day and not yet written off;
    it can no longer be spent (PTS-5). `owed` is what customers owe, because it was taken back after
    they had spent it (PTS-8).
    """

    outstanding: int
    months: list[OwedInMonth]
    expired: int
    owed: Count


class CoinsOutstanding(Outstanding, kw_only=True):
    """The coins that an issuer has outstanding, and what they are worth in pesos (COI-1)."""

    outstanding_amount: SignedAmount
    currency: Currency


class Liability(Struct, kw_only=True):
    """What a brand owes its customers: its points, and, apart from them, the coins it issued.

    `coins` is null of a brand that has issued none.
    """

    brand_id: Id
    as_of: DayOrMoment
    points: Outstanding
    coins: CoinsOutstanding | None
    folded: Folded


class CustomersSide(Struct, kw_only=True):
    """What customers have of an asset, as it was posted, and what their lots come to."""

    available: int
    held: int
    lots: int


class LedgerAccount(Struct, kw_only=True):
    """An account on the other side: below zero where more came from it than it got."""

    account: Literal[
        "points_issued",
        "points_redeemed",
        "points_expired",
        "coins_issued",
        "coins_settled",
        "coins_expired",
        "partner_clearing",
        "coins_donated",
    ]
    party: SettlementParty | None
    balance: int


class AssetBooks(Struct, kw_only=True):
    """The books of coins, or of one brand's points; the lots and all accounts add up to zero."""

    asset: Asset
    brand_id: Id | UnsetType = UNSET
    customers: CustomersSide
    accounts: list[LedgerAccount]
    difference: int


class TrialBalance(Struct, kw_only=True):
    """The balances of all accounts; `difference` is 0 where the books balance."""

    as_of: DayOrMoment
    books: list[AssetBooks]
    difference: Count
    folded: Folded


class WalletState(Struct, kw_only=True):
    """What a wallet had at a moment: what was due by then was gone."""

    balance: Balance
    held: Count


class StatementTotals(Struct, kw_only=True):
    """What came and went. `reversed` has its sign: below zero where more was taken than given back.

    The balance and what is held at the end are those at the beginning, plus `earned`, `converted`
    and `reversed`, less the others; where a brand's part is shown, so are its totals.
    """

    earned: int
    converted: int
    spent: int
    paid: int
    donated: int
    expired: int
    reversed: int


class ExpiringSoon(Struct, kw_only=True):
    """What expires within 30, 60 and 90 days, if it is not spent."""

    within_30_days: Count
    within_60_days: Count
    within_90_days: Count


class StatementWallet(Struct, kw_only=True):
    """A wallet from the beginning of the first day to the end of the last one, or to now."""

    asset: Asset
    brand_id: Id | UnsetType = UNSET
    opening: WalletState
    closing: WalletState
    totals: StatementTotals
    expiring: ExpiringSoon


class Statement(Struct, kw_only=True):
    """A customer's statement: their wallets over some days, and a page of what moved them."""

    customer_id: UUID
    start: Day = field(name="from")
    end: Day = field(name="to")
    as_of: MomentText
    wallets: list[StatementWallet]
    transactions: list[Posting]
    next_cursor: str | None

"""The contract of the reports."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.api.contract.invented import BRAND_ID, NOW
from engine.api.contract.row import Row, Rows, Text
from engine.schemas.reports import (
    AssetBooks,
    CoinsOutstanding,
    CustomersSide,
    DayOrMoment,
    Folded,
    LedgerAccount,
    Liability,
    Outstanding,
    OwedInMonth,
    Settlement,
    SettlementFlow,
    SettlementParty,
    SettlementPosition,
    SettlementTotals,
    TrialBalance,
)

FOLDED = Folded(until=NOW, rows_added=0)
ISSUER = SettlementParty(type="brand", id=BRAND_ID, name="Café Andino")
RECEIVER = SettlementParty(type="brand", id=2, name="Combustibles del Llano")
SETTLEMENT = Settlement(
    start="2026-11-01",
    end="2026-11-30",
    currency="COP",
    settlements=[
        SettlementFlow(
            issuer=ISSUER, receiver=RECEIVER, reason="payment", coins=1200, amount=120_000
        )
    ],
    positions=[
        SettlementPosition(
            party=ISSUER,
            receives=0,
            pays=1200,
            net=-1200,
            net_amount=-120_000,
            issued=5000,
            expired=40,
        ),
        SettlementPosition(
            party=RECEIVER,
            receives=1200,
            pays=0,
            net=1200,
            net_amount=120_000,
            issued=0,
            expired=0,
        ),
    ],
    totals=SettlementTotals(coins=1200, amount=120_000, net=0, net_amount=0),
    folded=FOLDED,
)
LIABILITY = Liability(
    brand_id=BRAND_ID,
    as_of="2026-11-22",
    points=Outstanding(
        outstanding=1240,
        months=[
            OwedInMonth(month="2027-10", amount=240),
            OwedInMonth(month="2027-11", amount=1000),
        ],
        expired=0,
        owed=15,
    ),
    coins=CoinsOutstanding(
        outstanding=3800,
        months=[OwedInMonth(month="2028-11", amount=3800)],
        expired=0,
        owed=0,
        outstanding_amount=380_000,
        currency="COP",
    ),
    folded=FOLDED,
)
BOOKS = AssetBooks(
    asset="points",
    brand_id=BRAND_ID,
    customers=CustomersSide(available=1240, held=0, lots=1240),
    accounts=[
        LedgerAccount(account="points_issued", party=ISSUER, balance=-1740),
        LedgerAccount(account="points_redeemed", party=ISSUER, balance=500),
    ],
    difference=0,
)
AS_OF = {
    "as_of": Annotated[
        DayOrMoment,
        Meta(description="A day, to its end, or a moment; now where it is left out."),
    ]
}
PERIOD = {
    "from": Annotated[
        DayOrMoment, Meta(description="The first day, or a moment; today where it is left out.")
    ],
    "to": Annotated[
        DayOrMoment,
        Meta(description="The last day, or the first moment after; today where it is left out."),
    ],
}
TABLE = Text(
    "text/csv",
    "issuer_type,issuer_id,issuer_name,receiver_type,receiver_id,receiver_name,reason,coins,amount,"
    "currency\r\nbrand,1,Café Andino,brand,2,Combustibles del Llano,payment,1200,120000,COP\r\n",
)

ROWS: Rows = {
    ("GET", "/v1/settlements"): Row(
        operation="readSettlement",
        answers={200: SETTLEMENT},
        texts=(TABLE,),
        query=PERIOD
        | {
            "format": Annotated[
                Literal["json", "csv"],
                Meta(description="`csv` for a spreadsheet; the header `Accept` may say so too."),
            ]
        },
        summary="Read who owes whom: whose coins were spent where (COI-9)",
        about="Days are those of Colombia, where coins are.",
    ),
    ("GET", "/v1/brands/{brand_id}/liability"): Row(
        operation="readLiability",
        answers={200: LIABILITY},
        query=AS_OF,
        summary="Read what a brand's customers hold, by the month it expires in (PTS-4, PTS-5)",
    ),
    ("GET", "/v1/trial-balance"): Row(
        operation="readTrialBalance",
        answers={200: TrialBalance(as_of="2026-11-22", books=[BOOKS], difference=0, folded=FOLDED)},
        query=AS_OF,
        summary="Read the balances of all accounts",
        about="Days are those of each brand's country, and of Colombia for coins.",
    ),
}

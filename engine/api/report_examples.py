"""Examples of the reports, as the document shows them."""

from __future__ import annotations

from engine.api.example_values import BRAND_ID, NOW_TEXT
from engine.http.operation import Text
from engine.schemas.reports import (
    AssetBooks,
    CoinsOutstanding,
    CustomersSide,
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

FOLDED = Folded(until=NOW_TEXT, rows_added=0)
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
TRIAL_BALANCE = TrialBalance(as_of="2026-11-22", books=[BOOKS], difference=0, folded=FOLDED)
TABLE = Text(
    "text/csv",
    "issuer_type,issuer_id,issuer_name,receiver_type,receiver_id,receiver_name,reason,coins,amount,"
    "currency\r\nbrand,1,Café Andino,brand,2,Combustibles del Llano,payment,1200,120000,COP\r\n",
)

"""The contract of the funds of prepaid issuers."""

from __future__ import annotations

from engine.api.contract.invented import BRAND_ID, REGISTERED
from engine.api.contract.row import Row, Rows
from engine.schemas.funds import Deposit, Fund, FundChange, NewDeposit

FUND_PATH = "/v1/brands/{brand_id}/fund"
FUND = Fund(brand_id=BRAND_ID, prepaid=True, deposited=500_000, issued=54_000, balance=446_000)
REFERENCE = "transfer 2026-11-0042"

ROWS: Rows = {
    ("GET", FUND_PATH): Row(
        operation="readFund",
        answers={200: FUND},
        summary="Read what an issuer has deposited, and what of it is not issued yet (COI-2)",
    ),
    ("PATCH", FUND_PATH): Row(
        operation="changeFund",
        body=FundChange(prepaid=True),
        answers={200: FUND},
        problems=("retired",),
        summary="Make an issuer prepaid or postpaid (COI-2)",
        about="A prepaid issuer issues no more coins than were deposited. Where it has not so many "
        "left, a sale earns its points and `coins` is null, and a cashback is `not_available`.",
    ),
    ("POST", FUND_PATH + "/deposits"): Row(
        operation="depositCoins",
        key="required",
        body=NewDeposit(coins=500_000, reference=REFERENCE),
        answers={201: Deposit(BRAND_ID, 500_000, REFERENCE, REGISTERED)},
        problems=("deposit_exists", "retired"),
        summary="Deposit coins that an issuer has paid for (COI-2)",
        about="A reference is deposited once. An issuer that is postpaid may have deposits too.",
    ),
}

"""The contract of coins that come and go at once, and of reversals."""

from __future__ import annotations

from uuid import UUID

from engine.api.contract.row import Row, Rows
from engine.api.example_values import (
    BRAND_ID,
    COINS_EXPIRE,
    CUSTOMER_ID,
    NOW,
    STORE_ID,
    TRANSACTION_ID,
)
from engine.codes import Kind
from engine.schemas.transactions import (
    Cashback,
    CashedBack,
    Conversion,
    Converted,
    Donated,
    Donation,
    Earned,
    Reversal,
    Reversed,
    Spent,
    Undone,
)

CUSTOMER = "/v1/customers/{customer_id}"
REVERSAL_ID = UUID("c2f6b1d8-05e4-8a7f-93b1-4e5f60718293")

CONVERTED = Converted(
    transaction_id=TRANSACTION_ID,
    customer_id=CUSTOMER_ID,
    partner_id=1,
    partner_points=2000,
    reference="DV-2026-000431",
    coins=Earned(earned=2000, balance=7400, expires_on=COINS_EXPIRE),
    recorded_at=NOW,
)
CASHED_BACK = CashedBack(
    transaction_id=TRANSACTION_ID,
    customer_id=CUSTOMER_ID,
    store_id=STORE_ID,
    brand_id=BRAND_ID,
    order="WEB-5521",
    coins=Earned(earned=800, balance=6200, expires_on=COINS_EXPIRE),
    recorded_at=NOW,
)
DONATED = Donated(
    transaction_id=TRANSACTION_ID,
    customer_id=CUSTOMER_ID,
    organisation_id=1,
    coins=Spent(spent=1000, balance=4400),
    recorded_at=NOW,
)
REVERSED = Reversed(
    transaction_id=REVERSAL_ID,
    customer_id=CUSTOMER_ID,
    store_id=STORE_ID,
    brand_id=BRAND_ID,
    reversed_transaction_id=TRANSACTION_ID,
    type="accumulation",
    points=Undone(amount=-54, balance=1186, owed=0),
    coins=Undone(amount=-540, balance=-40, owed=40),
    reason="The purchase was returned",
    cause="returned",
    recorded_at=NOW,
)

ROWS: Rows = {
    ("POST", CUSTOMER + "/conversions"): Row(
        operation="convert",
        key="required",
        body=Conversion(partner_id=1, partner_points=2000, reference="DV-2026-000431"),
        answers={201: CONVERTED},
        verbs=(Kind.CONVERSION,),
        problems=("partner_not_found",),
        summary="Convert: a partner's points become coins, at the partner's rate (SYS-9)",
        about="A reference of a partner converts once, for one customer. Coins are rounded down.",
    ),
    ("POST", CUSTOMER + "/cashbacks"): Row(
        operation="giveCashback",
        key="required",
        body=Cashback(store_id=STORE_ID, coins=800, order="WEB-5521"),
        answers={201: CASHED_BACK},
        verbs=(Kind.CASHBACK,),
        problems=("store_not_found",),
        summary="Give cashback: coins for an online order, once (COI-2, INV-8)",
        about="The brand of the store issues the coins; it must be an issuer. An order of the brand"
        " pays once, however it is spelled: letters and digits count, case and other signs do not.",
    ),
    ("POST", CUSTOMER + "/donations"): Row(
        operation="donate",
        key="required",
        body=Donation(organisation_id=1, coins=1000),
        answers={201: DONATED},
        verbs=(Kind.DONATION,),
        problems=("organisation_not_found",),
        summary="Donate coins to a social organisation (COI-8)",
    ),
    ("POST", CUSTOMER + "/reversals"): Row(
        operation="reverse",
        key="required",
        body=Reversal(
            transaction_id=str(TRANSACTION_ID),
            reason="The purchase was returned",
        ),
        answers={201: REVERSED},
        verbs=(Kind.REVERSAL,),
        problems=("transaction_not_found",),
        summary="Reverse a transaction, once and whole (PTS-8, RED-7)",
        about="What was earned is taken back, and what was spent by then is owed: the balance goes"
        " below zero, and the next earnings repay it. What was spent comes back to the very lots it"
        " came from, with the expiry they had. A payment is named by its `payment_id` or by the"
        " transaction that confirmed it. The `cause` says whether the invoice, the partner's"
        " reference or the online order may be used again (INV-6).",
    ),
}

"""The contract of transactions: what earns and what spends."""

from __future__ import annotations

from msgspec import structs

from engine.api.contract.coins import CASHED_BACK, CONVERTED, DONATED, REVERSED
from engine.api.contract.payments import SUCCEEDED
from engine.api.contract.row import Row, Rows, Text
from engine.api.example_values import (
    BRAND_ID,
    COINS_EXPIRE,
    CUSTOMER_ID,
    NOW,
    POINTS_EXPIRE,
    STORE_ID,
    TRANSACTION_ID,
)
from engine.codes import Kind
from engine.schemas.items import RedeemedItem
from engine.schemas.people import StandingChange
from engine.schemas.transactions import (
    Accumulated,
    Accumulation,
    BulkItem,
    BulkResult,
    BulkResults,
    Earned,
    Redeemed,
    Redemption,
    Spent,
)

CUSTOMER = "/v1/customers/{customer_id}"

ACCUMULATED = Accumulated(
    transaction_id=TRANSACTION_ID,
    customer_id=CUSTOMER_ID,
    store_id=STORE_ID,
    brand_id=BRAND_ID,
    points=Earned(earned=54, balance=1240, expires_on=POINTS_EXPIRE),
    coins=Earned(earned=540, balance=5400, expires_on=COINS_EXPIRE),
    recorded_at=NOW,
)
REDEEMED = Redeemed(
    transaction_id=TRANSACTION_ID,
    customer_id=CUSTOMER_ID,
    store_id=STORE_ID,
    brand_id=BRAND_ID,
    points=Spent(spent=500, balance=740),
    item=RedeemedItem(kind="reward", reward_id=1, name="Café americano", points=500),
    recorded_at=NOW,
)

BLOCKED = StandingChange(
    transaction_id=TRANSACTION_ID,
    customer_id=CUSTOMER_ID,
    type="block",
    reason="Case 4711: many accumulations in a short time",
    by="key:k7xq2m4v6z",
    recorded_at=NOW,
)

ROWS: Rows = {
    ("POST", CUSTOMER + "/accumulations"): Row(
        operation="accumulate",
        key="required",
        body=Accumulation(amount=5_400_000, currency="COP", invoice_number="FV-20931"),
        answers={201: ACCUMULATED},
        verbs=(Kind.ACCUMULATION,),
        problems=(
            "amount_required",
            "currency_mismatch",
            "occurred_at_out_of_range",
            "store_required",
            "store_not_found",
            "invoice_differs",
        ),
        summary="Accumulate: a sale earns points, and coins at an issuer brand (PTS-3, COI-2)",
        about="`amount` may be left out where the point of sale has sent the invoice (INV-1), and"
        " may not be another one. An invoice of a store earns once (PTS-7).",
    ),
    ("POST", CUSTOMER + "/redemptions"): Row(
        operation="redeem",
        key="required",
        body={
            "reward": Redemption(reward_id=1),
            "promotion": Redemption(promotion_id=2),
            "gift": Redemption(gift_id=3),
        },
        answers={201: REDEEMED},
        verbs=(Kind.REDEMPTION,),
        problems=(
            "store_required",
            "store_not_found",
            "reward_not_found",
            "promotion_not_found",
            "gift_not_found",
            "promotion_costs_coins",
        ),
        summary="Redeem: points become a reward, at once (RED-5)",
    ),
    ("GET", CUSTOMER + "/transactions/{transaction_id}"): Row(
        operation="readTransaction",
        answers={
            200: {
                "accumulation": ACCUMULATED,
                "redemption": REDEEMED,
                "payment": SUCCEEDED,
                "conversion": CONVERTED,
                "cashback": CASHED_BACK,
                "donation": DONATED,
                "reversal": REVERSED,
                "block": BLOCKED,
            },
        },
        verbs=tuple(Kind),
        summary="Read a recorded answer, or the recorded refusal",
    ),
    ("POST", "/v1/transactions"): Row(
        operation="uploadTransactions",
        body=[
            BulkItem(
                type="accumulation",
                idempotency_key="caja1-20931",
                customer_id=str(CUSTOMER_ID),
                amount=5_400_000,
                currency="COP",
                invoice_number="FV-20931",
            ),
            BulkItem(
                type="accumulation",
                idempotency_key="caja1-20932",
                phone="300 765 4321",
                invoice_number="FV-20932",
            ),
        ],
        lines=(
            Text(
                "application/x-ndjson",
                '{"type":"accumulation","idempotency_key":"caja1-20931","phone":"300 765 4321",'
                '"amount":5400000,"currency":"COP"}\n',
            ),
        ),
        answers={
            200: BulkResults(
                results=[
                    BulkResult(
                        idempotency_key="caja1-20931",
                        status=201,
                        **structs.asdict(ACCUMULATED),
                    ),
                    BulkResult(
                        idempotency_key="caja1-20932",
                        status=404,
                        code="customer_not_found",
                        title="There is no such customer",
                        detail="There is no such customer. Look the customer up, or register them.",
                    ),
                ]
            )
        },
        problems=("too_many_items", "too_many_guesses"),
        summary="Upload accumulations in bulk; each succeeds or fails by itself (SYS-4)",
        about="A JSON array, or NDJSON: a line for each. Each item has its own idempotency key, and"
        " the results are in the order of the items.",
    ),
}

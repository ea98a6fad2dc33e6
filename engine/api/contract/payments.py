"""The contract of payments with coins."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from engine.api.contract.customers import PRESENCE
from engine.api.contract.row import Row, Rows
from engine.api.example_values import BRAND_ID, CUSTOMER_ID, NOW, PAYMENT_ID, STORE_ID
from engine.codes import Kind
from engine.schemas.transactions import (
    Confirmation,
    Nothing,
    PaidItem,
    Payment,
    PaymentState,
)

PAYMENTS = "/v1/customers/{customer_id}/payments"
PAYMENT = PAYMENTS + "/{payment_id}"

SUCCEEDED = PaymentState(
    payment_id=PAYMENT_ID,
    transaction_id=PAYMENT_ID,
    customer_id=CUSTOMER_ID,
    store_id=STORE_ID,
    brand_id=BRAND_ID,
    status="succeeded",
    coins=3000,
    balance=2400,
    held=0,
    recorded_at=NOW,
)
REQUIRES_CODE = replace(
    SUCCEEDED,
    status="requires_code",
    held=3000,
    sent_to="*********4567",
    expires_at=NOW + timedelta(minutes=5),
    tries_left=3,
    resends_left=3,
    code_digits=4,
)
FOR_A_PROMOTION = replace(
    SUCCEEDED,
    coins=5000,
    balance=400,
    item=PaidItem(kind="promotion", promotion_id=3, name="Café de origen con coins", coins=5000),
)
QR = "0K8PZ4T1N6XW3VQ9YB7RJ5MC2HDFLSGAUEOI41X"

ROWS: Rows = {
    ("POST", PAYMENTS): Row(
        operation="pay",
        key="required",
        body={
            "by a code": Payment(
                coins=3000, document_checked=True, invoice_number="FV-20932", amount=1_200_000
            ),
            "at once by the QR of the app": Payment(coins=3000, document_checked=True, qr=QR),
            "at once by presence": Payment(coins=3000, document_checked=True, presence=PRESENCE),
            "for a promotion": Payment(promotion_id=3, document_checked=True, qr=QR),
        },
        answers={
            201: {
                "requires a code": REQUIRES_CODE,
                "succeeded": SUCCEEDED,
                "succeeded for a promotion": FOR_A_PROMOTION,
            }
        },
        verbs=(Kind.HOLD, Kind.PAYMENT),
        problems=(
            "document_not_checked",
            "store_required",
            "store_not_found",
            "promotion_not_found",
            "invoice_differs",
            "too_many_failed_codes",
        ),
        summary="Pay with coins: by a code that is sent, or at once by the customer's QR (COI-6)",
    ),
    ("POST", PAYMENT + "/confirm"): Row(
        operation="confirmPayment",
        key="optional",
        body=Confirmation(code="4821"),
        answers={200: SUCCEEDED},
        verbs=(Kind.CAPTURE,),
        problems=("payment_captured", "too_many_failed_codes"),
        summary="Confirm a payment with the code that the customer was sent (COI-6)",
    ),
    ("POST", PAYMENT + "/resend"): Row(
        operation="resendCode",
        key="optional",
        body=Nothing(),
        answers={200: REQUIRES_CODE},
        verbs=(Kind.RESEND,),
        problems=("payment_captured",),
        summary="Send another code to the same person (COI-6)",
    ),
    ("POST", PAYMENT + "/void"): Row(
        operation="voidPayment",
        key="optional",
        body=Nothing(),
        answers={200: replace(SUCCEEDED, status="voided", balance=5400)},
        verbs=(Kind.VOID,),
        problems=("payment_captured",),
        summary="Void a payment: the held coins go back",
    ),
    ("GET", PAYMENT): Row(
        operation="readPayment",
        answers={
            200: {
                "succeeded": SUCCEEDED,
                "requires a code": REQUIRES_CODE,
                "reversed": replace(SUCCEEDED, status="reversed", balance=5400),
            }
        },
        summary="Read how a payment stands",
    ),
}

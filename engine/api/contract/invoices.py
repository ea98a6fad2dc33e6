"""The contract of invoices that an integrated point of sale sends."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from engine.api.contract.invented import CUSTOMER_ID, NOW, STORE_ID, TRANSACTION_ID
from engine.api.contract.resource import PAGE
from engine.api.contract.row import Row, Rows, Text
from engine.schemas.invoices import Invoice, Invoices, PrintedInvoice
from engine.schemas.scalars import Day, Moment, Till

INVOICES = "/v1/stores/{store_id}/invoices"
INVOICE = INVOICES + "/{number}"

UNCLAIMED = Invoice(
    store_id=STORE_ID,
    invoice_number="FV-20931",
    amount=5_400_000,
    currency="COP",
    issued_at=NOW,
    received_at=NOW,
    till="caja 3",
    status="unclaimed",
    customer_id=None,
    transaction_id=None,
)
VOIDED = replace(UNCLAIMED, status="voided")
CLAIMED = replace(
    UNCLAIMED, status="claimed", customer_id=CUSTOMER_ID, transaction_id=TRANSACTION_ID
)
OF_TILL = {"till": Annotated[Till, Meta(description="Only of this till (INV-7).")]}
OF_SALE = {
    "till": Annotated[
        Till, Meta(description="The till of the sale, needed where each numbers its own (INV-7).")
    ],
    "day": Annotated[
        Day,
        Meta(
            description="The business day of the sale. Where it is left out and numbers restart,"
            " today's sale is meant, else the newest one that nobody has claimed (INV-4)."
        ),
    ],
}
SINCE = {"since": Annotated[Moment, Meta(description="Only from this moment on.")]}

ROWS: Rows = {
    ("PUT", INVOICE): Row(
        operation="sendInvoice",
        body=PrintedInvoice(amount=5_400_000, currency="COP", issued_at=NOW),
        answers={201: UNCLAIMED, 200: UNCLAIMED},
        problems=(
            "currency_mismatch",
            "occurred_at_out_of_range",
            "invoice_differs",
            "invoice_voided",
        ),
        summary="Send a sale that was printed; to repeat it is no harm (INV-1)",
        about="A number that was voided is not printed again with another content:"
        " `invoice_voided`. The number `stream` is sent as `STREAM`, which is the same number: its"
        " own address is that of the stream.",
    ),
    ("GET", INVOICE): Row(
        operation="readInvoice",
        answers={200: CLAIMED},
        query=OF_SALE,
        problems=("invoice_not_found",),
        summary="Read a printed sale, and what came of it (INV-1)",
    ),
    ("DELETE", INVOICE): Row(
        operation="voidInvoice",
        answers={200: VOIDED},
        query=OF_SALE,
        problems=("invoice_not_found", "invoice_already_claimed", "payment_captured"),
        summary="Void a printed sale that nobody has claimed; to repeat it is no harm (INV-5)",
        about="A sale that is claimed can be voided once its transaction is reversed with the cause"
        " `mistake` or `wrong_customer`. Where coins are paid on the sale, the answer is"
        " `payment_captured`: reverse the payment first. Coins that wait for a code are no"
        " hindrance: the code is refused with `invoice_voided`, and the coins go back.",
    ),
    ("GET", INVOICES): Row(
        operation="listInvoices",
        answers={200: Invoices(invoices=[UNCLAIMED], next_cursor=None)},
        query=PAGE
        | {
            "status": Annotated[
                Literal["unclaimed", "claimed", "voided", "all"],
                Meta(description="Which of them; `unclaimed` where it is left out."),
            ]
        }
        | SINCE
        | OF_TILL,
        summary="List a store's printed sales, the newest first (INV-2)",
    ),
    ("GET", INVOICES + "/stream"): Row(
        operation="streamInvoices",
        problems=("overloaded",),
        answers={
            200: (
                Text(
                    "text/event-stream",
                    'event: invoice\nid: 42\ndata: {"invoice_number":"FV-20931",…}\n\n',
                ),
            )
        },
        query=SINCE | OF_TILL,
        summary="Stream sales as they are printed, as server-sent events (INV-1, SYS-3)",
        about="The data of an event is an `Invoice`. Who reconnects with the header"
        " `Last-Event-ID` gets what was missed, as every `EventSource` does.",
    ),
}

"""Invoices: what an integrated point of sale prints, and *Transacciones históricas* (INV-1…3)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta
from msgspec.structs import replace

from engine.api.date_ranges import YEARS, query_day, query_moment
from engine.api.example_values import CUSTOMER_ID, NOW, NOW_TEXT, STORE_ID, TRANSACTION_ID
from engine.api.pagination import LISTED, LISTED_MAX
from engine.api.resource import PAGE
from engine.commands.currencies import check_currency
from engine.commands.moments import occurred_at_s
from engine.commands.problem import Problem
from engine.commands.sales import Asked, differing, find_earlier, find_sale, named, printed_on
from engine.commands.scope import number_of, store_of
from engine.commands.services import Services
from engine.constants import EPOCH
from engine.http.bodies import query_int
from engine.http.dispatcher import Call
from engine.http.headers import query_text
from engine.http.operation import Answered, Unread, operation
from engine.ledger.receipts import microseconds
from engine.network import invoices
from engine.network.invoice_names import TILL_NEEDED, has_till, till_key_of
from engine.network.invoices import Printed
from engine.programme.brands import Store
from engine.programme.calendar import iso_moment
from engine.schemas.invoices import Invoice, Invoices, PrintedInvoice
from engine.schemas.scalars import Day, InvoiceNumber, Moment, Till
from engine.schemas.texts import text_of

NUMBER_ADVICE = (
    "An invoice number has 1 to 128 printable ASCII characters, with letters or digits, and is not"
    " N/A or the like."
)
STREAM_ADVICE = (
    "The address of the number `stream` is that of the stream of sales: send it as `STREAM`, which"
    " is the same number."
)
VOIDED_ADVICE = (
    "The point of sale has voided this number. The voided sale stands with the content that it was"
    " sent with: print the new sale under another number."
)
CLAIMED_ADVICE = (
    "This sale is claimed: reverse its transaction with the cause `mistake` first, then void it."
)
CLAIMED_ADVICE_ES = "Esta venta ya acumuló. Primero reversa esa transacción y después anúlala."
Wanted = Literal["unclaimed", "claimed", "voided", "all"]

UNCLAIMED = Invoice(
    store_id=STORE_ID,
    invoice_number="FV-20931",
    amount=5_400_000,
    currency="COP",
    issued_at=NOW_TEXT,
    received_at=NOW_TEXT,
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


@operation(
    "sendInvoice",
    summary="Send a sale that was printed; to repeat it is no harm (INV-1)",
    about="A number that was voided is not printed again with another content:"
    " `invoice_voided`. The number `stream` is sent as `STREAM`, which is the same number: its"
    " own address is that of the stream.",
    body_example=PrintedInvoice(amount=5_400_000, currency="COP", issued_at=NOW),
    status=201,
    answer_example=UNCLAIMED,
    other_answers={200: UNCLAIMED},
    problems=(
        "currency_mismatch",
        "occurred_at_out_of_range",
        "invoice_differs",
        "invoice_voided",
    ),
)
async def put(services: Services, call: Call, sent: Unread[PrintedInvoice]) -> Answered[Invoice]:
    """`PUT /v1/stores/{store_id}/invoices/{number}`: a sale was printed (INV-1)."""
    store, number = store_named(services, call), _number_of(call.params)
    if call.params["number"] == "stream":
        raise Problem("invalid_request", STREAM_ADVICE)
    body = await sent.read()
    check_currency(body.currency, store.brand)
    late: Problem | None = None
    try:
        occurred_at_s(body.issued_at, services.settings.occurred_days_max, "issued_at")
    except Problem as problem:
        if body.issued_at.tzinfo is None or body.issued_at.year not in YEARS:
            raise
        late = problem
    till = None if till_key_of(body.till) is None else body.till
    issued_s = body.issued_at.timestamp()
    earlier = await find_earlier(services, {0: Asked(store, number, issued_s, till)})
    printed = Printed(
        store_id=store.store_id,
        invoice_key=earlier[0] if earlier else named(store, number, issued_s, till).key,
        invoice_number=number,
        till=till,
        amount=body.amount,
        currency=store.brand.currency,
        issued_at=body.issued_at,
    )
    if late is None:
        kept, fresh = await services.invoices.put(printed)
    else:
        # One that was sent in time has grown old by now.
        found, fresh = await services.invoices.find(printed.key), False
        if found is None:
            raise late
        kept = found
    if not kept.says(printed):
        raise _differing_problem(kept)
    return Answered(shown_invoice(kept), 201 if fresh else 200)


def _differing_problem(kept: invoices.Invoice) -> Problem:
    """Return the problem of a sale that was sent before, with another content."""
    if kept.status == "voided":
        return Problem("invoice_voided", VOIDED_ADVICE)
    detail = (
        "This number was sent before with the data that this answer has; they stay as they are."
    )
    return Problem("invoice_differs", detail, differing(kept))


@operation(
    "readInvoice",
    summary="Read a printed sale, and what came of it (INV-1)",
    query=OF_SALE,
    answer_example=CLAIMED,
    problems=("invoice_not_found",),
)
async def get(services: Services, call: Call) -> Invoice:
    """`GET /v1/stores/{store_id}/invoices/{number}`."""
    return shown_invoice(await _printed(services, call))


@operation(
    "voidInvoice",
    summary="Void a printed sale that nobody has claimed; to repeat it is no harm (INV-5)",
    about="A sale that is claimed can be voided once its transaction is reversed with the cause"
    " `mistake` or `wrong_customer`. Where coins are paid on the sale, the answer is"
    " `payment_captured`: reverse the payment first. Coins that wait for a code are no"
    " hindrance: the code is refused with `invoice_voided`, and the coins go back.",
    query=OF_SALE,
    answer_example=VOIDED,
    problems=("invoice_not_found", "invoice_already_claimed", "payment_captured"),
)
async def void(services: Services, call: Call) -> Invoice:
    """`DELETE /v1/stores/{store_id}/invoices/{number}`: the sale is annulled (INV-5)."""
    printed = await _printed(services, call)
    kept = await services.invoices.void(printed.key) or printed
    if kept.status != "voided":
        raise Problem("invoice_already_claimed", CLAIMED_ADVICE, spanish=CLAIMED_ADVICE_ES)
    return shown_invoice(kept)


async def _printed(services: Services, call: Call) -> invoices.Invoice:
    """Return the invoice of the path; raises Problem where no point of sale has sent it.

    It is that of the `day` of the query, however it stands. Without a day, it is today's where
    numbers restart, else the newest one that nobody has claimed.
    """
    store, number = store_named(services, call), _number_of(call.params)
    till, day = query_till(call), query_day(call.request, "day")
    if day is None:
        found = (await find_sale(services, Asked(store, number, None, till))).printed
    else:
        found = await printed_on(services, store, number, day, till)
    if found is None:
        raise Problem("invoice_not_found", "No point of sale of this store has sent this number.")
    if till is None and has_till(found.invoice_key):
        raise Problem("invalid_request", TILL_NEEDED)
    return found


@operation(
    "listInvoices",
    summary="List a store's printed sales, the newest first (INV-2)",
    query=PAGE
    | {
        "status": Annotated[
            Wanted, Meta(description="Which of them; `unclaimed` where it is left out.")
        ]
    }
    | SINCE
    | OF_TILL,
    answer_example=Invoices(invoices=[UNCLAIMED], next_cursor=None),
)
async def listed(services: Services, call: Call) -> Invoices:
    """`GET /v1/stores/{store_id}/invoices`: by when they were issued, the newest first (INV-2)."""
    store = store_named(services, call)
    status = query_text(call.request, "status")
    status = "unclaimed" if status is None else status
    if status not in get_args(Wanted):
        raise Problem("invalid_request", f"`status` is one of {', '.join(get_args(Wanted))}.")
    limit = query_int(call.request, "limit", LISTED, LISTED_MAX)
    since = query_moment(call.request, "since")
    days_max = timedelta(days=services.settings.occurred_days_max)
    rows = await services.invoices.issued(
        store.store_id,
        status=status,
        till_key=till_key_of(query_till(call)),
        since=datetime.now(UTC) - days_max if since is None else since,
        before=_cursor(query_text(call.request, "cursor")),
        limit=limit + 1,
    )
    page = rows[:limit]
    return Invoices(
        invoices=[shown_invoice(invoice) for invoice in page],
        next_cursor=_cursor_text(page[-1]) if len(rows) > limit else None,
    )


def shown_invoice(invoice: invoices.Invoice) -> Invoice:
    """Return an invoice as clients see it."""
    claimed = invoice.status == "claimed"
    currency: Any = invoice.currency
    return Invoice(
        store_id=invoice.store_id,
        invoice_number=invoice.invoice_number,
        amount=invoice.amount,
        currency=currency,
        issued_at=iso_moment(microseconds(invoice.issued_at)),
        received_at=iso_moment(microseconds(invoice.received_at)),
        till=invoice.till,
        status=invoice.status,
        customer_id=invoice.customer_id if claimed else None,
        transaction_id=invoice.transaction_id if claimed else None,
    )


def query_till(call: Call) -> str | None:
    """Return the till that a query asks for (INV-7), or None; raises Problem where it is none."""
    text = query_text(call.request, "till")
    till = None if text is None else text_of(Till, text)
    if text is not None and till_key_of(till) is None:
        raise Problem("invalid_request", "`till` has 1 to 40 characters of printable ASCII.")
    return till


def store_named(services: Services, call: Call) -> Store:
    """Return the store of the path; raises Problem where it is not the principal's (USR-2)."""
    return store_of(services.catalogue.now, call.principal, number_of(call.params["store_id"]))


def _number_of(params: dict[str, str]) -> str:
    """Return the invoice number of the path; raises Problem for what no invoice is called."""
    number = text_of(InvoiceNumber, params["number"])
    if number is None:
        raise Problem("invalid_request", NUMBER_ADVICE)
    return number


def _cursor_text(invoice: invoices.Invoice) -> str:
    place = f"{microseconds(invoice.issued_at)}.{invoice.invoice_key}"
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _cursor(text: str | None) -> tuple[datetime, str] | None:
    """Return the place that a cursor names; raises Problem where it names none."""
    if text is None:
        return None
    try:
        place = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        moment, _, number = place.partition(".")
        if not number.isprintable():
            raise ValueError("no invoice is called so")
        return EPOCH + timedelta(microseconds=int(moment)), number
    except (ValueError, OverflowError):
        raise Problem(
            "invalid_request", "`cursor` must be a `next_cursor` that this list gave."
        ) from None

"""Invoices: what an integrated point of sale prints, and *Transacciones históricas* (INV-1…3)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from engine.api.date_ranges import YEARS, query_day, query_moment
from engine.api.pagination import LISTED, LISTED_MAX
from engine.commands.currencies import check_currency
from engine.commands.moments import occurred_at_s
from engine.commands.problem import Problem
from engine.commands.sales import Asked, differing, find_earlier, find_sale, named, printed_on
from engine.commands.scope import number_of, store_of
from engine.commands.services import Services
from engine.constants import EPOCH
from engine.http.bodies import BodyDecoder, query_int
from engine.http.dispatcher import Call, answer, read_body
from engine.http.headers import query_text
from engine.http.response import Response
from engine.ledger.receipts import microseconds
from engine.network.invoice_names import TILL_NEEDED, has_till, till_key_of
from engine.network.invoices import Invoice, Printed
from engine.programme.brands import Store
from engine.programme.calendar import iso_moment
from engine.schemas.invoices import PrintedInvoice
from engine.schemas.scalars import InvoiceNumber, Till
from engine.schemas.texts import text_of

WIRE = BodyDecoder(PrintedInvoice)
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
STATUSES = ("unclaimed", "claimed", "voided", "all")


async def put(services: Services, call: Call) -> Response:
    """`PUT /v1/stores/{store_id}/invoices/{number}`: a sale was printed (INV-1)."""
    store, number = store_named(services, call), _number_of(call.params)
    if call.params["number"] == "stream":
        raise Problem("invalid_request", STREAM_ADVICE)
    body: PrintedInvoice = WIRE.decode(await read_body(services, call.request))
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
    return answer(orjson.dumps(invoice_body(kept)), 201 if fresh else 200)


def _differing_problem(kept: Invoice) -> Problem:
    """Return the problem of a sale that was sent before, with another content."""
    if kept.status == "voided":
        return Problem("invoice_voided", VOIDED_ADVICE)
    detail = (
        "This number was sent before with the data that this answer has; they stay as they are."
    )
    return Problem("invoice_differs", detail, differing(kept))


async def get(services: Services, call: Call) -> Response:
    """`GET /v1/stores/{store_id}/invoices/{number}`."""
    invoice = await _printed(services, call)
    return answer(orjson.dumps(invoice_body(invoice)))


async def void(services: Services, call: Call) -> Response:
    """`DELETE /v1/stores/{store_id}/invoices/{number}`: the sale is annulled (INV-5)."""
    printed = await _printed(services, call)
    kept = await services.invoices.void(printed.key) or printed
    if kept.status != "voided":
        raise Problem("invoice_already_claimed", CLAIMED_ADVICE, spanish=CLAIMED_ADVICE_ES)
    return answer(orjson.dumps(invoice_body(kept)))


async def _printed(services: Services, call: Call) -> Invoice:
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


async def listed(services: Services, call: Call) -> Response:
    """`GET /v1/stores/{store_id}/invoices`: by when they were issued, the newest first (INV-2)."""
    store = store_named(services, call)
    status = query_text(call.request, "status")
    status = "unclaimed" if status is None else status
    if status not in STATUSES:
        raise Problem("invalid_request", f"`status` is one of {', '.join(STATUSES)}.")
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
    body = {
        "invoices": [invoice_body(invoice) for invoice in page],
        "next_cursor": _cursor_text(page[-1]) if len(rows) > limit else None,
    }
    return answer(orjson.dumps(body))


def invoice_body(invoice: Invoice) -> dict[str, Any]:
    """Return an invoice as clients see it."""
    claimed = invoice.status == "claimed"
    return {
        "store_id": invoice.store_id,
        "invoice_number": invoice.invoice_number,
        "amount": invoice.amount,
        "currency": invoice.currency,
        "issued_at": iso_moment(microseconds(invoice.issued_at)),
        "received_at": iso_moment(microseconds(invoice.received_at)),
        "till": invoice.till,
        "status": invoice.status,
        "customer_id": str(invoice.customer_id) if claimed else None,
        "transaction_id": str(invoice.transaction_id) if claimed else None,
    }


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


def _cursor_text(invoice: Invoice) -> str:
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

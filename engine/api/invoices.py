"""Invoices: what an integrated point of sale prints, and *Transacciones históricas* (INV-1…3)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import orjson

from engine.api.accumulations import differing, occurred_at_s
from engine.api.currencies import check_currency
from engine.api.door import Call, answer, read_body
from engine.api.pages import LISTED, LISTED_MAX
from engine.api.periods import query_moment
from engine.api.places import number_of, store_of
from engine.api.problems import Problem
from engine.api.reply import Reply
from engine.api.services import Services
from engine.api.shapes.invoices import PrintedInvoice
from engine.api.shapes.scalars import InvoiceNumber
from engine.api.wire import Wire, query_int
from engine.ledger.receipts import microseconds
from engine.network.invoices import Invoice, Printed
from engine.programme.brands import Store
from engine.programme.calendar import iso_moment

WIRE = Wire(PrintedInvoice)
CLAIMED = {"unclaimed": False, "claimed": True, "all": None}


async def put(services: Services, call: Call) -> Reply:
    """`PUT /v1/stores/{store_id}/invoices/{number}`: a sale was printed (INV-1)."""
    store = store_named(services, call)
    number = _number_of(call.params)
    if number is None:
        detail = "An invoice number has 1 to 64 printable ASCII characters."
        raise Problem("invalid_request", detail)
    body: PrintedInvoice = WIRE.decode(await read_body(services, call.request))
    check_currency(body.currency, store.brand)
    printed = Printed(
        store_id=store.store_id,
        invoice_number=number,
        amount=body.amount,
        currency=store.brand.currency,
        issued_at=body.issued_at,
    )
    try:
        occurred_at_s(body.issued_at, services.settings.occurred_days_max, "issued_at")
    except Problem:
        # One that was sent in time has grown old by now.
        kept = await services.invoices.find(printed.key)
        if kept is None:
            raise
        fresh = False
    else:
        kept, fresh = await services.invoices.put(printed)
    if not kept.says(printed):
        detail = "This store has sent this number with another content, which stands; see members."
        raise Problem("invoice_differs", detail, differing(kept))
    return answer(orjson.dumps(invoice_body(kept)), 201 if fresh else 200)


async def get(services: Services, call: Call) -> Reply:
    """`GET /v1/stores/{store_id}/invoices/{number}`."""
    store = store_named(services, call)
    number = _number_of(call.params)
    invoice = None if number is None else await services.invoices.find((store.store_id, number))
    if invoice is None:
        raise Problem("invoice_not_found", "No point of sale of this store has sent this number.")
    return answer(orjson.dumps(invoice_body(invoice)))


async def listed(services: Services, call: Call) -> Reply:
    """`GET /v1/stores/{store_id}/invoices`: by when they were issued, the newest first (INV-2)."""
    store = store_named(services, call)
    query = call.request.query
    status = query.get("status", "unclaimed")
    if status not in CLAIMED:
        raise Problem("invalid_request", f"`status` is one of {', '.join(CLAIMED)}.")
    limit = query_int(call.request, "limit", LISTED, LISTED_MAX)
    days_max = timedelta(days=services.settings.occurred_days_max)
    rows = await services.invoices.issued(
        store.store_id,
        claimed=CLAIMED[status],
        since=query_moment(call.request, "since") or datetime.now(UTC) - days_max,
        before=_cursor(query.get("cursor")),
        limit=limit + 1,
    )
    page = rows[:limit]
    body = {
        "invoices": [invoice_body(invoice) for invoice in page],
        "next_cursor": _cursor_text(page[-1]) if len(rows) > limit else None,
    }
    return answer(orjson.dumps(body))


def invoice_body(invoice: Invoice) -> dict[str, Any]:
    """Return an invoice as it is told."""
    claimed = invoice.transaction_id is not None
    return {
        "store_id": invoice.store_id,
        "invoice_number": invoice.invoice_number,
        "amount": invoice.amount,
        "currency": invoice.currency,
        "issued_at": iso_moment(microseconds(invoice.issued_at)),
        "received_at": iso_moment(microseconds(invoice.received_at)),
        "status": "claimed" if claimed else "unclaimed",
        "customer_id": str(invoice.customer_id) if claimed else None,
        "transaction_id": str(invoice.transaction_id) if claimed else None,
    }


def store_named(services: Services, call: Call) -> Store:
    """Return the store of the path; raises Problem where it is not the principal's (USR-2)."""
    return store_of(services.catalogue.now, call.principal, number_of(call.params["store_id"]))


def _number_of(params: dict[str, str]) -> str | None:
    """Return the invoice number of the path, None for what no invoice is called."""
    try:
        return msgspec.convert(params["number"], InvoiceNumber)
    except msgspec.ValidationError:
        return None


def _cursor_text(invoice: Invoice) -> str:
    place = f"{microseconds(invoice.issued_at)}.{invoice.invoice_number}"
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
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(moment)), number
    except (ValueError, OverflowError):
        raise Problem("invalid_request", "`cursor` is a `next_cursor` of this list.") from None

"""Invoices: what an integrated point of sale prints, and *Transacciones históricas* (INV-1…3)."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from engine.api.currencies import check_currency
from engine.api.door import Call, answer, read_body
from engine.api.heads import query_text
from engine.api.moments import occurred_at_s
from engine.api.pages import LISTED, LISTED_MAX
from engine.api.periods import query_moment
from engine.api.places import number_of, store_of
from engine.api.problems import Problem, refusal_problem
from engine.api.reply import Reply
from engine.api.services import Services
from engine.api.shapes.invoices import PrintedInvoice
from engine.api.shapes.scalars import InvoiceNumber, Till
from engine.api.texts import text_of
from engine.api.wire import Wire, query_int
from engine.ledger.receipts import microseconds
from engine.ledger.vocabulary import Refusal
from engine.network.invoice_names import InvoiceName, name_of, till_key_of
from engine.network.invoices import Invoice, Printed
from engine.programme.brands import Store
from engine.programme.calendar import iso_moment

WIRE = Wire(PrintedInvoice)
NUMBER_ADVICE = (
    "An invoice number has 1 to 128 printable ASCII characters, with letters or digits, and is not"
    " N/A or the like."
)
STATUSES = ("unclaimed", "claimed", "voided", "all")


async def put(services: Services, call: Call) -> Reply:
    """`PUT /v1/stores/{store_id}/invoices/{number}`: a sale was printed (INV-1)."""
    store = store_named(services, call)
    number = _number_of(call.params)
    if number is None:
        raise Problem("invalid_request", NUMBER_ADVICE)
    body: PrintedInvoice = WIRE.decode(await read_body(services, call.request))
    check_currency(body.currency, store.brand)
    name = named(store, number, body.issued_at.timestamp(), body.till)
    printed = Printed(
        store_id=store.store_id,
        invoice_key=name.key,
        invoice_number=number,
        till=body.till,
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
        detail = (
            "This number was sent before with the data that this answer has; they stay as they are."
        )
        raise Problem("invoice_differs", detail, differing(kept))
    return answer(orjson.dumps(invoice_body(kept)), 201 if fresh else 200)


async def get(services: Services, call: Call) -> Reply:
    """`GET /v1/stores/{store_id}/invoices/{number}`."""
    invoice = await _printed(services, call)
    return answer(orjson.dumps(invoice_body(invoice)))


async def void(services: Services, call: Call) -> Reply:
    """`DELETE /v1/stores/{store_id}/invoices/{number}`: the sale is annulled (INV-5)."""
    printed = await _printed(services, call)
    kept = await services.invoices.void(printed.key) or printed
    if kept.status != "voided":
        raise refusal_problem(Refusal.INVOICE_ALREADY_CLAIMED)
    return answer(orjson.dumps(invoice_body(kept)))


async def _printed(services: Services, call: Call) -> Invoice:
    """Return the invoice of the path; raises Problem where no point of sale has sent it.

    Where numbers restart, it is today's; else the newest one that nobody has claimed.
    """
    store, number = store_named(services, call), _number_of(call.params)
    till = query_till(call)
    found = None if number is None else await find_printed(services, store, number, None, till)
    if found is None:
        raise Problem("invoice_not_found", "No point of sale of this store has sent this number.")
    return found


async def find_printed(
    services: Services, store: Store, number: str, sold_at_s: float | None, till: str | None
) -> Invoice | None:
    """Return what a point of sale has printed under a number, however it is typed (INV-4), or None.

    `sold_at_s` is when it was sold, in seconds since 1970. Where that is not known and the numbers
    of the store restart, the sale of today is meant, else the newest that nobody has claimed.
    """
    moment_s = time.time() if sold_at_s is None else sold_at_s
    found = None
    if store.invoice_scope != "till_day" or till_key_of(till) is not None:
        name = named(store, number, moment_s, till)
        found = await services.invoices.find((store.store_id, name.key))
    if found is not None or store.invoice_scope == "forever" or sold_at_s is not None:
        return found
    days_max = timedelta(days=services.settings.occurred_days_max)
    return await services.invoices.latest(
        store.store_id,
        InvoiceName(number, None).key,
        till_key_of(till),
        datetime.now(UTC) - days_max,
    )


def named(store: Store, number: str, sold_at_s: float, till: str | None) -> InvoiceName:
    """Return what names an invoice; raises Problem where its till has to be sent (INV-4)."""
    try:
        return name_of(store, number, sold_at_s, till)
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from None


async def listed(services: Services, call: Call) -> Reply:
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


def differing(kept: Printed) -> dict[str, Any]:
    """Return the members of a problem of an invoice that says something else."""
    return {
        "amount": kept.amount,
        "currency": kept.currency,
        "issued_at": iso_moment(microseconds(kept.issued_at)),
    }


def check_printed(printed: Invoice, amount: int | None) -> None:
    """Raise Problem where a printed sale is voided, or was sent with another `amount` than it has.

    `amount` in minor units, None where none was sent.
    """
    if printed.status == "voided":
        raise refusal_problem(Refusal.INVOICE_VOIDED)
    if amount not in (None, printed.amount):
        detail = (
            "The point of sale has printed another amount: send that one, or leave `amount` out."
        )
        raise Problem("invoice_differs", detail, differing(printed))


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


def _number_of(params: dict[str, str]) -> str | None:
    """Return the invoice number of the path, None for what no invoice is called."""
    return text_of(InvoiceNumber, params["number"])


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
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(moment)), number
    except (ValueError, OverflowError):
        raise Problem(
            "invalid_request", "`cursor` must be a `next_cursor` that this list gave."
        ) from None

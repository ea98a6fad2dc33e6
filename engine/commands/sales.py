"""Sales by their invoice number: which one a number means at a store, and how it stands (INV-4)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from engine.codes import Refusal
from engine.commands.moments import occurred_at_s
from engine.commands.problem import Problem, refusal_problem
from engine.commands.services import Services
from engine.ledger.receipts import microseconds
from engine.network.invoice_names import (
    TILL_NEEDED,
    InvoiceName,
    earlier_names,
    moments_of,
    name_of,
    needs_till,
    scope_of,
    till_key_of,
)
from engine.network.invoices import Invoice, Printed
from engine.programme.brands import Store
from engine.programme.calendar import iso_moment


@dataclass(frozen=True, slots=True)
class Asked:
    """A sale that is asked for: its store, its number as it was typed, when, and at which till.

    `sold_at_s` is in seconds since 1970, None where that is not said: then today's is meant, else
    the newest one that nobody has claimed.
    """

    store: Store
    number: str
    sold_at_s: float | None
    till: str | None


@dataclass(frozen=True, slots=True)
class Sale:
    """How a sale stands: by which key, and what its point of sale has `printed`.

    The key is None where nothing is known of the sale: then the scope of its store names it.
    """

    key: str | None = None
    printed: Invoice | None = None

    def scope(self, store: Store, number: str, sold_at_s: float, till: str | None) -> bytes | None:
        """Return what names it beside its number; raises Problem where its till is needed."""
        if self.key is not None:
            return scope_of(self.key)
        return named(store, number, sold_at_s, till).scope


NOT_KNOWN = Sale()


def sold_at_s(services: Services, occurred_at: datetime | None) -> float | None:
    """Return when a sale happened, None where that is not said; raises Problem where it cannot."""
    if occurred_at is None:
        return None
    return occurred_at_s(occurred_at, services.settings.occurred_days_max)


async def find_sale(services: Services, asked: Asked, *, paying: bool = False) -> Sale:
    """Return how a sale stands, however its number is typed; `paying` where coins pay it.

    Raises Problem where its till is needed and not given.
    """
    store, number, invoices = asked.store, asked.number, services.invoices
    earlier = (await find_earlier(services, {0: asked}, paying=paying)).get(0)
    no_till = needs_till(store, asked.till)
    keys = [] if earlier is None else [earlier]
    if not no_till:
        moment_s = time.time() if asked.sold_at_s is None else asked.sold_at_s
        keys.append(named(store, number, moment_s, asked.till).key)
    found = await invoices.find_many((store.store_id, key) for key in keys)
    for key in keys:
        if (printed := found.get((store.store_id, key))) is not None:
            return Sale(earlier or key, printed)
    if earlier is not None:
        return Sale(earlier)
    restarts = store.invoice_scope != "forever" or store.earlier_scopes
    if restarts and asked.sold_at_s is None:
        printed = await invoices.newest(
            store.store_id,
            InvoiceName(number, None).key,
            since=datetime.now(UTC) - timedelta(days=services.settings.occurred_days_max),
            till_key=till_key_of(asked.till),
            unclaimed=True,
            without_till=no_till,
        )
        if printed is not None:
            return Sale(printed.invoice_key, printed)
    if no_till:
        raise Problem("invalid_request", TILL_NEEDED)
    return NOT_KNOWN


async def find_earlier(
    services: Services, asked: Mapping[int, Asked], *, paying: bool = False
) -> dict[int, str]:
    """Return the keys by which sales stand since before their store changed its scope.

    Both are by any number for the sale; most sales have no such key, and most stores never changed.
    """
    names = [
        (place, one.store.store_id, name)
        for place, one in asked.items()
        if one.store.earlier_scopes
        for name in earlier_names(
            one.store,
            one.number,
            time.time() if one.sold_at_s is None else one.sold_at_s,
            one.till,
        )
    ]
    return await services.invoices.earlier(names, paying=paying) if names else {}


async def printed_on(
    services: Services, store: Store, number: str, day: date, till: str | None
) -> Invoice | None:
    """Return what a point of sale has printed under a number on a business day, or None.

    Raises Problem where its till is needed and not given.
    """
    since, before = moments_of(day, store.brand.utc_offset)
    no_till = needs_till(store, till)
    printed = await services.invoices.newest(
        store.store_id,
        InvoiceName(number, None).key,
        since=since,
        before=before,
        till_key=till_key_of(till),
        unclaimed=False,
        without_till=no_till,
    )
    if printed is None and no_till:
        raise Problem("invalid_request", TILL_NEEDED)
    return printed


def named(store: Store, number: str, sold_at_s: float, till: str | None) -> InvoiceName:
    """Return what names an invoice; raises Problem where its till has to be sent (INV-4)."""
    try:
        return name_of(store, number, sold_at_s, till)
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from None


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

"""The bill that coins pay: which invoice it is, and how many coins can pay it in all (INV-8)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.api.invoices import check_printed, find_printed, named
from engine.api.services import Services
from engine.api.shapes.transactions import Payment
from engine.network.invoice_names import scope_of
from engine.programme.brands import Store

COIN_MINOR_UNITS = 100
"""A coin is a peso (COI-1), and a peso has 100 minor units."""
UNKNOWN = -1
"""Of an amount, and of how many coins can pay it."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a payment says of its bill; `amount` in minor units, UNKNOWN where nobody says it."""

    number: str | None
    scope: bytes | None
    amount: int

    @property
    def number_bytes(self) -> bytes | None:
        """The number as the ledger takes it."""
        return None if self.number is None else self.number.encode()

    @property
    def coins_max(self) -> int:
        """How many coins can pay its invoice, all payments together; UNKNOWN without an invoice."""
        if self.number is None or self.amount == UNKNOWN:
            return UNKNOWN
        return self.amount // COIN_MINOR_UNITS


async def bill_of(services: Services, store: Store, body: Payment) -> Bill:
    """Return the bill of a payment: what the point of sale has printed is its amount.

    Raises Problem where the body says another amount, or the sale is voided.
    """
    amount = UNKNOWN if body.amount is None else body.amount
    number = body.invoice_number
    if number is None:
        return Bill(None, None, amount)
    printed = None
    if await services.invoices.prints(store.store_id):
        printed = await find_printed(services, store, number, None, body.till)
    if printed is None:
        scope = named(store, number, time.time(), body.till).scope
        return Bill(number, scope, amount)
    check_printed(printed, body.amount)
    return Bill(number, scope_of(printed.invoice_key), printed.amount)

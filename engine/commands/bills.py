"""The bill that coins pay: which invoice it is, and how many coins can pay it in all (INV-8)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.commands.sales import Asked, check_printed, find_sale
from engine.commands.services import Services
from engine.programme.brands import Store
from engine.schemas.transactions import Payment

COIN_MINOR_UNITS = 100
"""A coin is a peso (COI-1), and a peso has 100 minor units."""
UNKNOWN = -1
"""Of an amount, and of how many coins can pay it."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What a payment says of its bill; `amount` in minor units, UNKNOWN where nobody says it.

    `printed` is whether that is the amount that the point of sale has printed.
    """

    number: str | None
    scope: bytes | None
    amount: int
    printed: bool = False

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

    Raises Problem where the body says another amount, or the sale is voided. Whether a store prints
    is not asked of what is remembered: its first printed sale counts at once.
    """
    amount = UNKNOWN if body.amount is None else body.amount
    number = body.invoice_number
    if number is None:
        return Bill(None, None, amount)
    # Every payment asks: the store may have printed its first sale a moment ago.
    sale = await find_sale(services, Asked(store, number, None, body.till), paying=True)
    scope = sale.scope(store, number, time.time(), body.till)
    if sale.printed is None:
        return Bill(number, scope, amount)
    check_printed(sale.printed, body.amount)
    return Bill(number, scope, sale.printed.amount, printed=True)

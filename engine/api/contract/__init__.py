"""The contract: what each route takes and gives, one row a route; `/openapi.json` is made from it.

A new route gets its row in the module of its section, under the same method and path as in
engine.api.routes:

    ("POST", "/v1/brands/{brand_id}/rewards"): Row(
        operation="addReward",
        body=NewReward(name="Café", points=500),
        answers={201: REWARD},
        problems=("limit_reached",),
    ),

Bodies and answers are told by an example, which is a Struct of engine.schemas: its type is the
schema. Where there are several, each has a name: `{"quick": Registration(…), "full": …}`. A problem
that promises members of its own has its shape in engine.schemas.errors and its example in
engine.api.contract.problems. Roles, path and summary come from the route and its handler.
tests/api/test_openapi.py fails for a route without a row, and tests/contract.py holds every answer
that a test gets against it.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.api.contract import (
    brands,
    coins,
    customers,
    funds,
    invoices,
    items,
    operations,
    payments,
    principals,
    reports,
    transactions,
)
from engine.api.contract.row import Row, Rows


@dataclass(frozen=True, slots=True)
class Section:
    """Calls that belong together, under one heading of the document."""

    name: str
    text: str
    rows: Rows


SECTIONS: tuple[Section, ...] = (
    Section(
        "Customers",
        "One registration serves the whole network (CUS-1). Personal data travels in bodies, never "
        "in a URL.",
        customers.ROWS,
    ),
    Section(
        "Transactions",
        "What earns and what spends. All of it is under the customer, takes an idempotency key, "
        "and is answered when it is durable.",
        transactions.ROWS,
    ),
    Section(
        "Payments",
        "Coins pay a bill, in whole or in part: they are held, a code goes to the customer, and "
        "the code captures them (COI-3, COI-6).",
        payments.ROWS,
    ),
    Section(
        "Coins and reversals",
        "Coins that come and go at once, and how a mistake is undone: what was taken back and had "
        "been spent is owed, and the next earnings repay it.",
        coins.ROWS,
    ),
    Section(
        "Invoices",
        "Sales that an integrated point of sale sends as they are printed; a cashier claims them.",
        invoices.ROWS,
    ),
    Section(
        "Rewards, promotions and gifts",
        "What a brand gives for points, for coins or for nothing, and what a customer can take.",
        items.ROWS,
    ),
    Section(
        "Brands and stores",
        "Who belongs to the network, and what a sale earns there; partners and organisations too.",
        brands.ROWS,
    ),
    Section(
        "Funds",
        "Issuers that pay for their coins before they issue them.",
        funds.ROWS,
    ),
    Section(
        "Cashiers and keys",
        "Who may ask: cashiers sign in, systems have keys.",
        principals.ROWS,
    ),
    Section(
        "Reports",
        "For finance, at any moment: sums that are folded in the background, and what was posted "
        "since, together.",
        reports.ROWS,
    ),
    Section("Operations", "For those who run the engine; no key is needed.", operations.ROWS),
)

CONTRACT: Rows = {place: row for section in SECTIONS for place, row in section.rows.items()}
"""Every row by (method, path)."""

__all__ = ["CONTRACT", "SECTIONS", "Row", "Section"]

"""Books of any size for benchmarks: rows that the compiled core has decided, and their companions.

Visits to a till by the shares of the canonical workload, in the order of time, so that the rows of
one wallet lie far apart in the table, as they do after weeks of trade.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from bench.workload import VISITS
from engine.codes import Kind
from engine.ledger.core import Batch, Ledger, Operation
from engine.ledger.journal import append_statement
from engine.postgres.connections import Connection

COLOMBIA: Final = -5 * 3600
FIRST_MOMENT: Final = 1_767_000_000_000_000
DAY: Final = 86_400_000_000
VISITS_OF_A_BATCH: Final = 2_000
BRANDS: Final = 30
HABITS: Final = 3
"""At how many brands a customer buys."""
WORK: Final = ("sale", "redeem", "pay")
"""The visits that leave rows."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the books are: rows, customers, and over how many days the visits are spread."""

    rows: int = 1_000_000
    customers: int = 25_000
    days: int = 10


class Trade:
    """Visits of customers, from a seed, as operations that a ledger decides."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self._dice = Random(f"books {seed}")
        self._numbers = itertools.count(1)
        self.customer_ids = [self._dice.randbytes(16) for _ in range(shape.customers)]
        self._habits = {
            one: self._dice.choices(range(1, BRANDS + 1), k=HABITS) for one in self.customer_ids
        }

    def batch(self, now: int) -> list[Operation]:
        """Return the operations of a visit at `now` of each of some customers."""
        dice = self._dice
        visitors = dice.sample(self.customer_ids, min(VISITS_OF_A_BATCH, len(self.customer_ids)))
        kinds = dice.choices(WORK, [VISITS[one] for one in WORK], k=len(visitors))
        visits = zip(visitors, kinds, strict=True)
        return [one for visit in visits for one in self._visit(*visit, now)]

    def _visit(self, customer_id: bytes, kind: str, now: int) -> Iterator[Operation]:
        dice = self._dice
        brand = dice.choice(self._habits[customer_id])
        place = {
            "customer_id": customer_id,
            "brand_id": brand,
            "store_id": 10 * brand + dice.randrange(10),
            "occurred_at": now,
            "utc_offset": COLOMBIA,
        }
        if kind == "sale":
            today, bill = now // DAY, dice.randrange(100_000, 20_000_000)
            yield Operation(
                **place,
                **self._asked(),
                kind=Kind.ACCUMULATION,
                asset=brand,
                requested=bill // 100_000,
                expires_day=today + 365,
                coins=bill // 10_000 if brand % 3 else 0,
                coins_expires_day=today + 730,
                bill_amount=bill,
                invoice_number=b"FE-%d" % next(self._numbers),
            )
        elif kind == "redeem":
            price = dice.randrange(10, 60)
            details = b'{"item":{"item_id":%d,"name":"Cappuccino grande"}}' % brand
            yield Operation(
                **place,
                **self._asked(),
                kind=Kind.REDEMPTION,
                asset=brand,
                requested=price,
                details=details,
            )
        else:
            code_mac = dice.randbytes(16)
            payment = Operation(
                **place,
                **self._asked(),
                kind=Kind.HOLD,
                requested=dice.randrange(50, 500),
                code_mac=code_mac,
                hold_expires_at=now + 300_000_000,
                tries_max=3,
                resends_max=3,
                details=b'{"sent_to":"+57 *** *** 4567"}',
            )
            yield payment
            yield Operation(
                **place,
                **self._asked(),
                kind=Kind.CAPTURE,
                reference=payment.transaction_id,
                code_mac=code_mac,
            )

    def _asked(self) -> dict[str, Any]:
        return {
            "transaction_id": self._dice.randbytes(16),
            "fingerprint": self._dice.getrandbits(62),
        }


def batches(shape: Shape, seed: int = 1) -> Iterator[Batch]:
    """Yield decided batches in the order of time until the books have all their rows."""
    ledger, trade, rows = Ledger(COLOMBIA), Trade(shape, seed), 0
    for customer_id in trade.customer_ids:
        ledger.load_customer(customer_id, 0)
    while rows < shape.rows:
        now = FIRST_MOMENT + rows * shape.days * DAY // shape.rows
        batch = ledger.decide(trade.batch(now), now)
        yield batch
        ledger.publish(batch)
        rows += batch.postings


async def fill(connection: Connection, shape: Shape) -> int:
    """Append the books to an empty journal, with their companions; return how many rows."""
    rows = 0
    for batch in batches(shape):
        await connection._copy_in(  # type: ignore[attr-defined]
            append_statement(batch), memoryview(batch.journal), None
        )
        rows += batch.postings
    return rows

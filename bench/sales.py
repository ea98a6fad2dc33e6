"""Sales as operations of the ledger, without HTTP: what is decided, encoded and copied."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Final

from engine.ledger.core import COPY_HEADER, COPY_TRAILER, Batch, Ledger, Operation
from engine.ledger.operations import accumulation

COLOMBIA: Final = -5 * 3600
CHAIN_SECRET: Final = "what every engine of a benchmark chains the journal with"
CHAIN_KEY: Final = sha256(CHAIN_SECRET.encode()).digest()
DAY_US: Final = 86_400_000_000
NOW: Final = time.time_ns() // 1000
TODAY: Final = NOW // DAY_US

STREAMS = itertools.count(1)
"""No two streams of sales share an id or an invoice, for all of them may meet in one database."""

Sales = Callable[[int], list[Operation]]


def sales_of(customer_ids: list[bytes], *, invoices: bool, seed: int | None = None) -> Sales:
    """Return what makes that many sales, each of another customer: two postings, one claim each."""
    stream = next(STREAMS) if seed is None else seed
    dice, numbers = Random(f"sales {stream}"), itertools.count(1)

    def make(count: int) -> list[Operation]:
        operations = []
        for customer_id in dice.sample(customer_ids, count):
            number = b"F%d-%d" % (stream, next(numbers))
            operations.append(
                accumulation(
                    customer_id=customer_id,
                    transaction_id=dice.randbytes(16),
                    fingerprint=dice.getrandbits(62),
                    brand_id=1,
                    store_id=1,
                    points=54,
                    expires_day=TODAY + 365,
                    coins=540,
                    coins_expires_day=TODAY + 730,
                    utc_offset=COLOMBIA,
                    occurred_at=NOW,
                    bill_amount=5_400_000,
                    invoice_number=number if invoices else None,
                    invoice_scope=None,
                )
            )
        return operations

    return make


def rows_of(ledger: Ledger, operations: list[Operation], now: int) -> Batch:
    """Decide operations and take them for durable: their rows are copied by whoever asked."""
    batch = ledger.decide(operations, now)
    ledger.publish(batch)
    return batch


def bare_rows(batch: Batch) -> bytes:
    """Return the rows of a batch without the head and the tail of their COPY."""
    return batch.journal[len(COPY_HEADER) : -len(COPY_TRAILER)]

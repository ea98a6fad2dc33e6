"""The compiled ledger: decisions with their rows encoded, and the hash that chains them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.conftest import BATCH_SIZES
from bench.sales import NOW, sales_of
from engine.ledger.core import Ledger, hash_row

ROW = bytes(range(256)) + bytes(130)


@pytest.mark.parametrize("size", BATCH_SIZES)
@pytest.mark.benchmark(group="decide a batch of sales, rows encoded and hashed")
def bench_decide(benchmark: Any, ledger: Ledger, customer_ids: list[bytes], size: int) -> None:
    """Decide `size` sales of as many customers: two postings each, encoded for COPY."""
    operations = sales_of(customer_ids, invoices=True)(size)

    def decide() -> int:
        batch = ledger.decide(operations, NOW)
        ledger.discard(batch)
        return batch.postings

    assert benchmark(decide) == 2 * size


@pytest.mark.parametrize("size", BATCH_SIZES)
@pytest.mark.benchmark(group="decide a batch of sales of one customer")
def bench_decide_one_customer(
    benchmark: Any, ledger: Ledger, customer_ids: list[bytes], size: int
) -> None:
    """Decide `size` sales of a single customer: each builds on the one before it."""
    make = sales_of(customer_ids[:1], invoices=True)
    operations = [make(1)[0] for _ in range(size)]

    def decide() -> int:
        batch = ledger.decide(operations, NOW)
        ledger.discard(batch)
        return batch.postings

    assert benchmark(decide) == 2 * size


@pytest.mark.benchmark(group="hash of a row")
def bench_hash_row(benchmark: Any) -> None:
    """Chain one row of the usual size to the row before it."""
    assert len(benchmark(hash_row, bytes(16), ROW)) == 16

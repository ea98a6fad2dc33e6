"""The journal on a real PostgreSQL with fsync on: loading wallets, appending batches."""

from __future__ import annotations

from typing import Any

import pytest

from bench.conftest import BATCH_SIZES, Database
from bench.sales import sales_of
from engine.ledger.core import Batch, Ledger
from engine.ledger.verdicts import Verdict

ROUNDS = {1: 200, 64: 100, 512: 30}


@pytest.mark.parametrize("size", BATCH_SIZES)
@pytest.mark.benchmark(group="load customers and their wallets")
def bench_load(benchmark: Any, database: Database, size: int) -> None:
    """Load the newest rows of `size` customers who have two wallets each."""
    open_wallets(database)
    wanted = database.customer_ids[:size]

    def load() -> int:
        ledger = Ledger(0)
        database.run(database.journal.load(ledger, wanted))
        return ledger.wallets

    assert benchmark.pedantic(load, rounds=ROUNDS[size], warmup_rounds=5) == 2 * size


@pytest.mark.parametrize("invoices", [False, True], ids=["plain", "invoices"])
@pytest.mark.parametrize("size", BATCH_SIZES)
@pytest.mark.benchmark(group="append a batch of sales, durable")
def bench_append(benchmark: Any, database: Database, size: int, invoices: bool) -> None:
    """Append `size` sales of two postings each, and wait until they are on the disk."""
    open_wallets(database)
    make = sales_of(database.customer_ids[:1_000], invoices=invoices)

    def decide() -> tuple[tuple[Batch], dict[str, Any]]:
        return (database.decide(make(size)),), {}

    def append(batch: Batch) -> None:
        verdict = database.run(database.journal.append(batch))
        assert verdict is Verdict.DURABLE, database.journal.last_sqlstate
        database.ledger.publish(batch)

    benchmark.pedantic(append, setup=decide, rounds=ROUNDS[size], warmup_rounds=5)


def open_wallets(database: Database) -> None:
    """Give the first thousand customers both wallets, where they have none yet."""
    if database.ledger.wallets == 0:
        batch = database.decide(sales_of(database.customer_ids[:1_000], invoices=False)(1_000))
        assert database.run(database.journal.append(batch)) is Verdict.DURABLE
        database.ledger.publish(batch)

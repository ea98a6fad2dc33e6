"""What the micro-benchmarks share: sales that are ready to be decided, and a PostgreSQL with fsync.

pytest bench -o python_files='bench_*.py' --benchmark-json=bench/results/micro.json
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvloop

from bench.sales import COLOMBIA, NOW, sales_of
from engine.demo import prepare as demo_network
from engine.ledger.core import Batch, Ledger, Operation
from engine.ledger.journal import Journal
from engine.postgres.connections import connect
from engine.postgres.embedded import EmbeddedPostgres
from engine.postgres.migrations import migrate

BATCH_SIZES = (1, 64, 512)


@pytest.fixture
def customer_ids() -> list[bytes]:
    """Customers that are in no database."""
    dice = Random("customers")
    return [dice.randbytes(16) for _ in range(2_000)]


@pytest.fixture
def ledger(customer_ids: list[bytes]) -> Ledger:
    """A ledger in which every customer has both wallets open, as after a day at the till."""
    ledger = Ledger(COLOMBIA)
    for customer_id in customer_ids:
        ledger.load_customer(customer_id, 0)
    ledger.publish(ledger.decide(sales_of(customer_ids, invoices=False)(2_000), NOW))
    return ledger


class Database:
    """A journal on a real server, driven from code that does not await."""

    def __init__(self, runner: asyncio.Runner, dsn: str, folder: Path) -> None:
        self._runner = runner
        self.ledger = Ledger(COLOMBIA)
        self.journal, self.customer_ids = self.run(self._prepare(dsn, folder))
        self.run(self.journal.load(self.ledger, self.customer_ids))

    def run(self, work: Any) -> Any:
        """Await `work`."""
        return self._runner.run(work)

    def decide(self, operations: list[Operation]) -> Batch:
        """Decide operations on the newest state."""
        return self.ledger.decide(operations, time.time_ns() // 1000)

    async def _prepare(self, dsn: str, folder: Path) -> tuple[Journal, list[bytes]]:
        connection = await connect(
            dsn, statement_timeout_ms=2000, lock_timeout_ms=1000, application_name="bench"
        )
        await migrate(connection)
        await demo_network.prepare(connection, folder)
        rows = await connection.fetch("select customer_id from customer order by 1")
        customer_ids = [row["customer_id"].bytes for row in rows]
        return await Journal.open(connection, 4000), customer_ids


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The demo network on an embedded server whose commits reach the disk."""
    folder = tmp_path_factory.mktemp("bench")
    with (
        EmbeddedPostgres(folder) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        database = Database(runner, server.start(), folder)
        yield database
        database.journal.terminate()

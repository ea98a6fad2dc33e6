"""A past for a network: sales of years, decided by the compiled core in order, loaded by COPY.

Every customer buys at the brands of their habits in turn, so a wallet gets its rows one after the
other, and the heap has them in the order of time, as it grows in life. Constraints and indexes of
the journal are made again after the rows are there, which is what makes ten million practical. The
sums are folded too, as those of years are: else an engine would do it while it is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import asyncpg

from bench.sales import CHAIN_KEY, COLOMBIA, DAY_US, NOW, TODAY, bare_rows, rows_of
from bench.workload import Workload, demo_of
from engine.codes import Kind
from engine.ledger.core import COPY_HEADER, COPY_TRAILER, Ledger, Operation
from engine.ledger.journal import COLUMNS
from engine.metrics import Metrics
from engine.network.folding import Folder
from engine.settings import Settings

DAYS: Final = 300
"""How far back the first row lies."""
COINS_DAYS: Final = 730
BATCH: Final = 512
MEMORY: Final = "256MB"

CONSTRAINTS: Final = """
select conname as name, pg_get_constraintdef(oid) as made_by from pg_constraint
 where conrelid = 'journal'::regclass and contype in ('p', 'u')"""
INDEXES: Final = """
select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as made_by from pg_index
 where indrelid = 'journal'::regclass
   and not exists (select from pg_constraint where conindid = indexrelid)"""
CLAIMS: Final = """
insert into invoice_claim
select store_id, invoice_number, customer_id, transaction_id from journal
 where leg = 0 and invoice_number is not null
   and not exists (select from invoice_claim)"""

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class History:
    """So many rows, over the first `customers` of the network (0: all of them).

    With `lots` days of expiry in turn, each wallet ends up with so many open lots.
    """

    rows: int
    lots: int = 1
    customers: int = 0

    def load(self, dsn: str, demo: Path, advance: Advance) -> int:
        """Load it into a database whose journal is empty; return how many rows there are."""
        return asyncio.run(self._load(dsn, demo_of(demo), advance))

    async def _load(self, dsn: str, demo: dict[str, Any], advance: Advance) -> int:
        connection = await asyncpg.connect(dsn)
        await connection.execute(f"set maintenance_work_mem = '{MEMORY}'")
        constraints = await connection.fetch(CONSTRAINTS)
        indexes = await connection.fetch(INDEXES)
        for one in constraints:
            await connection.execute(f"alter table journal drop constraint {one['name']}")
        for one in indexes:
            await connection.execute(f"drop index {one['name']}")
        wallets: list[tuple[UUID, int]] = []
        await connection.copy_to_table(
            "journal",
            source=self._copy(demo, wallets, advance),
            columns=COLUMNS["journal"],
            format="binary",
        )
        for one in constraints:
            await connection.execute(
                f"alter table journal add constraint {one['name']} {one['made_by']}"
            )
        for one in indexes:
            await connection.execute(one["made_by"])
        await connection.copy_records_to_table("wallet", records=wallets)
        await connection.execute(CLAIMS)
        await self._fold(connection)
        for statement in ("vacuum (analyze) journal", "analyze", "checkpoint"):
            await connection.execute(statement)
        rows: int = await connection.fetchval("select count(*) from journal")
        await connection.close()
        return rows

    @staticmethod
    async def _fold(connection: asyncpg.Connection) -> None:
        async def connected() -> asyncpg.Connection:
            return connection

        await connection.execute(f"set work_mem = '{MEMORY}'")
        folder = Folder(connected, Metrics(), interval_ms=0, rows_max=Settings().fold_rows_max)
        while await folder.step(connection):
            pass

    async def _copy(
        self, demo: dict[str, Any], wallets: list[tuple[UUID, int]], advance: Advance
    ) -> AsyncIterator[bytes]:
        """Yield the rows as one COPY; put the wallets that they open into `wallets`."""
        sales = Past(demo, self)
        made = 0
        yield COPY_HEADER
        while made < self.rows:
            batch = rows_of(sales.ledger, sales.take(BATCH), sales.now(made))
            wallets += [
                (UUID(bytes=customer_id), asset) for customer_id, asset in batch.new_wallets
            ]
            made += batch.postings
            advance(batch.postings)
            yield bare_rows(batch)
        yield COPY_TRAILER


class Past:
    """The sales of a history, in order."""

    def __init__(self, demo: dict[str, Any], history: History) -> None:
        self._history = history
        self._dice = Random("history")
        self._number = 0
        self.ledger = Ledger(COLOMBIA, CHAIN_KEY)
        workload = Workload(demo, 0, customers=history.customers)
        stores = {store["brand_id"]: store["store_id"] for store in demo["stores"]}
        brands = {brand["brand_id"]: brand for brand in demo["brands"]}
        self._visits: list[tuple[bytes, int, int, bool, int]] = []
        people = [UUID(customer_id).bytes for customer_id in workload.habits]
        for customer_id in people:
            self.ledger.load_customer(customer_id, 0)
        for turn in range(len(next(iter(workload.habits.values())))):
            for customer_id, habits in zip(people, workload.habits.values(), strict=True):
                brand = brands[habits[turn]["brand_id"]]
                self._visits.append(
                    (
                        *(customer_id, brand["brand_id"], stores[brand["brand_id"]]),
                        *(brand["issuer"], brand["points_validity_days"]),
                    )
                )

    def take(self, count: int) -> list[Operation]:
        """Return the next sales."""
        found = [self._sale(number) for number in range(self._number, self._number + count)]
        self._number += count
        return found

    def now(self, made: int) -> int:
        """Return when the sale after so many rows happened, in µs since 1970."""
        left = max(0, self._history.rows - made) / self._history.rows
        return NOW - int(DAYS * DAY_US * left) - DAY_US // 24

    def _sale(self, number: int) -> Operation:
        turn, at = divmod(number, len(self._visits))
        customer_id, brand_id, store_id, issuer, validity_days = self._visits[at]
        lot = turn % self._history.lots
        return Operation(
            kind=Kind.ACCUMULATION,
            customer_id=customer_id,
            transaction_id=self._dice.randbytes(16),
            fingerprint=number,
            brand_id=brand_id,
            store_id=store_id,
            asset=brand_id,
            requested=54,
            expires_day=TODAY + validity_days + lot,
            coins=540 if issuer else 0,
            coins_expires_day=TODAY + COINS_DAYS + lot if issuer else 0,
            utc_offset=COLOMBIA,
            occurred_at=NOW - DAY_US,
            bill_amount=5_400_000,
            invoice_number=b"H-%d" % number,
        )

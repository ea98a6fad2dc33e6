"""Folders and reports on the module's database, and traffic that the core decides at any time."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from anchored import Moves, Series
from copy_format import decode, leg_of
from harness import CHAIN_KEY, connection_to

from bench.postings import DAY, Postings
from engine.ledger.chain import adopt_chain_key
from engine.ledger.core import Batch
from engine.ledger.journal import Journal
from engine.ledger.receipts import microseconds
from engine.ledger.verdicts import Verdict
from engine.metrics import Metrics
from engine.network.folding import Folder
from engine.network.reports import Reports
from engine.postgres.connections import Connection, connect, create_read_pool
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS

BRANDS_MAX = 6
DAYS = 90


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    async with connection_to(database) as connection:
        yield connection


@pytest.fixture
async def open_folder(database: str) -> AsyncIterator[Callable[..., Any]]:
    """Return what opens a connection as a folder has it."""
    opened: list[Connection] = []

    async def open_one() -> Connection:
        opened.append(
            await connect(
                database,
                statement_timeout_ms=30_000,
                lock_timeout_ms=30_000,
                application_name="test-folder",
                command_timeout_seconds=30.0,
                look_ups_only=True,
            )
        )
        return opened[-1]

    yield open_one
    for one in opened:
        one.terminate()


@pytest.fixture
def folder(open_folder: Callable[..., Any]) -> Callable[[int], Folder]:
    """Return what makes a folder of steps of so many rows."""
    return lambda rows_max: Folder(open_folder, Metrics(), interval_ms=0, rows_max=rows_max)


@pytest.fixture
async def reports(database: str) -> AsyncIterator[Reports]:
    pool = await create_read_pool(database, connections_max=1, statement_timeout_ms=30_000)
    yield Reports(pool)
    pool.terminate()


@pytest.fixture
async def countries(connection: asyncpg.Connection[Any]) -> dict[int, str]:
    return dict(await connection.fetch("select brand_id, country from brand"))


class Traffic:
    """All verbs on customers of its own, decided at times that lie in the last `DAYS` days."""

    def __init__(
        self, journal: Journal, dice: random.Random, countries: dict[int, str], issuers: list[int]
    ) -> None:
        self.journal = journal
        colombian = [brand for brand in countries if countries[brand] == COINS_COUNTRY]
        abroad = [brand for brand in countries if countries[brand] != COINS_COUNTRY]
        brands = [*dice.sample(colombian, BRANDS_MAX), *dice.sample(abroad, 2), issuers[0]]
        self.postings = Postings(
            dice.getrandbits(32),
            [dice.randbytes(16) for _ in range(12)],
            {brand: UTC_OFFSETS[countries[brand]] for brand in brands},
            [brand for brand in brands if brand in colombian],
            validity_days=10,
        )
        self.now = microseconds(datetime.now(UTC) - timedelta(days=DAYS))
        self._pace = dice

    def batch(self, size: int) -> Batch:
        """Decide operations at a later time, and remember what of them can be reversed."""
        self.now += self._pace.choice((1_000, DAY // 24, DAY // 2, 3 * DAY // 2))
        batch = next(self.postings.batches(1, self.now, self.now, size=size))
        transactions: dict[tuple[bytes, bytes], list[Any]] = {}
        for row in decode(batch.journal):
            if not row.refusal:
                transactions.setdefault((row.customer_id, row.transaction_id), []).append(row)
        for (customer_id, transaction_id), rows in transactions.items():
            legs = [leg_of(row) for row in sorted(rows, key=lambda row: row.leg)]
            if all(leg.reversible for leg in legs):
                self.postings.reversible.append((customer_id, transaction_id, legs))
        return batch

    async def append(self, size: int) -> None:
        """Make a batch durable."""
        assert await self.journal.append(self.batch(size)) is Verdict.DURABLE


@pytest.fixture
async def open_traffic(
    database: str, dice: random.Random, countries: dict[int, str]
) -> AsyncIterator[Callable[..., Any]]:
    """Return what opens traffic with a journal of its own."""
    opened: list[Journal] = []

    async def open_one() -> Traffic:
        connection = await connect(
            database,
            statement_timeout_ms=2000,
            lock_timeout_ms=1000,
            application_name="test-writer",
            look_ups_only=True,
        )
        opened.append(await Journal.open(connection, append_timeout_ms=4000))
        async with connection_to(database) as other:
            found = await other.fetch("select distinct brand_id from programme where issuer")
        return Traffic(opened[-1], dice, countries, [row["brand_id"] for row in found])

    yield open_one
    for journal in opened:
        journal.terminate()


@pytest.fixture
def series(database: str, tmp_path: Path) -> Series:
    return Series(database, tmp_path)


@pytest.fixture
async def moves(database: str, dice: random.Random) -> Moves:
    async with connection_to(database) as connection:
        await adopt_chain_key(connection, CHAIN_KEY)
    moves = Moves(database, dice.getrandbits(32))
    await moves.make(40)
    return moves


@pytest.fixture
async def three(series: Series, moves: Moves) -> list[Path]:
    """Return three anchors, each with what moved before it."""
    for _ in range(3):
        await moves.make()
        await series.write()
    return series.files

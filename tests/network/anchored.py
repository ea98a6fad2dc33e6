"""A series of anchors in tests: who writes it, how a plain reader reads it, and what moves."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from harness import connection_to, settings_for

from bench.postings import Postings
from engine.ledger.anchor_audit import audit_anchors
from engine.ledger.journal import Journal
from engine.ledger.receipts import microseconds
from engine.ledger.verdicts import Verdict
from engine.metrics import Metrics
from engine.network.anchoring import Anchoring
from engine.postgres.connections import connect
from engine.programme.calendar import UTC_OFFSETS

Wallet = tuple[str, int]
Head = tuple[int, str]

HEADS = """
    select distinct on (customer_id, asset) customer_id::text, asset, seq, encode(hash, 'hex')
      from journal order by customer_id, asset, seq desc
"""
APPEND = """
    insert into journal
    select (m.made).*
      from (select json_populate_record(j, json_build_object(
                       'customer_id', $1::uuid, 'asset', 1, 'seq', $2::bigint,
                       'transaction_id', $3::uuid, 'recorded_at', now() - $4::interval)) as made
              from journal j
             where j.kind = 1 and j.invoice_number is null
             limit 1) m
"""
copies = count(1)


class Series:
    """The anchors that an engine with a folder of its own writes."""

    def __init__(self, dsn: str, data_dir: Path, **settings: Any) -> None:
        self.dsn = dsn
        self.folder = data_dir / "anchors"
        settings = {"anchor": str(self.folder)} | settings
        self.settings = settings_for(data_dir, **settings)
        self.metrics = Metrics()
        self.anchoring = Anchoring(dsn, self.settings, self.metrics)

    async def write(self) -> Path:
        return (await self.anchoring.write(lambda _wallets: None)).path

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.anchor"))

    @property
    def public(self) -> Any:
        return load_pem_public_key((self.folder / "anchor.pub").read_bytes())

    async def faults(self, dsn: str | None = None) -> list[str]:
        async with connection_to(dsn or self.dsn) as connection:
            return (await audit_anchors(connection, self.folder, self.public)).faults

    def value(self, metric: str) -> float | None:
        return self.metrics.registry.get_sample_value(metric)


def lines_of(path: Path) -> tuple[dict[Wallet, Head], str, str]:
    """Return the heads of an anchor, its statement and its signature."""
    *lines, statement, signature = path.read_text().splitlines()
    heads = {}
    for line in lines:
        customer, asset, seq, digest = line.split(" ")
        heads[customer, int(asset)] = int(seq), digest
    assert len(heads) == len(lines)
    return heads, statement, signature


class Moves:
    """Postings of some customers, of all kinds, recorded now."""

    def __init__(self, dsn: str, seed: int) -> None:
        self.dsn = dsn
        customers = [uuid4().bytes for _ in range(12)]
        self._postings = Postings(seed, customers, dict.fromkeys((1, 2, 3), UTC_OFFSETS["CO"]), [1])
        self._recorded_at = 0

    async def heads(self) -> dict[Wallet, Head]:
        async with connection_to(self.dsn) as connection:
            rows = await connection.fetch(HEADS)
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}

    async def make(self, operations: int = 10) -> dict[Wallet, Head]:
        """Append a batch; return the heads of the wallets that it moved."""
        before = await self.heads()
        self._recorded_at = max(self._recorded_at + 1, microseconds(datetime.now(UTC)))
        times = self._recorded_at, self._recorded_at
        batch = next(self._postings.batches(1, *times, size=operations))
        connection = await connect(
            self.dsn,
            statement_timeout_ms=2000,
            lock_timeout_ms=1000,
            application_name="test-writer",
            look_ups_only=True,
        )
        journal = await Journal.open(connection, append_timeout_ms=4000)
        assert await journal.append(batch) is Verdict.DURABLE
        journal.terminate()
        return dict((await self.heads()).items() - before.items())


@asynccontextmanager
async def uncommitted_row(dsn: str, age: timedelta) -> AsyncIterator[Wallet]:
    """Give the wallet of one row, to which a second one is appended that the end commits."""
    customer = uuid4()
    async with connection_to(dsn) as connection:
        await connection.execute("insert into wallet values ($1, 1)", customer)
        await connection.execute(APPEND, customer, 1, uuid4(), age)
        async with connection.transaction():
            await connection.execute(APPEND, customer, 2, uuid4(), age)
            yield str(customer), 1


async def copy_of(dsn: str) -> str:
    """Return the DSN of a copy of a database, as a backup of this moment is."""
    parts = urlsplit(dsn)
    name, template = f"anchored_{next(copies)}_{os.getpid()}", parts.path.removeprefix("/")
    async with connection_to(parts._replace(path="/postgres").geturl()) as connection:
        await connection.execute(f"create database {name} template {template} strategy file_copy")
    return parts._replace(path=f"/{name}").geturl()

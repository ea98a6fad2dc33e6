"""The journal: the only file that knows how postings get into PostgreSQL and out of it.

A `Journal` is one connection of one writer. It loads the newest rows of wallets, appends a batch in
one transaction, and finds what was appended before. It decides nothing and retries nothing: what an
append came to is a `Verdict`, and the committer knows what to do about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
import structlog
from asyncpg.pgproto.pgproto import UUID

from engine.errors import EngineError
from engine.ledger.core import Batch, Ledger, Operation
from engine.ledger.receipts import Receipt, receipt_of
from engine.ledger.verdicts import Verdict, sqlstate_of, verdict_of
from engine.postgres.connections import Connection
from engine.postgres.sql import queries

log = structlog.get_logger()

SQL = queries("journal")
POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01, in microseconds since 1970."""

# A standby wait that is cut short lets the commit succeed with no more than this notice.
NOT_REPLICATED = "01000"


class Journal:
    """One writer's connection to the journal.

    Made by `Journal.open`. After any method raised but for what it documents, or after an
    ambiguous append, the connection is not to be used again.
    """

    def __init__(self, connection: Connection, append_timeout_ms: int) -> None:
        self._connection = connection
        self._append_timeout = append_timeout_ms / 1000
        self._load: Any = None
        self._find: Any = None
        self._find_claims: Any = None
        self._find_taken: Any = None
        self._doubt: str | None = None
        self.last_sqlstate = ""
        """The SQLSTATE, or the name of the error, of the last append that was not durable."""

    @classmethod
    async def open(cls, connection: Connection, append_timeout_ms: int) -> Journal:
        """Prepare the journal's statements on `connection`, which it owns from now on."""
        journal = cls(connection, append_timeout_ms)
        connection.add_log_listener(journal._on_notice)
        journal._load = await connection.prepare(SQL["load"])  # network op
        journal._find = await connection.prepare(SQL["find"])  # network op
        journal._find_claims = await connection.prepare(SQL["find_claims"])  # network op
        journal._find_taken = await connection.prepare(SQL["find_taken"])  # network op
        for table, columns in COLUMNS.items():
            found = await connection.fetchval(SQL["columns"], table)  # network op
            if found != columns:
                raise EngineError(f"The table {table} has other columns than this version writes.")
        return journal

    @property
    def is_closed(self) -> bool:
        """Whether the connection is known to be gone."""
        return self._connection.is_closed()

    def terminate(self) -> None:
        """Drop the connection without a word to the server."""
        self._connection.terminate()

    async def load(self, ledger: Ledger, customer_ids: Iterable[bytes]) -> set[bytes]:
        """Put customers and the state of their wallets into `ledger`, as committed.

        Returns the customers of whom a row contradicts itself: nothing may be decided on them.
        Raises what asyncpg raises.
        """
        rows = await self._load.fetch([UUID(id_) for id_ in customer_ids])  # network op
        started: set[bytes] = set()
        broken: set[bytes] = set()
        for row in rows:
            customer_id = row["customer_id"].bytes
            if customer_id not in started:
                started.add(customer_id)
                ledger.load_customer(customer_id, row["missing_fields"])
            if row["seq"] is not None:
                try:
                    ledger.load_wallet(customer_id, *wallet_facts(row))
                except ValueError as error:
                    log.error("wallet_contradicts_itself", detail=str(error))
                    broken.add(customer_id)
        for customer_id in broken:
            ledger.drop(customer_id)
        return broken

    async def append(self, batch: Batch) -> Verdict:
        """Append a batch in one round trip; say what came of it. Raises nothing of asyncpg's.

        Statements sent together in one message are one transaction. asyncpg's public method for
        COPY sends one alone, hence the private one behind it: with BEGIN, a COPY for each table and
        COMMIT, a busy event loop would come late to each of four answers.
        """
        self._doubt = None
        try:
            async with asyncio.timeout(self._append_timeout):
                # Rows as a memoryview, for asyncpg takes plain bytes for the path of a file.
                await self._connection._copy_in(  # type: ignore[attr-defined]  # network op
                    append_statement(batch), memoryview(batch.journal), None
                )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            return self._judge(error)
        except asyncpg.InternalClientError as error:
            return self._judge(error)
        if self._doubt is not None:
            self.last_sqlstate = self._doubt
            return Verdict.AMBIGUOUS
        return Verdict.DURABLE

    async def find(self, operations: Sequence[Operation]) -> dict[bytes, Receipt]:
        """Return by transaction id the receipts of those operations that the journal has."""
        rows = await self._find.fetch(  # network op
            [UUID(operation.customer_id) for operation in operations],
            [UUID(operation.transaction_id) for operation in operations],
        )
        found: dict[bytes, list[Any]] = {}
        for row in rows:
            found.setdefault(row["transaction_id"].bytes, []).append(row)
        return {transaction_id: receipt_of(legs) for transaction_id, legs in found.items()}

    async def find_claims(self, operations: Sequence[Operation]) -> dict[tuple[int, bytes], bytes]:
        """Return by (store, invoice number) which transaction has claimed the invoice."""
        claims = [
            (operation.store_id, operation.invoice_number)
            for operation in operations
            if operation.invoice_number is not None
        ]
        rows = await self._find_claims.fetch(  # network op
            [store_id for store_id, _ in claims], [number.decode() for _, number in claims]
        )
        return {
            (row["store_id"], row["invoice_number"].encode()): row["transaction_id"].bytes
            for row in rows
        }

    async def find_taken(self, operations: Sequence[Operation]) -> set[bytes]:
        """Return the transactions of those operations whose unit or turn another took (RED-5)."""
        of_items = [operation for operation in operations if operation.unit or operation.turn]
        if not of_items:
            return set()
        rows = await self._find_taken.fetch(  # network op
            [UUID(operation.customer_id) for operation in of_items],
            [UUID(operation.transaction_id) for operation in of_items],
            [operation.item_id for operation in of_items],
            [operation.unit for operation in of_items],
            [operation.turn for operation in of_items],
        )
        return {row["transaction_id"].bytes for row in rows}

    def _judge(self, error: BaseException) -> Verdict:
        self.last_sqlstate = sqlstate_of(error)
        verdict = verdict_of(error)
        if verdict is Verdict.AMBIGUOUS:
            self.terminate()
        return verdict

    def _on_notice(self, _connection: object, notice: Any) -> None:
        if notice.sqlstate == NOT_REPLICATED and "synchronous replication" in notice.message:
            self._doubt = NOT_REPLICATED


def append_statement(batch: Batch) -> str:
    """Return the statements of an append: new companions by value, then the rows by COPY.

    Always in this order of tables, and sorted in each, so that two writers never deadlock. Columns
    are not named, for parsing 29 names costs more than a row; `Journal.open` has checked them.
    Raises ValueError for an invoice number that is not printable ASCII.
    """
    statements = []
    if batch.new_wallets:
        rows = ",".join([f"('{id_.hex()}',{asset})" for id_, asset in batch.new_wallets])
        statements.append(f"insert into wallet values {rows};")  # noqa: S608 - hexadecimal digits
    if batch.claims:
        rows = ",".join(
            [
                f"({store_id},{_literal(number)},'{customer_id.hex()}','{transaction_id.hex()}')"
                for store_id, number, customer_id, transaction_id in batch.claims
            ]
        )
        statements.append(f"insert into invoice_claim values {rows};")  # noqa: S608 - see _literal
    if units := batch.units:
        rows = ",".join(
            [
                f"({item_id},{unit},'{customer_id.hex()}','{transaction_id.hex()}')"
                for item_id, unit, customer_id, transaction_id in units
            ]
        )
        statements.append(f"insert into item_unit values {rows};")  # noqa: S608 - numbers
    if turns := batch.turns:
        rows = ",".join(
            [
                f"('{customer_id.hex()}',{item_id},{turn},'{transaction_id.hex()}')"
                for customer_id, item_id, turn, transaction_id in turns
            ]
        )
        statements.append(f"insert into item_turn values {rows};")  # noqa: S608 - numbers
    statements.append("copy journal from stdin (format binary)")
    return "".join(statements)


def _literal(text: bytes) -> str:
    """Return printable ASCII as an SQL literal; the connection has standard_conforming_strings."""
    if not text.isascii() or not text.decode().isprintable():
        raise ValueError("an invoice number has printable ASCII characters only")
    return "'" + text.decode().replace("'", "''") + "'"


COLUMNS = {
    "journal": [
        *("customer_id", "asset", "seq", "transaction_id", "leg", "kind", "refusal", "requested"),
        *("amount", "held_amount", "balance", "held", "counter", "counter_party", "brand_id"),
        *("store_id", "flags", "missing_fields", "lots", "moved", "holds", "reference"),
        *("fingerprint", "occurred_at", "recorded_at", "bill_amount", "invoice_number"),
        *("details", "hash"),
    ],
    "wallet": ["customer_id", "asset"],
    "invoice_claim": ["store_id", "invoice_number", "customer_id", "transaction_id"],
    "item_unit": ["item_id", "unit", "customer_id", "transaction_id"],
    "item_turn": ["customer_id", "item_id", "turn", "transaction_id"],
}
"""The columns of each table in the order in which an append writes them."""


def wallet_facts(row: Any) -> tuple[int, int, int, int, int, bytes, bytes | None, bytes, int]:
    """Return what `Ledger.load_wallet` takes after the customer, from a row of `load`."""
    recorded_at = int.from_bytes(row["recorded_at"], "big", signed=True) + POSTGRES_EPOCH
    return (
        row["asset"],
        row["seq"],
        row["balance"],
        row["held"],
        row["flags"],
        row["lots"],
        row["holds"],
        row["hash"],
        recorded_at,
    )

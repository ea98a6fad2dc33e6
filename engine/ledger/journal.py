"""The journal: the only file that knows how postings get into PostgreSQL and out of it.

A `Journal` is one connection of one writer. It loads the newest rows of wallets, appends a batch in
one transaction, and finds what was appended before. It decides nothing and retries nothing: what an
append came to is a `Verdict`, and the committer knows what to do about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from asyncpg.pgproto.pgproto import UUID

from engine.codes import Claim, Kind, Refusal
from engine.errors import EngineError
from engine.ledger import layout
from engine.ledger.claims import (
    CLAIM_TABLES,
    Bar,
    bars_of_payments,
    claim_statements,
    payment_statements,
)
from engine.ledger.core import Batch, Ledger, Operation
from engine.ledger.receipts import Receipt
from engine.ledger.seen import Found, LookUp, find_claimed, find_receipts
from engine.ledger.verdicts import Verdict, sqlstate_of, verdict_of
from engine.postgres.connections import Connection, Pool
from engine.postgres.durability import state_of
from engine.postgres.sql import queries

log = structlog.get_logger()

Predecessor = tuple[bytes, int, int, bytes]
"""(customer_id, asset, seq, hash) of a row that a batch goes on from; seq 0 is none."""

SQL = queries("journal")
POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01, in microseconds since 1970."""

NO_HASH = bytes(16)
"""What the first row of a wallet is chained to."""

# A standby wait that is cut short lets the commit succeed with no more than this notice.
NOT_REPLICATED = "01000"


class Journal:
    """One writer's connection to the journal.

    Made by `Journal.open`. After any method raised but for what it documents, or after an
    ambiguous append, the connection is not to be used again.
    """

    def __init__(
        self, connection: Connection, append_timeout_ms: int, *, allow_data_loss: bool = True
    ) -> None:
        self._connection = connection
        self._allow_data_loss = allow_data_loss
        self._append_timeout = append_timeout_ms / 1000
        self._load: Any = None
        self._lock: Any = None
        self._find: Any = None
        self._find_claims: Any = None
        self._find_used: Any = None
        self._find_paid: Any = None
        self._find_voided: Any = None
        self._find_taken: Any = None
        self._doubt: str | None = None
        self.timeline: str | None = None
        """The server and its time line; None where it takes no writes. Another one than before
        means that commits may be missing which were there before."""
        self.last_sqlstate = ""
        """The SQLSTATE, or the name of the error, of the last append that was not durable."""

    @classmethod
    async def open(
        cls, connection: Connection, append_timeout_ms: int, *, allow_data_loss: bool = True
    ) -> Journal:
        """Prepare the journal's statements on `connection`, which it owns from now on.

        Raises what `refuse_unsafe` does, EngineError for other tables, and what asyncpg raises.
        """
        journal = cls(connection, append_timeout_ms, allow_data_loss=allow_data_loss)
        await journal.refuse_unsafe()
        connection.add_log_listener(journal._on_notice)
        journal._load = await connection.prepare(SQL["load"])  # network op
        journal._lock = await connection.prepare(SQL["lock"])  # network op
        journal._find = await connection.prepare(SQL["find"])  # network op
        journal._find_claims = await connection.prepare(SQL["find_claims"])  # network op
        journal._find_used = await connection.prepare(SQL["find_used"])  # network op
        journal._find_paid = await connection.prepare(SQL["find_paid"])  # network op
        journal._find_voided = await connection.prepare(SQL["find_voided"])  # network op
        journal._find_taken = await connection.prepare(SQL["find_taken"])  # network op
        journal.timeline = await connection.fetchval(SQL["timeline"])  # network op
        for table, columns in (COLUMNS | {"journal": [*COLUMNS["journal"], "xid"]}).items():
            found = await connection.fetchval(SQL["columns"], table)  # network op
            if found != columns:
                raise EngineError(f"The table {table} has other columns than this version writes.")
        return journal

    async def refuse_unsafe(self) -> None:
        """Raise ReadOnly or NotDurable where an append would not be taken, or not be durable.

        A reload of the server's configuration changes that for an open connection.
        """
        state = await state_of(self._connection)
        state.refuse(allow_data_loss=self._allow_data_loss)

    @property
    def connection(self) -> Connection:
        """The connection that it owns, to look whether an append on it would be durable."""
        return self._connection

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

    async def moved_on(self, predecessors: Sequence[Predecessor]) -> set[bytes]:
        """Return the customers whose wallets end no more with these rows, a batch's predecessors.

        Raises what asyncpg raises.
        """
        now = Ledger(0)
        await self.load(now, {customer_id for customer_id, *_ in predecessors})
        moved = set()
        for customer_id, asset, seq, hash_ in predecessors:
            wallet = now.wallet(customer_id, asset)
            if (seq, hash_) != ((0, NO_HASH) if wallet is None else (wallet.seq, wallet.hash)):
                moved.add(customer_id)
        return moved

    async def lock(self, customer_ids: Iterable[bytes]) -> set[bytes]:
        """Return those of the customers whom no other writer has, and lock them.

        It keeps nobody from writing, for the compare-and-set does that, but those who ask as well.
        Raises what asyncpg raises.
        """
        rows = await self._lock.fetch([UUID(id_) for id_ in customer_ids])  # network op
        return {row["customer_id"].bytes for row in rows}

    async def unlock(self) -> None:
        """Unlock every customer. Raises what asyncpg raises."""
        await self._connection.execute(SQL["unlock"])  # network op

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
        return await find_receipts(self._find, operations)

    async def find_barred(self, operations: Sequence[Operation]) -> dict[bytes, Bar]:
        """Return by transaction id why those are refused that come second.

        That is for what they claim, their QR, what they reverse, or the invoice that they pay.
        """
        return (
            await find_claimed(self._find_claims, operations)
            | await self._find_used_by(operations)
            | await self._find_paid_by(operations)
            | await self._find_voided_by(operations)
        )

    async def _find_used_by(self, operations: Sequence[Operation]) -> dict[bytes, Bar]:
        """Return the refusals of those whose QR has paid, or whose original is reversed."""
        wanted = [op for op in operations if op.qr_issued_at > 0 or op.kind == Kind.REVERSAL]
        if not wanted:
            return {}
        rows = await self._find_used.fetch(  # network op
            [UUID(operation.transaction_id) for operation in wanted],
            [UUID(operation.customer_id) for operation in wanted],
            [op.qr_issued_at if op.qr_issued_at > 0 else None for op in wanted],
            [UUID(op.reference or b"") if op.kind == Kind.REVERSAL else None for op in wanted],
        )
        return {row["transaction_id"].bytes: Bar(row["refusal"]) for row in rows}

    async def _find_paid_by(self, operations: Sequence[Operation]) -> dict[bytes, Bar]:
        """Return the refusals of those that pay more of an invoice than is left of it (INV-8)."""
        paying = [
            op for op in operations if op.claim_kind == Claim.NONE and op.claim_key is not None
        ]
        if not paying:
            return {}
        rows = await self._find_paid.fetch(  # network op
            [operation.store_id for operation in paying],
            [(operation.claim_key or b"").decode() for operation in paying],
        )
        return bars_of_payments(paying, rows)

    async def _find_voided_by(self, operations: Sequence[Operation]) -> dict[bytes, Bar]:
        """Return the refusals of those that capture a hold whose invoice is voided (INV-5)."""
        captures = [operation for operation in operations if operation.kind == Kind.CAPTURE]
        if not captures:
            return {}
        rows = await self._find_voided.fetch(  # network op
            [UUID(operation.transaction_id) for operation in captures],
            [UUID(operation.customer_id) for operation in captures],
            [UUID(operation.reference or b"") for operation in captures],
        )
        return {row["transaction_id"].bytes: Bar(Refusal.INVOICE_VOIDED) for row in rows}

    async def find_taken(self, operations: Sequence[Operation]) -> set[bytes]:
        """Return the transactions of those operations that were to take what is not there any more.

        That is a unit or a turn which another took (RED-5), or the coins of an allotment (COI-2).
        """
        wanted = [op for op in operations if op.unit or op.turn or op.allotment_id is not None]
        if not wanted:
            return set()
        rows = await self._find_taken.fetch(  # network op
            [UUID(operation.customer_id) for operation in wanted],
            [UUID(operation.transaction_id) for operation in wanted],
            [operation.item_id for operation in wanted],
            [operation.unit for operation in wanted],
            [operation.turn for operation in wanted],
            [None if op.allotment_id is None else UUID(op.allotment_id) for op in wanted],
            [operation.coins_issued for operation in wanted],
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


@dataclass(frozen=True, slots=True)
class PooledStatement:
    """A query that any connection of a pool runs."""

    pool: Pool
    query: str

    async def fetch(self, *arguments: Any) -> Sequence[Any]:
        """Return its rows."""
        return await self.pool.fetch(self.query, *arguments)  # network op


def look_up_by(pool: Pool) -> LookUp:
    """Return what looks operations up by the connections of a pool; it raises what asyncpg does."""
    find = PooledStatement(pool, SQL["find"])
    find_claims = PooledStatement(pool, SQL["find_claims"])

    async def look_up(operations: Sequence[Operation]) -> Found:
        return await find_receipts(find, operations), await find_claimed(find_claims, operations)

    return look_up


def append_statement(batch: Batch) -> str:
    """Return the statements of an append: companions by value, then the rows by COPY.

    Always in this order of tables, and sorted in each, so that two writers do not deadlock; what a
    reversal frees in one batch and another takes may, and is tried again. Raises ValueError for a
    claim that is not printable ASCII.
    """
    statements = [*_drawn(batch)]
    if batch.new_wallets:
        rows = ",".join([f"('{id_.hex()}',{asset})" for id_, asset in batch.new_wallets])
        statements.append(f"insert into wallet values {rows};")  # noqa: S608 - hexadecimal digits
    statements += claim_statements(batch)
    statements += payment_statements(batch)
    statements += _qr_used(batch)
    statements += _failed(batch)
    statements += _units_and_turns(batch)
    statements.append(COPY_ROWS)
    return "".join(statements)


def _drawn(batch: Batch) -> Iterator[str]:
    """Give the statements for the coins of prepaid issuers: funds before allotments, as always."""
    for brand_id, coins in batch.refunds:
        yield f"update issuer_fund set coins=coins+{coins} where brand_id={brand_id};"  # noqa: S608 - numbers
    for allotment_id, issued, returned in batch.draws:
        yield f"call draw_coins('{allotment_id.hex()}',{issued},{returned});"


def _qr_used(batch: Batch) -> Iterator[str]:
    """Give the statement for the QR codes that are used up (COI-6)."""
    if uses := batch.qr_uses:
        rows = ",".join(
            [
                f"('{customer_id.hex()}',{issued_at},'{transaction_id.hex()}')"
                for customer_id, issued_at, transaction_id in uses
            ]
        )
        yield f"insert into qr_use values {rows};"  # noqa: S608 - numbers


def _failed(batch: Batch) -> Iterator[str]:
    """Give the statement for wrong codes, at the time of the server, which all writers share."""
    if failed := batch.failed_codes:
        rows = ",".join(
            [
                f"({brand_id},{store_id},{cashier_id},'{transaction_id.hex()}',now())"
                for brand_id, store_id, cashier_id, transaction_id in failed
            ]
        )
        yield f"insert into failed_code values {rows};"  # noqa: S608 - numbers


def _units_and_turns(batch: Batch) -> Iterator[str]:
    """Give the statements for items: in each table what comes back, then what is taken.

    A unit that comes back in a batch may be taken in it. What comes back is told one by one, for a
    list of places is no look-up by the index.
    """
    for item_id, unit, transaction_id in batch.freed_units:
        yield (
            f"delete from item_unit where item_id={item_id} and unit={unit}"  # noqa: S608 - numbers
            f" and transaction_id='{transaction_id.hex()}';"
        )
    if units := batch.units:
        rows = ",".join(
            [
                f"({item_id},{unit},'{customer_id.hex()}','{transaction_id.hex()}')"
                for item_id, unit, customer_id, transaction_id in units
            ]
        )
        yield f"insert into item_unit values {rows};"  # noqa: S608 - numbers
    for customer_id, item_id, turn, transaction_id in batch.freed_turns:
        yield (
            f"delete from item_turn where customer_id='{customer_id.hex()}' and item_id={item_id}"  # noqa: S608 - numbers
            f" and turn={turn} and transaction_id='{transaction_id.hex()}';"
        )
    if turns := batch.turns:
        rows = ",".join(
            [
                f"('{customer_id.hex()}',{item_id},{turn},'{transaction_id.hex()}')"
                for customer_id, item_id, turn, transaction_id in turns
            ]
        )
        yield f"insert into item_turn values {rows};"  # noqa: S608 - numbers


COLUMNS = {
    "journal": layout.COLUMNS,
    "wallet": ["customer_id", "asset"],
    **{table.name: table.columns for table in CLAIM_TABLES.values()},
    "qr_use": ["customer_id", "issued_at", "transaction_id"],
    "failed_code": ["brand_id", "store_id", "cashier_id", "transaction_id", "failed_at"],
    "item_unit": ["item_id", "unit", "customer_id", "transaction_id"],
    "item_turn": ["customer_id", "item_id", "turn", "transaction_id"],
}
"""The columns of each table in the order in which an append writes them."""

COPY_ROWS = f"copy journal ({', '.join(COLUMNS['journal'])}) from stdin (format binary)"
"""Columns are named because the server fills the last one, `xid`, which is not hashed."""


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

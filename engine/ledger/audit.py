"""The audit: the books recomputed from nothing but the journal.

Every row is held against the row before it (sequence, hash, balance, lots, holds), the totals of
all wallets against their counter-accounts, and the journal's companions against the journal. All
of it sees one snapshot, so it can run beside a working engine.

It is cut into tasks that know nothing of each other: ranges of customers, whose rows are streamed
through the compiled auditor; the companions that the journal has all of, which are streamed into
rolls (see ext/rolls.pxi); and questions, which PostgreSQL answers. They are carried out one after
the other, or shared by processes, and what they found is put together in one order, so the same
books give the same sentences. Where a companion's roll is not the one that the rows call for, two
more questions name who disagrees.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Final, NamedTuple
from uuid import UUID

from engine.errors import Unaudited
from engine.ledger import auditors
from engine.ledger.core import Auditor, RollReader
from engine.ledger.journal import COLUMNS
from engine.postgres.connections import OUT_OF_REACH, Connection
from engine.postgres.sql import queries

SQL = queries("audit")
FAULTS_TOLD_MAX: Final = 100

COMPANION_FAULTS = {
    "wallets_without_rows": "wallet ({customer_id}, {asset}) has no first posting",
    "rows_without_wallet": "journal rows of ({customer_id}, {asset}) have no row in wallet",
    "claims_without_row": "{claim} ({owner}, {key}) has no posting that claims it",
    "rows_without_claim": "journal row ({customer_id}, {asset}, {seq}) has no {claim}",
    "claims_by_other_keys": "{claim} ({owner}, {key}) is not the key of what its posting names",
    "voids_unmatched": "invoice ({store_id}, {invoice_key}) is voided without its rows in"
    " invoice_claim and invoice_payment, or these say so and it is not",
    "invoice_payments_unbalanced": "invoice_payment ({store_id}, {invoice_key}) has {coins} coins,"
    " {paid} of them paid, of at most {coins_max}, and the journal has {journal_coins},"
    " {journal_paid} and {journal_max}",
    "units_without_row": "item_unit ({item_id}, {unit}) was taken by no redemption or payment",
    "turns_without_row": "item_turn ({customer_id}, {item_id}, {turn}) was taken by no redemption"
    " or payment",
    "qr_uses_without_row": "qr_use ({customer_id}, {issued_at}) has paid nothing",
    "qr_look_ups_contradicted": "qr_look_up ({customer_id}, {issued_at}) is of store {store_id},"
    " and the QR paid at another one or is of the future",
    "funds_unbalanced": "the fund of brand {brand_id} and its allotments have {coins} coins, and"
    " {deposited} were deposited",
    "allotments_unbalanced": "allotment {allotment_id} has paid {drawn} coins, and the journal"
    " issued {issued} from it",
    "rows_not_prepaid": "journal row ({customer_id}, {asset}, {seq}) issued coins that no allotment"
    " paid for",
    "reversals_of_nothing": "journal row ({customer_id}, {asset}, {seq}) is not the opposite of the"
    " row that it reverses",
    "legs_not_reversed": "journal row ({customer_id}, {asset}, {seq}) was not reversed with the"
    " other rows of its transaction",
}
"""The questions, each a block of audit.sql, and the sentence on each row that it answers with."""

ROLLS = {
    "wallet": ("wallets_without_rows", "rows_without_wallet"),
    **dict.fromkeys(
        ("invoice_claim", "reference_claim", "order_claim"),
        ("claims_without_row", "rows_without_claim"),
    ),
}
"""Companions of which the journal says all, and the questions to ask where they disagree with it.

The blocks roll_… of audit.sql have the records in the columns in which the auditor enters them.
"""
ROLL_COLUMNS = {"invoice_claim": 4, "wallet": 2, "reference_claim": 3, "order_claim": 3}

RANGES_OF_A_PROCESS: Final = 8
"""How many ranges of customers a process gets, so that none has to wait long for the others."""
RANGE_ROWS_MAX: Final = 5_000_000
SAMPLED_ROWS: Final = 20_000
PIECE_BYTES: Final = 64 * 1024
PAUSE_S: Final = 0.001

FIRST_ID: Final = UUID(int=0)
LAST_ID: Final = UUID(int=2**128 - 1)


class Range(NamedTuple):
    """The customers from one id to another, both of them included."""

    first: UUID
    last: UUID


class Companion(NamedTuple):
    """A companion to be read into its roll."""

    table: str


class Question(NamedTuple):
    """A block of audit.sql to be asked."""

    name: str


Task = Range | Companion | Question
Roll = tuple[int, int, int]


class Keys(NamedTuple):
    """The 16 random bytes that rolls are made with, and the key of the rows' hashes if known."""

    roll: bytes
    chain: bytes | None


class Shared(NamedTuple):
    """How an audit is shared by processes: how many at most, and the least rows of each."""

    dsn: str
    processes_max: int
    process_rows_min: int

    def processes(self, rows: int) -> int:
        """How many processes are worth their start; 0 where this one has done before they have."""
        return min(self.processes_max, rows // max(self.process_rows_min, 1))


@dataclass(slots=True)
class Report:
    """What an audit found, or a task of it; `faults` are sentences that name their row."""

    rows: int = 0
    wallets: int = 0
    seconds: float = 0.0
    faults_found: int = 0
    faults: list[str] = field(default_factory=list)
    totals: dict[int, list[int]] = field(default_factory=dict)
    """By asset: what its wallets hold, and what the accounts on the other side got."""
    rolls: dict[str, Roll] = field(default_factory=dict)
    """By companion: the roll that the rows call for."""

    def add(self, faults: Sequence[str]) -> None:
        """Count faults, and keep the first of them to be told."""
        self.faults_found += len(faults)
        self.faults.extend(faults[: FAULTS_TOLD_MAX - len(self.faults)])

    def include(self, part: Report) -> None:
        """Add what a task found."""
        self.rows += part.rows
        self.wallets += part.wallets
        untold = part.faults_found - len(part.faults)
        self.add(part.faults)
        self.faults_found += untold
        for asset, sides in part.totals.items():
            before = self.totals.get(asset, [0, 0])
            self.totals[asset] = [one + other for one, other in zip(before, sides, strict=True)]
        for table, roll in part.rolls.items():
            self.rolls[table] = joined(self.rolls.get(table, (0, 0, 0)), roll)

    @property
    def trial_balance(self) -> int:
        """How far the books are from balancing: over all assets, what should be 0."""
        return sum(abs(sum(sides)) for sides in self.totals.values())

    @property
    def summary(self) -> str:
        """The result in one line."""
        result = "the books balance" if not self.faults_found else f"{self.faults_found} faults"
        return (
            f"{result}: {self.rows} rows of {self.wallets} wallets, trial balance"
            f" {self.trial_balance}, {self.seconds:.1f} s"
        )


async def audit_journal(
    connection: Connection,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    shared: Shared | None = None,
    chain_key: bytes | None = b"",
) -> Report:
    """Audit the whole journal; `progress` gets (rows done, about how many there are).

    All on `connection`, where it is not `shared`. `chain_key` is the key of the rows' hashes, empty
    where they have none; with None the hashes are not checked. Raises Unaudited where PostgreSQL
    goes away.
    """
    started = perf_counter()
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):  # network op
            await connection.execute(SQL["plan"])  # network op
            rows_in_all = await connection.fetchval(SQL["rows"])  # network op
            report = await _audit(
                connection,
                shared,
                rows_in_all,
                lambda done: progress(done, rows_in_all),
                chain_key,
            )
    except OUT_OF_REACH as error:
        raise Unaudited.by(error) from error
    report.seconds = perf_counter() - started
    return report


async def _audit(
    connection: Connection,
    shared: Shared | None,
    rows_in_all: int,
    progress: Callable[[int], None],
    chain_key: bytes | None,
) -> Report:
    """Carry out all tasks, and put together what they found: rows, totals, then companions."""
    companions = [Companion(table) for table in ROLLS]
    asked_later = {name for both in ROLLS.values() for name in both}
    questions = [Question(name) for name in COMPANION_FAULTS if name not in asked_later]
    processes = 0 if shared is None else shared.processes(rows_in_all)
    ranges = await ranges_of(connection, rows_in_all, processes)
    tasks: list[Task] = [*companions, *questions, *ranges]
    keys = Keys(secrets.token_bytes(16), chain_key)
    work, tell = partial(carry_out, keys), summed(progress)
    if shared is None or processes == 0:
        parts = [await work(connection, task, tell) for task in tasks]
    else:
        parts = await auditors.carry_out(connection, shared.dsn, processes, work, tasks, progress)
    found: dict[Task, Report] = dict(zip(tasks, parts, strict=True))
    report = Report()
    for ids in ranges:
        report.include(found[ids])
    report.add(unbalanced(report.totals))
    for companion in companions:
        if found[companion].rolls[companion.table] == report.rolls[companion.table]:
            continue
        both = [Question(name) for name in ROLLS[companion.table]]
        answers = [await work(connection, question, tell) for question in both]
        found |= zip(both, answers, strict=True)
        if not any(answer.faults for answer in answers):
            report.add([f"{companion.table} does not have the rows that the journal calls for"])
    for name in COMPANION_FAULTS:
        report.include(found.get(Question(name), Report()))
    return report


async def ranges_of(connection: Connection, rows_in_all: int, processes: int) -> list[Range]:
    """Cut the customers into ranges of about as many rows, by a sample of the journal."""
    count = max(RANGES_OF_A_PROCESS * processes, rows_in_all // RANGE_ROWS_MAX, 1)
    percent = min(100.0, 100 * SAMPLED_ROWS / max(rows_in_all, 1))
    shares = [at / count for at in range(1, count)]
    cuts = await connection.fetchval(SQL["cuts"], shares, percent)  # network op
    firsts = sorted({FIRST_ID, *(UUID(int=cut.int) for cut in cuts or ())})
    lasts = [UUID(int=first.int - 1) for first in firsts[1:]] + [LAST_ID]
    return [Range(first, last) for first, last in zip(firsts, lasts, strict=True)]


async def carry_out(
    keys: Keys, connection: Connection, task: Task, tell: Callable[[int], None]
) -> Report:
    """Carry out one task in the transaction of `connection`.

    `tell` gets how many more rows are checked.
    """
    if isinstance(task, Range):
        return await audit_range(keys, connection, task, tell)
    if isinstance(task, Companion):
        return Report(rolls={task.table: await roll_of(keys.roll, connection, task.table)})
    report = Report()
    rows = await connection.fetch(SQL[task.name])  # network op
    report.add([COMPANION_FAULTS[task.name].format(**dict(row)) for row in rows])
    return report


async def roll_of(key: bytes, connection: Connection, table: str) -> Roll:
    """Read a companion into its roll."""
    records = RollReader(ROLL_COLUMNS[table], key)
    await stream(connection, SQL[f"roll_{table}"], records.feed)
    return records.roll


async def audit_range(
    keys: Keys, connection: Connection, ids: Range, tell: Callable[[int], None]
) -> Report:
    """Hold every row of a range of customers against the row before it."""
    report, auditor = Report(), Auditor(keys.roll, keys.chain)

    def check(piece: bytes | bytearray) -> None:
        before = auditor.rows
        report.add(auditor.feed(piece))
        tell(auditor.rows - before)

    columns = ", ".join(COLUMNS["journal"])
    query = SQL["stream"].format(columns=columns, first=ids.first, last=ids.last)
    await stream(connection, query, check)
    report.add(auditor.finish())
    report.rows, report.wallets = auditor.rows, auditor.wallets
    report.totals, report.rolls = auditor.totals, auditor.rolls
    return report


async def stream(
    connection: Connection, query: str, feed: Callable[[bytes | bytearray], object]
) -> None:
    """Feed the answer to a query as binary COPY, in large pieces.

    What each piece costs in Python is much more than what its rows do, and the server sends a few
    rows at a time. So after a small one this pauses: meanwhile the server fills the socket, and
    another stream goes on.
    """

    async def take(piece: bytes | bytearray) -> None:
        feed(piece)
        if len(piece) < PIECE_BYTES:
            await asyncio.sleep(PAUSE_S)

    await connection.copy_from_query(query, output=take, format="binary")  # network op


def joined(one: Roll, other: Roll) -> Roll:
    """Return the roll of two sets together."""
    records, *sums = (a + b for a, b in zip(one, other, strict=True))
    return records, sums[0] % 2**64, sums[1] % 2**64


def summed(progress: Callable[[int], None]) -> Callable[[int], None]:
    """Return what is told how many more there are, and tells `progress` how many in all."""
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        done += more
        progress(done)

    return tell


def unbalanced(totals: dict[int, list[int]]) -> list[str]:
    """Return the faults of the trial balance: both sides of every asset cancel out."""
    return [
        f"trial balance of asset {asset}: customers hold {held}, the accounts on the other side"
        f" {countered}; the sum must be 0"
        for asset, (held, countered) in sorted(totals.items())
        if held + countered
    ]

"""The audit: the books recomputed from nothing but the journal.

Every row is held against the row before it (sequence, hash, balance, lots, holds), the totals of
all wallets against their counter-accounts, and the journal's companions against the journal. All
of it sees one snapshot, so it can run beside a working engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from engine.ledger.core import Auditor
from engine.ledger.journal import COLUMNS
from engine.postgres.connections import Connection
from engine.postgres.sql import queries

SQL = queries("audit")
FAULTS_TOLD_MAX = 100

COMPANION_FAULTS = {
    "wallets_without_rows": "wallet ({customer_id}, {asset}) has no first posting",
    "rows_without_wallet": "journal rows of ({customer_id}, {asset}) have no row in wallet",
    "claims_without_row": "invoice_claim ({store_id}, {invoice_number}) has no posting that earned",
    "rows_without_claim": "journal row ({customer_id}, {asset}, {seq}) has no invoice_claim",
    "units_without_row": "item_unit ({item_id}, {unit}) was taken by no redemption",
    "turns_without_row": "item_turn ({customer_id}, {item_id}, {turn}) was taken by no redemption",
    "qr_uses_without_row": "qr_use ({customer_id}, {issued_at}) has paid nothing",
    "references_without_row": "partner_reference ({partner_id}, {reference}) was not converted",
    "rows_without_reference": "journal row ({customer_id}, {asset}, {seq}) converted no reference",
    "reversals_of_nothing": "journal row ({customer_id}, {asset}, {seq}) is not the opposite of the"
    " row that it reverses",
    "legs_not_reversed": "journal row ({customer_id}, {asset}, {seq}) was not reversed with the"
    " other rows of its transaction",
}


@dataclass(slots=True)
class Report:
    """What an audit found; `faults` are sentences that name their row."""

    rows: int = 0
    wallets: int = 0
    seconds: float = 0.0
    faults_found: int = 0
    faults: list[str] = field(default_factory=list)
    trial_balance: int = 0

    def add(self, faults: list[str]) -> None:
        """Count faults, and keep the first of them to be told."""
        self.faults_found += len(faults)
        self.faults.extend(faults[: FAULTS_TOLD_MAX - len(self.faults)])

    @property
    def summary(self) -> str:
        """The result in one line."""
        result = "the books balance" if not self.faults_found else f"{self.faults_found} faults"
        return (
            f"{result}: {self.rows} rows of {self.wallets} wallets, trial balance"
            f" {self.trial_balance}, {self.seconds:.1f} s"
        )


async def audit_journal(
    connection: Connection, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> Report:
    """Audit the whole journal; `progress` is told (rows done, about how many there are)."""
    report, auditor, started = Report(), Auditor(), perf_counter()
    async with connection.transaction(isolation="repeatable_read", readonly=True):  # network op
        await connection.execute(SQL["plan"])  # network op
        rows_in_all = await connection.fetchval(SQL["rows"])  # network op

        async def check(piece: bytes | bytearray) -> None:
            report.add(auditor.feed(bytes(piece)))
            progress(auditor.rows, rows_in_all)

        columns = ", ".join(COLUMNS["journal"])
        await connection.copy_from_query(  # network op
            f"select {columns} from journal order by customer_id, asset, seq",  # noqa: S608
            output=check,
            format="binary",
        )
        report.add(auditor.finish())
        for name, sentence in COMPANION_FAULTS.items():
            rows = await connection.fetch(SQL[name])  # network op
            report.add([sentence.format(**dict(row)) for row in rows])
    report.rows, report.wallets = auditor.rows, auditor.wallets
    report.trial_balance = sum(abs(sum(sides)) for sides in auditor.totals.values())
    report.seconds = perf_counter() - started
    return report

"""The audit of a million rows: how many a second, and whose work it is.

The books are made by the compiled core and appended to an embedded PostgreSQL, once; then they are
audited in rounds, by one process, by two and so on, interleaved. Wall time, and the CPU time of the
processes and of PostgreSQL apart. The check alone is measured on bytes in memory.

    python -m bench.audit [--rows 1000000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop
from rich.console import Console
from rich.table import Table

from bench import report
from bench.books import Shape, fill
from bench.processes import cpu_seconds
from engine.ledger.audit import Report, Shared, audit_journal
from engine.ledger.auditors import STREAMS
from engine.ledger.core import Auditor
from engine.ledger.journal import COLUMNS
from engine.postgres.connections import Connection, connect
from engine.postgres.embedded import EmbeddedPostgres
from engine.postgres.migrations import migrate

STATEMENT_SECONDS_MAX: Final = 600
KEPT_ROWS: Final = 100_000
"""How many rows are kept in memory for the check alone."""


async def connection_to(dsn: str) -> Connection:
    """A connection with patience."""
    return await connect(
        dsn,
        statement_timeout_ms=1000 * STATEMENT_SECONDS_MAX,
        lock_timeout_ms=1000 * STATEMENT_SECONDS_MAX,
        application_name="bench",
        command_timeout_seconds=STATEMENT_SECONDS_MAX,
    )


async def make_books(dsn: str, shape: Shape) -> dict[str, Any]:
    """Fill an empty database; return what the books are like."""
    connection = await connection_to(dsn)
    await migrate(connection)
    await fill(connection, shape)
    await connection.execute("vacuum analyze")
    row = await connection.fetchrow(
        "select count(*) as rows, round(avg(cardinality(lots)) / 2, 1)::float as lots_of_a_row,"
        " pg_relation_size('journal') as journal_bytes,"
        " (select count(*) from wallet) as wallets,"
        " (select count(*) from invoice_claim) as invoice_claims from journal"
    )
    await connection.close()
    assert row is not None
    return dict(row) | asdict(shape)


async def audit(dsn: str, processes: int) -> Report:
    """Audit in so many processes."""
    connection = await connection_to(dsn)
    found = await audit_journal(connection, shared=Shared(dsn, processes, 1))
    await connection.close()
    return found


async def stream_in_memory(dsn: str) -> list[bytes]:
    """Return pieces of the stream of rows, as an auditor gets them."""
    connection, pieces = await connection_to(dsn), []

    async def keep(piece: bytes) -> None:
        pieces.append(bytes(piece))

    columns = ", ".join(COLUMNS["journal"])
    await connection.copy_from_query(
        f"select {columns} from (select * from journal order by customer_id, asset, seq limit"
        f" {KEPT_ROWS}) j",
        output=keep,
        format="binary",
    )
    await connection.close()
    return pieces


def check_alone(pieces: Sequence[bytes]) -> dict[str, float]:
    """Return how fast the rows in memory are checked, by CPU time: no driver, no server."""
    started, auditor = time.process_time(), Auditor()
    for piece in pieces:
        assert auditor.feed(piece) == []
    seconds = time.process_time() - started
    size = sum(map(len, pieces))
    return {"rows_per_second": auditor.rows / seconds, "row_bytes": size / auditor.rows}


def measured(dsn: str, processes: int, postmaster: int) -> dict[str, float]:
    """Audit once; return the rates and whose CPU time it took."""
    load = os.getloadavg()[0]
    before = _cpu(postmaster)
    started = time.perf_counter()
    found = uvloop.run(audit(dsn, processes))
    seconds = time.perf_counter() - started
    time.sleep(0.2)  # until the server has seen its connections end
    auditors, postgres = (now - then for now, then in zip(_cpu(postmaster), before, strict=True))
    assert not found.faults, found.faults
    return {
        "load_before": load,
        "seconds": seconds,
        "rows_per_second": found.rows / seconds,
        "rows_per_second_and_process": found.rows / seconds / processes,
        "cpu_us_of_a_row_auditors": 1e6 * auditors / found.rows,
        "cpu_us_of_a_row_postgres": 1e6 * postgres / found.rows,
        "rows_per_cpu_second_auditors": found.rows / auditors,
        "rows_per_cpu_second_all": found.rows / (auditors + postgres),
    }


def _cpu(postmaster: int) -> tuple[float, float]:
    """CPU seconds so far: of this process with the auditors that have ended, and of the server."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used), cpu_seconds(postmaster)


def show(summary: dict[str, Any], check: dict[str, float], console: Console) -> None:
    """Show the medians."""
    table = Table(title="audit: medians of the rounds (smallest … largest)")
    for name in ("processes", "rows/s", "rows/s a process", "CPU µs a row: auditors, postgres"):
        table.add_column(name, justify="right")
    for processes, facts in summary.items():
        rate, each = facts["rows_per_second"], facts["rows_per_second_and_process"]
        auditors, postgres = (
            facts[f"cpu_us_of_a_row_{who}"]["median"] for who in ("auditors", "postgres")
        )
        table.add_row(
            processes,
            *(
                f"{one['median']:,.0f} ({one['min']:,.0f} … {one['max']:,.0f})"
                for one in (rate, each)
            ),
            f"{auditors:.2f} + {postgres:.2f}",
        )
    console.print(table)
    console.print(f"The check alone, in memory: {check['rows_per_second']:,.0f} rows a CPU second.")


def main() -> None:
    """Run, show a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--processes", type=int, nargs="*", default=sorted({1, os.cpu_count() or 1})
    )
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as name, EmbeddedPostgres(Path(name)) as server:
        dsn = server.start()
        postmaster = int((Path(name) / "postgres" / "postmaster.pid").read_text().split()[0])
        with console.status("making the books"):
            books = uvloop.run(make_books(dsn, Shape(rows=options.rows)))
        pieces = uvloop.run(stream_in_memory(dsn))
        rounds, checks = [], []
        for number in range(options.rounds):
            with console.status(f"round {number + 1} of {options.rounds}"):
                checks.append(check_alone(pieces))
                rounds.append({str(n): measured(dsn, n, postmaster) for n in options.processes})
        where = uvloop.run(report.server_version(dsn))
    summary = {
        name: {
            fact: {"median": median(values), "min": min(values), "max": max(values)}
            for fact in one
            if (values := [each[name][fact] for each in rounds])
        }
        for name, one in rounds[0].items()
    }
    check = {fact: median(one[fact] for one in checks) for fact in checks[0]}
    show(summary, check, console)
    figures = report.where_and_when(where) | {
        "books": books,
        "streams_of_a_process": STREAMS,
        "check_alone": check,
        "summary": summary,
        "rounds": rounds,
    }
    report.save("audit", figures, options.results, console)


if __name__ == "__main__":
    main()

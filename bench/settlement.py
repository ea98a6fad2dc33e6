"""Settlement over many postings: how long reports take from the sums, and what folding costs.

All postings are of one day. They are appended in batches as the engine does it, folded step by
step, and asked for over HTTP. Whether folding slows appends down is measured in rounds with and
without it, interleaved.

    python -m bench.settlement [--rows 1000000] [--rounds 8]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Final

import orjson
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import report
from bench.postings import DAY, SHARES, Postings
from bench.processes import cpu_seconds, free_port, server
from engine.demo import prepare
from engine.ledger.core import Batch
from engine.ledger.journal import Journal
from engine.ledger.receipts import microseconds
from engine.ledger.verdicts import Verdict
from engine.metrics import Metrics
from engine.network.folding import Folder
from engine.network.reports import NOW, Cut, Reports
from engine.network.sums_audit import audit_sums
from engine.postgres.connections import Connection, connect, create_read_pool
from engine.postgres.embedded import EmbeddedPostgres
from engine.postgres.migrations import migrate
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS
from engine.settings import Settings

SEED: Final = 1
ASKED: Final = 60
"""How often each report is asked for."""
ROUND_BATCHES: Final = 60
ROUND_OPERATIONS: Final = 64
TARGET_MS: Final = 100
TIMEOUT_MS: Final = 600_000


async def open_connection(dsn: str, *, look_ups_only: bool) -> Connection:
    """Return a connection that waits as long as it takes."""
    return await connect(
        dsn,
        statement_timeout_ms=TIMEOUT_MS,
        lock_timeout_ms=TIMEOUT_MS,
        application_name="bench",
        command_timeout_seconds=TIMEOUT_MS / 1000,
        look_ups_only=look_ups_only,
    )


class Bench:
    """One database, filled with the postings of one day."""

    def __init__(self, dsn: str, folder: Path, rows: int) -> None:
        self._dsn, self._folder, self._rows = dsn, folder, rows
        self.day = (datetime.now(UTC) - timedelta(days=1)).date()
        midnight = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        self._start = microseconds(midnight) - UTC_OFFSETS[COINS_COUNTRY] * 1_000_000

    async def fill(self, console: Console) -> dict[str, Any]:
        """Load the demo network and append the postings."""
        self.admin = await open_connection(self._dsn, look_ups_only=False)
        await migrate(self.admin)
        await prepare.prepare(self.admin, self._folder)
        self.demo = orjson.loads((self._folder / prepare.FILE).read_bytes())
        found = await self.admin.fetch("select brand_id, country from brand")
        customers = await self.admin.fetch("select customer_id from customer order by 1")
        self.postings = Postings(
            SEED,
            [row["customer_id"].bytes for row in customers],
            {row["brand_id"]: UTC_OFFSETS[row["country"]] for row in found},
            [one["brand_id"] for one in self.demo["brands"] if one["issuer"]],
        )
        writer = await open_connection(self._dsn, look_ups_only=True)
        self.journal = await Journal.open(writer, TIMEOUT_MS)
        started, seconds, rows = perf_counter(), 0.0, 0
        batches = self.postings.batches(self._rows, self._start, self._start + DAY - 1)
        for batch in track(batches, "appending", console=console, total=None):
            seconds += await self.append(batch)
            rows += batch.postings
        return {
            "rows": rows,
            "seconds": round(perf_counter() - started, 1),
            "rows_per_second": round(rows / seconds),
        }

    async def append(self, batch: Batch) -> float:
        """Make a batch durable; return how long it took."""
        started = perf_counter()
        assert await self.journal.append(batch) is Verdict.DURABLE, self.journal.last_sqlstate
        return perf_counter() - started

    async def settle(self) -> float:
        """Return how many milliseconds the settlement of the day takes, without HTTP."""
        pool = await create_read_pool(self._dsn, connections_max=1, statement_timeout_ms=TIMEOUT_MS)
        started = perf_counter()
        found = await Reports(pool).settlement(Cut(day=self.day), NOW)
        assert sum(one.net for one in found.positions) == 0
        pool.terminate()
        return round((perf_counter() - started) * 1000, 1)

    async def fold(self) -> dict[str, Any]:
        """Fold all there is, one step after the other."""
        own = await open_connection(self._dsn, look_ups_only=True)
        folder = self.folder()
        before, started, steps, rows = cpu_seconds(own.get_server_pid()), perf_counter(), [], 0
        while True:
            begun = perf_counter()
            folded = await folder.step(own)
            if folded == 0:
                break
            steps.append(perf_counter() - begun)
            rows += folded
        seconds = perf_counter() - started
        cpu = cpu_seconds(own.get_server_pid()) - before
        own.terminate()
        return {
            "rows": rows,
            "steps": len(steps),
            "rows_per_second": round(rows / seconds),
            "postgres_cpu_us_per_row": round(cpu / rows * 1e6, 2),
            "step_ms": round(median(steps) * 1000, 1),
        }

    def folder(self) -> Folder:
        """Return a folder as the engine has it."""

        async def open_one() -> Connection:
            return await open_connection(self._dsn, look_ups_only=True)

        defaults = Settings()
        return Folder(
            open_one,
            Metrics(),
            interval_ms=defaults.fold_interval_ms,
            rows_max=defaults.fold_rows_max,
        )

    async def append_beside_folding(self, rounds: int, console: Console) -> dict[str, Any]:
        """Append in rounds with and without a folder at work; return the medians."""
        times: dict[bool, list[float]] = {False: [], True: []}
        now = microseconds(datetime.now(UTC))
        ratios = []
        for number in track(range(rounds), "beside folding", console=console):
            medians = {}
            for folding in (False, True) if number % 2 else (True, False):
                work = asyncio.create_task(self.folder().run()) if folding else None
                await asyncio.sleep(0.2)
                own = []
                for _ in range(ROUND_BATCHES):
                    batch = next(self.postings.batches(1, now, now, size=ROUND_OPERATIONS))
                    own.append(await self.append(batch))
                if work is not None:
                    work.cancel()
                times[folding] += own
                medians[folding] = sum(own) / len(own)
            ratios.append(medians[True] / medians[False])
        return {
            "operations": ROUND_OPERATIONS,
            "append_ms": round(median(times[False]) * 1000, 2),
            "append_beside_folding_ms": round(median(times[True]) * 1000, 2),
            "ratio_of_means": {
                "median": round(median(ratios), 3),
                "min": round(min(ratios), 3),
                "max": round(max(ratios), 3),
            },
        }

    def ask(self, port: int) -> dict[str, Any]:
        """Ask an engine for each report, again and again; return how long that takes."""
        day = self.day.isoformat()
        paths = {
            "settlement_of_the_day": f"/v1/settlements?from={day}&to={day}",
            "settlement_of_30_days": f"/v1/settlements?from={self.day - timedelta(days=29)}",
            "settlement_as_csv": f"/v1/settlements?from={day}&to={day}&format=csv",
            "trial_balance": "/v1/trial-balance",
            "liability": f"/v1/brands/{self.demo['keys']['store']['brand_id']}/liability",
            "trial_balance_at_noon": f"/v1/trial-balance?as_of={day}T17:00:00Z",
        }
        headers = {"Authorization": f"Bearer {self.demo['keys']['network']['key']}"}
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        found: dict[str, Any] = {}
        for name, path in paths.items():
            times, size = [], 0
            for _ in range(ASKED if "noon" not in name else 5):
                started = perf_counter()
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                size = len(answer.read())
                assert answer.status == 200, answer.status
                times.append((perf_counter() - started) * 1000)
            found[name] = {
                "median_ms": round(median(times), 1),
                "p95_ms": round(quantiles(times, n=20)[-1], 1),
                "bytes": size,
            }
        connection.close()
        return found


async def measure(bench: Bench, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Fill, fold and ask; return all figures."""
    figures: dict[str, Any] = {"append": await bench.fill(console)}
    figures["settlement_not_folded_ms"] = await bench.settle()
    figures["fold"] = await bench.fold()
    figures["settlement_folded_ms"] = await bench.settle()
    figures["sums_of_the_day"] = {
        table: await bench.admin.fetchval(f"select count(*) from {table}")
        for table in ("sum_of_coins", "sum_of_accounts", "sum_of_lots")
    }
    figures["beside_folding"] = await bench.append_beside_folding(options.rounds, console)
    # Last, for an engine writes down what is due, which the ledger here would not know of.
    port = free_port()
    command = [sys.executable, "-m", "engine", "serve", "--database-url", options.dsn]
    command += ["--data-dir", str(options.folder), "--port", str(port), "--demo"]
    url = f"http://127.0.0.1:{port}/readyz"
    with server(command, url, options.folder / "engine.log"):
        figures["http"] = await asyncio.to_thread(bench.ask, port)
    figures["faults_of_the_sums"] = await audit_sums(bench.admin)
    return figures


def main() -> None:
    """Run, show the figures, and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    console = report.console()
    with tempfile.TemporaryDirectory() as name:
        options.folder = Path(name)
        options.folder.chmod(0o755)
        with EmbeddedPostgres(options.folder) as postgres:
            options.dsn = postgres.start()
            bench = Bench(options.dsn, options.folder, options.rows)
            figures = asyncio.run(measure(bench, options, console))
            server_version = asyncio.run(report.server_version(options.dsn))
    figures = report.where_and_when(server_version) | {
        "conditions": {
            "workload": f"all verbs by {SHARES}, of one day; 5 000 customers, 30 brands, all alike",
            "seed": SEED,
            "durability": "fsync, full_page_writes and synchronous_commit are on",
            "shared": "client, server and PostgreSQL share the machine; traffic is loopback",
        },
        **figures,
    }
    show(figures, console)
    report.save("settlement", figures, options.results, console)
    if figures["faults_of_the_sums"]:
        sys.exit("The sums are not those of the journal.")


def show(figures: dict[str, Any], console: Console) -> None:
    """Show how long each report takes, and how fast folding goes."""
    table = Table(title=f"reports over {figures['fold']['rows']:,} postings, over HTTP")
    for name in ("report", "median ms", "p95 ms", "bytes"):
        table.add_column(name, justify="left" if name == "report" else "right")
    for name, facts in figures["http"].items():
        table.add_row(name.replace("_", " "), *(f"{facts[one]:,}" for one in facts))
    console.print(table)
    console.print(
        f"Folded {figures['fold']['rows_per_second']:,} rows a second. A day's settlement shall"
        f" take {TARGET_MS} ms at most."
    )


if __name__ == "__main__":
    main()

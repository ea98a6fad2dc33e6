"""The engine beside bare aiohttp and the textbook service, on one machine in one run.

Every contestant is a server in a process of its own; the same client drives each in turn, round
after round, so that a noisy neighbour hits all of them alike. What counts are the ratios within a
round. All databases are on one embedded PostgreSQL with fsync on; the books are audited at the end.

    python -m bench.side_by_side [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import report
from bench.processes import fetch, free_port, server
from engine.postgres.embedded import EmbeddedPostgres

RESULTS: Final = Path(__file__).parent / "results"
POOL_SIZES: Final = (8, 16, 32)
SEED: Final = 2026
TABLE_WIDTH_MIN: Final = 100
CANNED_OPTIONS: Final = ("--per-second-max", "120000", "--warm", "0.2")
TEXTBOOK_PER_SECOND_MAX: Final = 5_000


@dataclass(slots=True)
class Contestant:
    """A server that runs, and how the client is told to drive it."""

    name: str
    url: str
    pid: int
    options: list[str] = field(default_factory=list)
    has_metrics: bool = False


@dataclass(slots=True)
class Bench:
    """What all contestants share: the machine's one PostgreSQL, the demo network, the clock."""

    folder: Path
    dsn: str
    connections: int
    seconds: float
    warm: float
    runs: int = 0

    @property
    def demo(self) -> Path:
        return self.folder / "demo.json"

    @property
    def postgres_pid(self) -> int:
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])

    def run(self, contestant: Contestant, *, seconds: float | None = None) -> dict[str, Any]:
        """Drive a contestant once, with a seed of its own; raises RuntimeError where it errs."""
        self.runs += 1
        before = _batches(contestant)
        command = [
            *(sys.executable, "-m", "bench.client", "--url", contestant.url),
            *("--demo", str(self.demo), "--seed", str(SEED * 1000 + self.runs)),
            *("--connections", str(self.connections), "--warm", str(self.warm)),
            *("--seconds", str(seconds or self.seconds), "--watch", f"server={contestant.pid}"),
            *("--watch", f"postgres={self.postgres_pid}", *contestant.options),
        ]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"the client broke on {contestant.name}: {done.stderr.decode()}")
        figures: dict[str, Any] = orjson.loads(done.stdout)
        if figures["errors"] or figures["replays"]:
            raise RuntimeError(f"{contestant.name} answered: {figures['errors'][:1]}")
        after = _batches(contestant)
        if contestant.has_metrics:
            figures["batch_operations"] = (after[0] - before[0]) / (after[1] - before[1])
        return figures


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _batches(contestant: Contestant) -> tuple[float, float]:
    """Return (operations, batches) that the engine has committed so far."""
    if not contestant.has_metrics:
        return 0.0, 0.0
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(fetch(f"{contestant.url}/metrics"))
        for sample in family.samples
        if family.name == "leal_batch_operations"
    }
    return samples["leal_batch_operations_sum"], samples["leal_batch_operations_count"]


@contextlib.contextmanager
def bare(bench: Bench, name: str = "bare", *options: str) -> Iterator[Contestant]:
    """The ceiling of aiohttp; with the name `canned`, the ceiling of the client."""
    port = free_port()
    command = [sys.executable, "-m", f"bench.contestants.{name}", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with server(command, f"{url}/readyz", bench.folder / f"{name}.log") as process:
        yield Contestant(name, url, process.pid, list(options))


@contextlib.contextmanager
def textbook(bench: Bench, pool: int) -> Iterator[Contestant]:
    """One transaction for each request, with a pool of that many connections."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "bench.contestants.textbook", "--port", str(port)),
        *("--demo", str(bench.demo), "--pool", str(pool)),
        *("--database-url", bench.dsn.replace("/leal?", "/textbook?")),
    ]
    url = f"http://127.0.0.1:{port}"
    options = ["--per-second-max", str(TEXTBOOK_PER_SECOND_MAX)]
    with server(command, f"{url}/readyz", bench.folder / "textbook.log") as process:
        yield Contestant("textbook", url, process.pid, options)


@contextlib.contextmanager
def engine(bench: Bench) -> Iterator[Contestant]:
    """The engine as it is served: one worker, every default, and the demo network."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "engine", "serve", "--demo", "--port", str(port)),
        *("--data-dir", str(bench.folder), "--database-url", bench.dsn),
    ]
    url = f"http://127.0.0.1:{port}"
    with server(command, f"{url}/readyz", bench.folder / "engine.log") as process:
        yield Contestant("engine", url, process.pid, has_metrics=True)


@contextlib.contextmanager
def engine_alone(
    options: argparse.Namespace, console: Console
) -> Iterator[tuple[Bench, Contestant, Progress, dict[str, Any]]]:
    """The engine on a server of its own; its audit and conditions end up in the dict."""
    with (
        _folder() as folder,
        EmbeddedPostgres(folder) as postgres,
        Progress(console=console) as progress,
    ):
        bench = Bench(folder, postgres.start(), options.connections, options.seconds, options.warm)
        about: dict[str, Any] = {}
        with engine(bench) as served:
            yield bench, served, progress, about
        about["audit"] = audit(bench.dsn, folder)
        about |= report.conditions(bench.connections, bench.seconds, bench.warm, bench.dsn)


def best_pool(bench: Bench, progress: Progress) -> dict[int, float]:
    """Try pool sizes for the textbook service, twice; return the best of each, the best one first.

    The best, not the mean: whatever else the machine does can only slow a run down.
    """
    task = progress.add_task("textbook: which pool", total=2 * len(POOL_SIZES))
    reached = dict.fromkeys(POOL_SIZES, 0.0)
    for size in (*POOL_SIZES, *POOL_SIZES):
        with textbook(bench, size) as contestant:
            figures = bench.run(contestant, seconds=max(0.6, bench.seconds / 4))
        reached[size] = max(reached[size], figures["per_second"])
        progress.advance(task)
    return dict(sorted(reached.items(), key=lambda item: -item[1]))


def rounds(
    bench: Bench, contestants: list[Contestant], count: int, progress: Progress
) -> list[dict[str, Any]]:
    """Run all contestants in turn, `count` times; every other round goes backwards."""
    task = progress.add_task("rounds", total=count * len(contestants))
    found = []
    for number in range(count):
        results = {}
        for contestant in contestants[:: -1 if number % 2 else 1]:
            progress.update(task, description=f"round {number + 1}: {contestant.name}")
            results[contestant.name] = bench.run(contestant)
            progress.advance(task)
        found.append(results)
    return found


def audit(dsn: str, folder: Path) -> dict[str, Any]:
    """Run the audit command on the engine's database."""
    started = time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "engine", "audit"),
            *("--data-dir", str(folder), "--database-url", dsn),
        ],
        capture_output=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode().strip()
    seconds = round(time.perf_counter() - started, 2)
    return {"exit_code": done.returncode, "seconds": seconds, "said": said[-2000:]}


def compare(bench: Bench, count: int, progress: Progress) -> dict[str, Any]:
    """Run everything on a fresh database; return all figures."""
    asyncio.run(_execute(bench.dsn, "create database textbook"))
    with contextlib.ExitStack() as stack:
        spread = stack.enter_context(engine(bench))
        with bare(bench, "canned", *CANNED_OPTIONS) as canned:
            ceiling = bench.run(canned, seconds=1.0)
        pools = best_pool(bench, progress)
        issuers, one_brand = (
            Contestant(name, spread.url, spread.pid, [flag], has_metrics=True)
            for name, flag in (("issuers", "--issuers-only"), ("one_brand", "--one-brand"))
        )
        contestants = [
            stack.enter_context(bare(bench)),
            stack.enter_context(textbook(bench, next(iter(pools)))),
            spread,
            issuers,
            one_brand,
        ]
        found = rounds(bench, contestants, count, progress)
    return {
        "client_ceiling": ceiling,
        "textbook_pools": pools,
        "rounds": found,
        "audit": audit(bench.dsn, bench.folder),
    }


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="leal-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # the user of the embedded server must reach its cluster
        yield Path(name)


def main() -> None:
    """Run, show a table, and write the figures and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 short rounds, in about 40 s")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    count = options.rounds or (3 if options.quick else 5)
    seconds = options.seconds or (1.2 if options.quick else 4.0)
    console = Console()
    console.width = max(console.width, TABLE_WIDTH_MIN)
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn())
    with (
        _folder() as folder,
        EmbeddedPostgres(folder) as postgres,
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
    ):
        warm = 0.4 if options.quick else 1.0
        bench = Bench(folder, postgres.start(), options.connections, seconds, warm)
        figures = compare(bench, count, progress)
        about = report.conditions(bench.connections, seconds, bench.warm, bench.dsn)
    figures = about | {"summary": report.summary(figures["rounds"])} | figures
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "side_by_side.json").write_bytes(
        orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
    )
    report.draw(figures, options.results / "side_by_side.png")
    report.show(figures, console)
    if figures["audit"]["exit_code"] != 0:
        console.print("[red]The books do not balance.[/red]")
        sys.exit(1)


if __name__ == "__main__":
    main()

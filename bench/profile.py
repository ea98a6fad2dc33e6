"""What a durable sale costs: CPU time by part, from samples of stacks, before and after a change.

How much CPU time the engine and PostgreSQL spend on a sale is read from /proc while nobody looks.
How the engine's is split comes from py-spy's samples of a second run, Python and C together: a
sample belongs to the part of its innermost frame that is somebody's own, by the path of the module.
What serves everybody (the event loop, libc, the interpreter) counts for whoever called it, and for
HTTP where nobody did. A sample tells that the engine ran or wanted to, so it has a core of its own
meanwhile: else whatever wakes PostgreSQL, and loses the core to it, would look dear.

The last runs are kept in `results/profile.json`, and drawn side by side.

    python -m bench.profile [--rounds 5] [--seconds 4]
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from bench import pictures, report
from bench.pictures import PALETTE
from bench.processes import set_apart
from bench.stage import Contestant, Stage, stage

RUNS_KEPT: Final = 6
LABELLED_US_MIN: Final = 5.0
SAMPLES_A_SECOND: Final = 200
SAMPLED_SECONDS_MIN: Final = 8.0
MARGIN_S: Final = 1.0

PARTS: Final = {
    "driver": r"/asyncpg/|/engine/postgres/|/engine/ledger/(journal|statements)\.",
    "encode": r"/engine/api/answers\.|(^|/)ext/answer\.pxi$|/orjson/",
    "decode": (
        r"/engine/(http/(bodies|plain|tidying|validation)\.|schemas/|commands/identity\.)"
        r"|(^|/)ext/(plain|request)\.|/msgspec/"
    ),
    "ledger": r"/engine/ledger/|(^|/)ext/\w+\.(c|pyx|pxi)$",
    "http": r"/engine/http/(response|fast_path)\.|/(aiohttp|multidict|yarl|propcache|frozenlist)/",
    "handler": r"/engine/(?!__main__|cli|app)",
}
"""Of which part a frame is, by the path of its file; the first that fits. Others are nobody's."""
PATTERNS: Final = {part: re.compile(pattern) for part, pattern in PARTS.items()}
NOBODY: Final = "http"
ABOUT: Final = {
    "http": "HTTP, event loop, sockets",
    "handler": "door and handler",
    "decode": "decode and check",
    "ledger": "ledger: waiting room, lane, core",
    "encode": "encode the answer",
    "driver": "driver: journal, asyncpg",
    "postgres": "PostgreSQL",
}
IDLE: Final = re.compile(r"(epoll_p?wait|select|poll)\b[^;]*$")
FRAME: Final = re.compile(r"^.* \((?P<file>[^()]*?)(:\d+)?\)$")
NO_PY_SPY: Final = (
    "py-spy is not there: install it (it is in the extra `bench`), or run `make bench`."
)


def part_of(stack: str) -> str | None:
    """Return the part that a stack (outermost first) belongs to, None where it only waits."""
    if IDLE.search(stack):
        return None
    for frame in reversed(stack.split(";")):
        found = FRAME.match(frame)
        if found is None:
            continue
        for part, pattern in PATTERNS.items():
            if pattern.search(found["file"]):
                return part
    return NOBODY


def shares_of(collapsed: str) -> dict[str, float]:
    """Return the share of each part in samples that py-spy wrote as collapsed stacks."""
    counts: Counter[str] = Counter()
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        part = part_of(stack)
        if part is not None:
            counts[part] += int(count)
    total = counts.total()
    if total == 0:
        raise RuntimeError("py-spy took no sample of the engine at work")
    return {part: counts[part] / total for part in PARTS} | {"samples": total}


def sampled(stage: Stage, engine: Contestant, py_spy: str) -> dict[str, float]:
    """Drive the engine while py-spy looks on; return the shares of its parts."""
    seconds = max(SAMPLED_SECONDS_MIN, stage.seconds)
    errors: list[Exception] = []

    def drive() -> None:
        try:
            options = ("--per-second-max", "10000")
            stage.run(engine, *options, seconds=seconds + 2 * MARGIN_S)
        except Exception as error:  # noqa: BLE001 - told by the thread that waits for it
            errors.append(error)

    driver = threading.Thread(target=drive)
    started = engine.operations()
    driver.start()
    while driver.is_alive() and engine.operations() == started:
        driver.join(0.1)
    with tempfile.TemporaryDirectory(prefix="leal-profile-") as folder:
        written = Path(folder) / "stacks.txt"
        command = [
            *(py_spy, "record", "--native", "--full-filenames", "--format", "raw"),
            *("--rate", str(SAMPLES_A_SECOND), "--duration", str(round(seconds))),
            *("--pid", str(engine.pid), "--output", str(written)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        driver.join()
        if errors:
            raise errors[0]
        if done.returncode != 0:
            raise SystemExit(
                f"py-spy could not look at the engine: {done.stderr.strip()[-300:]}\n"
                "Run as root, or allow it: sysctl kernel.yama.ptrace_scope=0"
            )
        return shares_of(written.read_text())


def cost(rounds: list[dict[str, Any]], shares: dict[str, float]) -> dict[str, float]:
    """Return the CPU µs of a sale by part, in the order of ABOUT."""
    spent = [one["engine"]["cpu_us_per_operation"] for one in rounds]
    server = median(one["server"] for one in spent)
    parts = {part: share * server for part, share in shares.items() if part in PARTS}
    parts["postgres"] = median(one["postgres"] for one in spent)
    return {part: parts[part] for part in ABOUT}


def show(run: dict[str, Any], console: Console) -> None:
    """Print the parts of one run."""
    total = sum(run["parts"].values())
    table = Table("part", "CPU µs", "share", title=f"a durable sale: {total:.0f} µs of CPU")
    for part, spent in run["parts"].items():
        table.add_row(ABOUT[part], f"{spent:.1f}", f"{spent / total:.0%}")
    console.print(table)
    console.print(f"{run['samples']:,.0f} samples; batches of {run['batch_operations']:.0f}")


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw the runs that are kept as stacked bars, oldest first."""
    runs = found["runs"]
    title = "CPU time of a durable sale, by part"
    with pictures.picture(path, found, title, size=(9.0, 5.6)) as (axes,):
        floor = [0.0] * len(runs)
        for (part, label), colour in zip(ABOUT.items(), PALETTE, strict=False):
            spent = [run["parts"].get(part, 0.0) for run in runs]
            axes.bar(range(len(runs)), spent, 0.55, floor, color=colour, label=label, zorder=2)
            for at, (height, low) in enumerate(zip(spent, floor, strict=True)):
                if height < LABELLED_US_MIN:
                    continue
                axes.annotate(f"{height:.0f}", (at, low + height / 2), ha="center", va="center")
            floor = [low + height for low, height in zip(floor, spent, strict=True)]
        labels = [f"{run['at'][:16].replace('T', ' ')}\n{run['commit']}" for run in runs]
        axes.set_xticks(range(len(runs)), labels, fontsize=8)
        axes.set_xlim(-0.6, len(runs) + 0.9)
        axes.set_ylabel("CPU µs")
        axes.legend(fontsize=8, frameon=False, loc="center right", reverse=True)


def earlier(folder: Path) -> list[dict[str, Any]]:
    """Return the runs that are kept in a folder."""
    path = folder / "profile.json"
    runs: list[dict[str, Any]] = orjson.loads(path.read_bytes())["runs"] if path.exists() else []
    return runs


def main() -> None:
    """Run, show a table, and write the figures and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    console = report.console()
    py_spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if py_spy is None:
        sys.exit(NO_PY_SPY)
    with stage(console) as made:
        made.seconds, made.connections = options.seconds, options.connections
        with made.engine() as engine:
            rounds = made.rounds([engine], options.rounds, rehearsed=True)
            set_apart(engine.pid, [made.postgres_pid])
            shares = sampled(made, engine, py_spy)
        about = report.conditions(made, options.rounds)
    run = {
        "at": about["at"],
        "commit": about["versions"].get("commit", "unknown"),
        "parts": cost(rounds, shares),
        "samples": shares["samples"],
        "batch_operations": median(one["engine"]["batch_operations"] for one in rounds),
        "per_second": report.spread([one["engine"]["per_second"] for one in rounds]),
    }
    found = about | {"runs": [*earlier(options.results), run][-RUNS_KEPT:], "rounds": rounds}
    show(run, console)
    draw(found, options.results / "profile.png")
    report.save("profile", found, options.results, console)


if __name__ == "__main__":
    main()

"""Bulk uploads beside single calls: the same sales, on one engine, in one run.

Rounds are interleaved, so that a noisy neighbour hits both alike; what counts are the ratios within
a round. Single calls come over 64 connections; uploads of 1 000 items one at a time, and as many at
once as a worker takes. The books are audited at the end.

    python -m bench.bulk [--rounds 5] [--seconds 4]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import report
from bench.stage import Contestant, stage
from bench.workload import UPLOAD_ITEMS
from engine.settings import Settings

UPLOADS_PER_SECOND_MAX: Final = 45
AT_ONCE: Final = Settings().bulk_uploads_max
TARGET: Final = 3.0
"""How many times faster than single calls an upload shall be."""


def contestants_of(engine: Contestant) -> list[Contestant]:
    """The same engine, driven in three ways."""
    uploads = ["--stream", "uploads", "--per-second-max", str(UPLOADS_PER_SECOND_MAX)]
    return [
        engine.driven("single"),
        *(
            engine.driven(f"bulk_{count}", *uploads, "--connections", str(count))
            for count in (1, AT_ONCE)
        ),
    ]


def items_per_second(name: str, figures: dict[str, Any]) -> float:
    """Return how many sales a second a run came to."""
    per_request = 1 if name == "single" else UPLOAD_ITEMS
    return float(figures["per_second"]) * per_request


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians over the rounds; a ratio is taken within each round."""
    speeds = {name: [items_per_second(name, one[name]) for one in rounds] for name in rounds[0]}
    found: dict[str, Any] = {
        name: {"items_per_second": report.spread(of_rounds)} for name, of_rounds in speeds.items()
    }
    for name in (name for name in speeds if name != "single"):
        pairs = zip(speeds[name], speeds["single"], strict=True)
        found[name]["ratio"] = report.spread([one / other for one, other in pairs])
    return found


def show(found: dict[str, Any], console: Console) -> None:
    """Show a table, and what is asked for."""
    table = Table("run", "items a second", "÷ single calls", title="accumulations, durable")
    for name, facts in found.items():
        ratio = report.told(facts["ratio"]) if "ratio" in facts else ""
        table.add_row(name, report.told(facts["items_per_second"], ",.0f"), ratio)
    console.print(table)
    console.print(f"Asked for: {TARGET:g} times as many as by single calls.")


def main() -> None:
    """Run, show a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=64, help="of the single calls")
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    console = report.console()
    with stage(console) as made:
        made.seconds, made.connections = options.seconds, options.connections
        with made.engine() as engine:
            rounds = made.rounds(contestants_of(engine), options.rounds)
        about = report.conditions(made, options.rounds)
    found = about | {"summary": summary(rounds), "rounds": rounds}
    show(found["summary"], console)
    report.save("bulk", found, options.results, console)


if __name__ == "__main__":
    main()

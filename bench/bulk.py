"""Bulk uploads beside single calls: the same sales, on one engine, in one run.

Rounds are interleaved, so that a noisy neighbour hits both alike; what counts are the ratios within
a round. Single calls come over 64 connections; uploads of 1 000 items one at a time, and as many at
once as a worker takes. The books are audited at the end.

    python -m bench.bulk [--rounds 5] [--seconds 4]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from bench.side_by_side import Contestant, engine_alone, rounds
from bench.workload import UPLOAD_ITEMS
from engine.settings import Settings

RESULTS: Final = Path(__file__).parent / "results"
UPLOADS_PER_SECOND_MAX: Final = 45
AT_ONCE: Final = Settings().bulk_uploads_max
TARGET: Final = 3.0
"""How many times faster than single calls an upload shall be."""


def contestants_of(served: Contestant) -> list[Contestant]:
    """The same engine, driven in three ways."""
    uploads = ["--stream", "uploads", "--per-second-max", str(UPLOADS_PER_SECOND_MAX)]
    return [
        Contestant("single", served.url, served.pid, [], has_metrics=True),
        *(
            Contestant(
                f"bulk_{count}",
                served.url,
                served.pid,
                [*uploads, "--connections", str(count)],
                has_metrics=True,
            )
            for count in (1, AT_ONCE)
        ),
    ]


def items_per_second(name: str, figures: dict[str, Any]) -> float:
    """Return how many sales a second a run came to."""
    per_request = 1 if name == "single" else UPLOAD_ITEMS
    return float(figures["per_second"]) * per_request


def show(found: list[dict[str, Any]], console: Console) -> dict[str, Any]:
    """Show a table of the rounds; return the medians and the ratios."""
    names = list(found[0])
    table = Table(title="accumulations a second, durable")
    for name in ("round", *names, *(f"{name} ÷ single" for name in names[1:])):
        table.add_column(name, justify="right")
    ratios: dict[str, list[float]] = {name: [] for name in names[1:]}
    for number, results in enumerate(found, 1):
        speeds = {name: items_per_second(name, figures) for name, figures in results.items()}
        for name, values in ratios.items():
            values.append(speeds[name] / speeds["single"])
        table.add_row(
            str(number),
            *(f"{speeds[name]:,.0f}" for name in names),
            *(f"{values[-1]:.2f}" for values in ratios.values()),
        )
    console.print(table)
    summary: dict[str, Any] = {
        name: {"median": median(values), "worst": min(values), "best": max(values)}
        for name, values in ratios.items()
    }
    for name, ratio in summary.items():
        console.print(
            f"{name} ÷ single: {ratio['median']:.2f} ({ratio['worst']:.2f} … {ratio['best']:.2f}),"
            f" asked for: {TARGET:g}"
        )
    return summary


def main() -> None:
    """Run, show a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warm", type=float, default=1.0)
    parser.add_argument("--connections", type=int, default=64, help="of the single calls")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    console = Console()
    with engine_alone(options, console) as (bench, served, progress, about):
        found = rounds(bench, contestants_of(served), options.rounds, progress)
    summary = show(found, console)
    figures = about | {"summary": summary, "rounds": found}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "bulk.json").write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    if about["audit"]["exit_code"] != 0:
        console.print("[red]The books do not balance.[/red]")
        sys.exit(1)


if __name__ == "__main__":
    main()

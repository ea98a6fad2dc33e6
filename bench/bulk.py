"""Bulk uploads beside single calls and beside a bare COPY of such rows, in one run.

Rounds are interleaved, so that a noisy neighbour hits all alike; what counts are the ratios within
a round. Single calls come over 64 connections; uploads of 1 000 items one at a time, and as many at
once as a worker takes. The books are audited at the end.

`copy` is the floor: one asyncpg connection copies rows that were made before the clock starts into
a journal with the same indexes, 512 sales a commit, and nothing else. Its sales are all of one
brand that issues coins, two postings each; so are those of the uploads that it is compared with.

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

COPY_TARGET: Final = 0.5
"""How much of the rate of a bare COPY an upload of the same rows shall have."""


def contestants_of(engine: Contestant, floor: str) -> list[Contestant]:
    """The same engine, driven in four ways, and a bare COPY into the database `floor`."""
    uploads = ["--stream", "uploads", "--per-second-max", str(UPLOADS_PER_SECOND_MAX)]
    at_once = (*uploads, "--connections", str(AT_ONCE))
    return [
        engine.driven("single"),
        engine.driven("bulk_1", *uploads, "--connections", "1"),
        engine.driven(f"bulk_{AT_ONCE}", *at_once),
        engine.driven(f"bulk_{AT_ONCE}_one_brand", *at_once, "--one-brand"),
        Contestant("copy", ("bench.contestants.copying", "--database-url", floor)),
    ]


def items_per_second(name: str, figures: dict[str, Any]) -> float:
    """Return how many sales a second a run came to."""
    per_request = UPLOAD_ITEMS if name.startswith("bulk") else 1
    return float(figures["per_second"]) * per_request


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians over the rounds; a ratio is taken within each round."""
    speeds = {name: [items_per_second(name, one[name]) for one in rounds] for name in rounds[0]}
    found: dict[str, Any] = {
        name: {"items_per_second": report.spread(of_rounds)} for name, of_rounds in speeds.items()
    }
    for name, of_rounds in speeds.items():
        other = "copy" if name.endswith("one_brand") else "single"
        if name.startswith("bulk"):
            ratios = [one / two for one, two in zip(of_rounds, speeds[other], strict=True)]
            found[name]["copy_ratio" if other == "copy" else "ratio"] = report.spread(ratios)
    return found


def show(found: dict[str, Any], console: Console) -> None:
    """Show a table, and what is asked for."""
    table = Table(
        *("run", "items a second", "÷ single calls", "÷ COPY"), title="accumulations, durable"
    )
    for name, facts in found.items():
        ratios = (
            report.told(facts[ratio]) if ratio in facts else "" for ratio in ("ratio", "copy_ratio")
        )
        table.add_row(name, report.told(facts["items_per_second"], ",.0f"), *ratios)
    console.print(table)
    console.print(
        f"Asked for: {TARGET:g} times as many as by single calls, {COPY_TARGET:g} of a bare COPY."
    )


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
        floor = made.database("copying", template="leal")
        with made.engine() as engine:
            rounds = made.rounds(contestants_of(engine, floor), options.rounds)
        about = report.conditions(made, options.rounds)
    found = about | {"summary": summary(rounds), "rounds": rounds}
    show(found["summary"], console)
    report.save("bulk", found, options.results, console)


if __name__ == "__main__":
    main()

"""Two workers that share every customer: how often an operation is tried before it is durable.

The kernel hands connections to the workers, so all customers come to both of them, and who is in a
batch of one may have been moved on by the other. Sales of 10 000 customers by Zipf 1.2, beside one
worker with the same traffic on a database of its own.

    python -m bench.workers [--rounds 5] [--seconds 4]
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import pictures, report
from bench.pictures import BLUES, RED
from bench.stage import stage

CUSTOMERS: Final = 10_000
ZIPF: Final = 1.2
TRIES_TARGET: Final = 1.3
TRIES_MAX: Final = 5
WORKERS: Final = (1, 2)


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the rounds came to, and how many operations took how many tries."""
    names = list(rounds[0])
    tries: dict[str, Counter[str]] = {name: Counter() for name in names}
    for one in rounds:
        for name in names:
            tries[name].update(one[name]["tries"])
    return {
        "contestants": {name: report.contestant([one[name] for one in rounds]) for name in names},
        "ratios": report.ratios(rounds, [("workers_2", "workers_1")]),
        "tries": {name: dict(found) for name, found in tries.items()},
        "given_up": {name: sum(one[name]["shed"] for one in rounds) for name in names},
    }


def show(found: dict[str, Any], console: Console) -> None:
    """Print a table, and what is asked for."""
    table = Table("engine", "per s", "batch", "tries a commit", "operations by tries", "given up")
    for name, facts in found["contestants"].items():
        by_tries = ", ".join(f"{n}: {count:,.0f}" for n, count in found["tries"][name].items())
        batch = f"{facts['batch_operations']['median']:.0f}"
        rate, tries = facts["per_second"], facts["tries_per_commit"]
        given_up = f"{found['given_up'][name]:,}"
        table.add_row(
            name, report.told(rate, ",.0f"), batch, report.told(tries), by_tries, given_up
        )
    console.print(table)
    console.print(
        f"two workers ÷ one: {report.told(found['ratios']['workers_2/workers_1'])};"
        f" asked for: at most {TRIES_TARGET} tries a commit, none above {TRIES_MAX}."
    )


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw the rates, the tries a commit, and the share of operations by their tries."""
    one, rounds = found["summary"], found["rounds"]
    names = list(one["contestants"])
    title = f"Workers without affinity: Zipf {ZIPF} over {CUSTOMERS:,} customers"
    with pictures.picture(path, found, title, columns=3, size=(12.0, 4.6)) as (rate, tries, share):
        for axes, key, form in ((rate, "per_second", ",.0f"), (tries, "tries_per_commit", ".2f")):
            medians = [one["contestants"][name][key]["median"] for name in names]
            dots = [[r[name][key] for r in rounds] for name in names]
            pictures.bars(axes, names, medians, dots, [BLUES[0], BLUES[4]], form)
        rate.set_ylabel("sales a second")
        tries.set_ylabel("tries a commit")
        tries.axhline(TRIES_TARGET, color=RED, linewidth=0.8, linestyle="--")
        counts = one["tries"][names[-1]]
        shares = [count / sum(counts.values()) for count in counts.values()]
        share.bar(list(counts), shares, color=BLUES[4])
        share.set_xlabel("tries, two workers")
        share.set_ylabel("share of operations")


def main() -> None:
    """Run, show a table, and write the figures and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    console = report.console()
    with stage(console, customers=CUSTOMERS) as made:
        made.seconds, made.connections = options.seconds, options.connections
        for count in WORKERS:
            made.database(f"workers_{count}", template="leal")
        with (
            made.engine("workers_1", database="workers_1") as alone,
            made.engine("workers_2", database="workers_2", workers=2) as both,
        ):
            driven = [
                one.driven(one.name, "--zipf-customers", str(ZIPF), "--shed")
                for one in (alone, both)
            ]
            rounds = made.rounds(driven, options.rounds, rehearsed=True)
        about = report.conditions(made, options.rounds)
    found = about | {"summary": summary(rounds), "rounds": rounds}
    show(found["summary"], console)
    draw(found, options.results / "workers.png")
    report.save("workers", found, options.results, console)


if __name__ == "__main__":
    main()

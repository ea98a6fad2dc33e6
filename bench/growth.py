"""How cost grows: with the journal, with open lots, with skew, with connections.

Each question is a group of contestants that take turns: engines with one worker on databases of one
server that differ in one thing, or one engine that is driven in several ways. Ratios are to the
first of a group, within a round.

    python -m bench.growth [--full] [--groups rows lots] [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import pictures, report
from bench.history import History
from bench.pictures import BLUES, RED
from bench.stage import Contestant, Stage, stage

ROWS: Final = {"rows_1m": 1_000_000}
ROWS_FULL: Final = ROWS | {"rows_10m": 10_000_000}
LOTS: Final = (1, 20, 300)
LOTS_CUSTOMERS: Final = 50
"""So few, for each of their wallets has a row for every lot."""
LOTS_ROWS_A_WALLET: Final = 1.1
CONNECTIONS: Final = (64, 1, 4, 16, 256, 512)

Group = contextlib.AbstractContextManager[list[Contestant]]


@dataclass(frozen=True, slots=True)
class Question:
    """What a group answers: its contestants, the first of which is the base; what is asked for."""

    about: str
    contestants: Callable[[Stage, bool], Group]
    target: tuple[str, float] | None = None


@contextlib.contextmanager
def by_rows(stage: Stage, full: bool) -> Iterator[list[Contestant]]:
    """The same traffic on an empty journal and on long ones."""
    stage.database("empty", template="leal")
    for name, rows in (ROWS_FULL if full else ROWS).items():
        grown(stage, name, History(rows))
    with engines(stage, ["empty", *(ROWS_FULL if full else ROWS)]) as found:
        yield found


@contextlib.contextmanager
def by_lots(stage: Stage, full: bool) -> Iterator[list[Contestant]]:
    """The same traffic on wallets with few and with many open lots."""
    del full
    names = [f"lots_{lots}" for lots in LOTS]
    for name, lots in zip(names, LOTS, strict=True):
        # Three brands and their coins: the turns that give each wallet its lots, and some more.
        grown(stage, name, History(lots_rows(lots), lots, LOTS_CUSTOMERS))
    with engines(stage, names) as found:
        yield [one.driven(one.name, "--customers", str(LOTS_CUSTOMERS)) for one in found]


def lots_rows(lots: int) -> int:
    """Return how many rows give every wallet so many lots, at three visits of two rows a lot."""
    return int(LOTS_CUSTOMERS * 3 * 2 * lots * LOTS_ROWS_A_WALLET)


@contextlib.contextmanager
def by_skew(stage: Stage, full: bool) -> Iterator[list[Contestant]]:
    """One engine; customers and brands all alike, and by Zipf's law."""
    del full
    stage.database("skew", template="leal")
    with stage.engine("skew", database="skew") as engine:
        yield [
            engine.driven(
                *(f"zipf_{exponent:g}", "--zipf-customers", str(exponent)),
                *("--zipf-brands", str(exponent)),
            )
            for exponent in (0.0, 1.0, 2.0)
        ]


@contextlib.contextmanager
def by_brands(stage: Stage, full: bool) -> Iterator[list[Contestant]]:
    """One engine; the same work over nine issuers, and all of it on one of them."""
    del full
    stage.database("brands", template="leal")
    with stage.engine("brands", database="brands") as engine:
        yield [
            engine.driven("issuers", "--issuers-only"),
            engine.driven("one_brand", "--one-brand"),
        ]


@contextlib.contextmanager
def by_connections(stage: Stage, full: bool) -> Iterator[list[Contestant]]:
    """One engine; from one connection to 512."""
    del full
    stage.database("connections", template="leal")
    with stage.engine("connections", database="connections") as engine:
        yield [
            engine.driven(f"connections_{number}", "--connections", str(number))
            for number in CONNECTIONS
        ]


QUESTIONS: Final = {
    "rows": Question("rows in the journal", by_rows, ("rows_10m", 0.9)),
    "lots": Question("open lots a wallet", by_lots),
    "skew": Question("Zipf's exponent over customers and brands", by_skew),
    "brands": Question("one brand with all traffic, beside nine", by_brands, ("one_brand", 0.97)),
    "connections": Question("connections", by_connections),
}


def grown(stage: Stage, name: str, history: History) -> None:
    """Make a copy of the network that has a past."""
    dsn = stage.database(name, template="leal")
    task = stage.progress.add_task(f"{name}: rows", total=history.rows)
    started = time.perf_counter()
    rows = history.load(dsn, stage.demo, lambda count: stage.progress.advance(task, count))
    seconds = time.perf_counter() - started
    stage.progress.console.print(f"{name}: {rows:,} rows in {seconds:.0f} s")


@contextlib.contextmanager
def engines(stage: Stage, databases: list[str]) -> Iterator[list[Contestant]]:
    """An engine on each of the databases, named after it."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(stage.engine(name, database=name)) for name in databases]


def summary(about: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a group came to: medians, and ratios to its first."""
    base, *others = rounds[0]
    return {
        "about": about,
        "base": base,
        "contestants": {name: report.contestant([r[name] for r in rounds]) for name in rounds[0]},
        "ratios": {
            name: report.spread([r[name]["per_second"] / r[base]["per_second"] for r in rounds])
            for name in others
        },
        "cpu_ratios": {
            name: report.spread(
                [report.serving_cpu(r[base]) / report.serving_cpu(r[name]) for r in rounds]
            )
            for name in others
        },
    }


def show(found: dict[str, Any], console: Console) -> None:
    """Print a table of each group."""
    for group, one in found["summary"].items():
        table = Table(title=one["about"])
        for heading in ("", "per s", "batch", "server + postgres µs", f"÷ {one['base']}", "by CPU"):
            table.add_column(heading, justify="right")
        for name, facts in one["contestants"].items():
            cpu = facts["cpu_us_per_operation"]
            ratios = [one[kind].get(name) for kind in ("ratios", "cpu_ratios")]
            table.add_row(
                name,
                report.told(facts["per_second"], ",.0f"),
                f"{facts['batch_operations']['median']:.0f}",
                f"{cpu['server']:.0f} + {cpu['postgres']:.0f}",
                *("" if ratio is None else report.told(ratio) for ratio in ratios),
            )
        console.print(table)
        target = QUESTIONS[group].target
        if target is not None and target[0] in one["ratios"]:
            reached = one["ratios"][target[0]]["median"]
            console.print(f"{target[0]} ÷ {one['base']}: {reached:.2f}, asked for: ≥ {target[1]}")


def draw(found: dict[str, Any], folder: Path) -> None:
    """Draw a picture of each group: the rates, and the ratios to its first."""
    for group, one in found["summary"].items():
        names, rounds = list(one["contestants"]), found["rounds"][group]
        path, base = folder / f"growth_{group}.png", one["base"]
        title = f"Durable sales a second by {one['about']}"
        with pictures.picture(path, found, title, columns=2, size=(11.0, 4.8)) as (rates, ratios):
            pictures.bars(
                rates,
                names,
                [one["contestants"][name]["per_second"]["median"] for name in names],
                [[r[name]["per_second"] for r in rounds] for name in names],
                [BLUES[0]],
            )
            rates.set_ylabel("sales a second")
            pictures.bars(
                ratios,
                names[1:],
                [one["ratios"][name]["median"] for name in names[1:]],
                [
                    [r[name]["per_second"] / r[base]["per_second"] for r in rounds]
                    for name in names[1:]
                ],
                [BLUES[1]],
                ".2f",
            )
            ratios.set_ylabel(f"÷ {base}, within a round")
            ratios.axhline(1.0, color=BLUES[4], linewidth=0.8)
            if (target := QUESTIONS[group].target) is not None:
                ratios.axhline(target[1], color=RED, linewidth=0.8, linestyle="--")


def main() -> None:
    """Run the groups, show tables, and write the figures and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="10 million rows too")
    parser.add_argument("--quick", action="store_true", help="3 short rounds")
    parser.add_argument("--groups", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    count = options.rounds or (3 if options.quick else 5)
    console = report.console()
    rounds: dict[str, list[dict[str, Any]]] = {}
    with stage(console) as made:
        made.seconds = options.seconds or (1.5 if options.quick else 4.0)
        for group in options.groups:
            with QUESTIONS[group].contestants(made, options.full) as contestants:
                rounds[group] = made.rounds(contestants, count, rehearsed=True)
        about = report.conditions(made, count)
    found = about | {
        "summary": {group: summary(QUESTIONS[group].about, one) for group, one in rounds.items()},
        "rounds": rounds,
    }
    show(found, console)
    draw(found, options.results)
    report.save("growth", found, options.results, console)


if __name__ == "__main__":
    main()

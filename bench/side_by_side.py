"""The engine beside what its users would otherwise write or run, on one machine in one run.

Bare aiohttp, a textbook row-lock service, FastAPI with SQLAlchemy, pgbench, a bare COPY of the same
rows, and the engine with one worker and with two, all on one PostgreSQL, in turn.

    python -m bench.side_by_side [--quick] [--connections 1 8 64 512]
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import pictures, report
from bench.contestants import pgbench
from bench.pictures import BLUES, GREEN, GREY, ORANGE, SAND
from bench.stage import Contestant, Stage, stage

POOL_SIZES: Final = (8, 16, 32)
POOL_SECONDS: Final = 1.0
CANNED_OPTIONS: Final = ("--per-second-max", "120000", "--warm", "0.2")
SLOW_OPTIONS: Final = ("--per-second-max", "5000")
POOLED: Final = {"textbook": "textbook", "fastapi": "fastapi_sqlalchemy"}
"""The services that have a pool, and their modules."""
WITHOUT_CLIENT: Final = ("pgbench", "copy")
"""Those that connections say nothing of."""

LABELS: Final = {
    "bare": "bare aiohttp\n(no database)",
    "textbook": "textbook\naiohttp +\nasyncpg",
    "fastapi": "FastAPI +\nSQLAlchemy",
    "pgbench": "pgbench -N\n16 clients",
    "engine": "engine\n1 worker",
    "engine_2": "engine\n2 workers",
    "issuers": "engine\n9 issuers",
    "one_brand": "engine\n1 issuer",
    "copy": "bare COPY\n512 a commit",
}
COLOURS: Final = {
    "bare": GREY,
    "textbook": ORANGE,
    "fastapi": SAND,
    "pgbench": GREEN,
    "engine": BLUES[0],
    "engine_2": BLUES[4],
    "issuers": BLUES[1],
    "one_brand": BLUES[2],
    "copy": GREY,
}
RATIOS: Final = (
    ("engine", "textbook"),
    ("engine", "fastapi"),
    ("engine", "pgbench"),
    ("engine", "bare"),
    ("engine_2", "engine"),
    ("engine", "copy"),
    ("one_brand", "issuers"),
)


def pooled(stage: Stage, name: str, pool: int) -> contextlib.AbstractContextManager[Contestant]:
    """A service with one transaction for each request, on a pool of that many connections."""
    options = ["--demo", str(stage.demo), "--pool", str(pool)]
    return stage.served(name, POOLED[name], *options, "--database-url", stage.dsn_of(name))


def best_pool(stage: Stage, name: str) -> dict[int, float]:
    """Try pool sizes, twice; return the best rate of each, the best size first.

    The best, not the mean: whatever else the machine does can only slow a run down.
    """
    task = stage.progress.add_task(f"{name}: which pool", total=2 * len(POOL_SIZES))
    reached = dict.fromkeys(POOL_SIZES, 0.0)
    for size in (*POOL_SIZES, *POOL_SIZES):
        with pooled(stage, name, size) as contestant:
            for _ in ("statements are prepared", "and used"):
                figures = stage.run(contestant, *SLOW_OPTIONS, seconds=POOL_SECONDS)
        reached[size] = max(reached[size], figures["per_second"])
        stage.progress.advance(task)
    return dict(sorted(reached.items(), key=lambda item: -item[1]))


@contextlib.contextmanager
def servers(stage: Stage, pools: dict[str, dict[int, float]]) -> Iterator[list[Contestant]]:
    """Start all contestants, in the order in which they are shown."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        found = [enter(stage.served("bare", "bare"))]
        for name, reached in pools.items():
            slow = enter(pooled(stage, name, next(iter(reached))))
            found.append(slow.driven(name, *SLOW_OPTIONS))
        if pgbench.found() is not None:
            found.append(_alone("pgbench", "pgbench", stage.dsn_of("pgbench")))
        engine = enter(stage.engine())
        found += [
            engine,
            enter(stage.engine("engine_2", database="leal_2", workers=2)),
            engine.driven("issuers", "--issuers-only"),
            engine.driven("one_brand", "--one-brand"),
            _alone("copy", "copying", stage.dsn_of("copying")),
        ]
        yield found


def _alone(name: str, module: str, dsn: str) -> Contestant:
    """A contestant that is no server: it drives PostgreSQL by itself."""
    return Contestant(name, (f"bench.contestants.{module}", "--database-url", dsn))


def prepare(stage: Stage, console: Console) -> None:
    """Make the databases of all contestants."""
    for name in ("leal_2", "copying"):
        stage.database(name, template="leal")
    for name in POOLED:
        stage.database(name)
    if pgbench.found() is None:
        console.print(f"[yellow]pgbench is left out.[/yellow] {pgbench.MISSING}")
        return
    dsn = stage.database("pgbench")
    module = "bench.contestants.pgbench"
    command = [sys.executable, "-m", module, "--database-url", dsn, "--initialise"]
    subprocess.run(command, check=True)


def compare(stage: Stage, connections: Sequence[int], count: int) -> dict[str, Any]:
    """Run everything; return the figures, by the number of connections."""
    stage.connections = connections[0]
    with stage.served("canned", "canned") as canned:
        ceiling = stage.run(canned.driven("canned", *CANNED_OPTIONS), seconds=1.0)
    pools = {name: best_pool(stage, name) for name in POOLED}
    sweep: dict[int, Any] = {}
    with servers(stage, pools) as contestants:
        for number in connections:
            stage.connections = number
            taking = [one for one in contestants if not sweep or one.name not in WITHOUT_CLIENT]
            sweep[number] = stage.rounds(taking, count, rehearsed=not sweep)
    stage.connections = connections[0]
    return {"client_ceiling": ceiling, "pools": pools, "sweep": sweep}


def summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return medians over the rounds; a ratio is taken within each round, then its median."""
    return {
        "contestants": {
            name: report.contestant([one[name] for one in rounds]) for name in rounds[0]
        },
        "ratios": report.ratios(rounds, RATIOS),
        "cpu_ratios": {
            f"{one}/{other}": report.spread(
                [report.serving_cpu(r[other]) / report.serving_cpu(r[one]) for r in rounds]
            )
            for one, other in RATIOS
            if one in rounds[0] and other in rounds[0]
        },
    }


def show(found: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    for connections, one in found["summary"].items():
        table = Table(
            title=f"{connections} connections",
            caption="server, postgres (with its backends), client: CPU µs of an operation",
        )
        table.add_column("contestant")
        for heading in ("per s", "p50 ms", "p99 ms", "batch", "server", "postgres", "client"):
            table.add_column(heading, justify="right", no_wrap=True)
        for name, facts in one["contestants"].items():
            cpu = facts["cpu_us_per_operation"]
            table.add_row(
                name,
                report.told(facts["per_second"], ",.0f"),
                f"{facts['latency_ms']['p50']:.1f}",
                f"{facts['latency_ms']['p99']:.1f}",
                f"{facts['batch_operations']['median']:.0f}" if "batch_operations" in facts else "",
                *(f"{cpu.get(part, 0):.0f}" for part in ("server", "postgres", "client")),
            )
        console.print(table)
        ratios = Table("", "per second", "per CPU second", title="Ratios, each within a round")
        for name in one["ratios"]:
            both = (report.told(one[kind][name]) for kind in ("ratios", "cpu_ratios"))
            ratios.add_row(name.replace("/", " ÷ "), *both)
        console.print(ratios)
    for name, reached in found["pools"].items():
        sizes = ", ".join(f"{size}: {rate:,.0f}" for size, rate in reached.items())
        console.print(f"{name} by pool size, per second: {sizes}; the best one was taken.")
    ceiling = found["client_ceiling"]["per_second"]
    console.print(f"The client alone reaches {ceiling:,.0f} per second.")


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw the medians as bars and the rounds as dots, for the first number of connections."""
    first = next(iter(found["summary"]))
    one, rounds = found["summary"][first], found["sweep"][first]
    names = list(one["contestants"])
    with pictures.picture(path, found, _headline(one["ratios"]), size=(11.0, 5.8)) as (axes,):
        pictures.bars(
            axes,
            [LABELS[name] for name in names],
            [one["contestants"][name]["per_second"]["median"] for name in names],
            [[r[name]["per_second"] for r in rounds] for name in names],
            [COLOURS[name] for name in names],
        )
        axes.set_ylabel("operations a second")


def draw_sweep(found: dict[str, Any], path: Path) -> None:
    """Draw the rate of each server over the number of connections."""
    sizes = list(found["summary"])
    title = "Operations a second by the number of connections"
    with pictures.picture(path, found, title) as (axes,):
        for name in found["summary"][sizes[-1]]["contestants"]:
            facts = [found["summary"][at]["contestants"][name]["per_second"] for at in sizes]
            label = LABELS[name].replace("\n", " ")
            axes.plot(sizes, [f["median"] for f in facts], "o-", color=COLOURS[name], label=label)
            low, high = [f["min"] for f in facts], [f["max"] for f in facts]
            axes.fill_between(sizes, low, high, color=COLOURS[name], alpha=0.15)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(at) for at in sizes])
        axes.set_xlabel("connections")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8, frameon=False)


def _headline(ratios: dict[str, Any]) -> str:
    def ratio(name: str) -> float:
        median: float = ratios[name]["median"]
        return median

    first = f"{ratio('engine/textbook'):.1f} × the textbook service,"
    first += f" {ratio('engine/fastapi'):.1f} × FastAPI with SQLAlchemy"
    if "engine/pgbench" in ratios:
        first += f", {ratio('engine/pgbench'):.1f} × pgbench -N"
    return (
        f"{first};\n{ratio('engine/bare'):.0%} of bare aiohttp; all on one issuer:"
        f" {ratio('one_brand/issuers'):.2f} × of spread over 9"
    )


def main() -> None:
    """Run, show tables, and write the figures and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 short rounds")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument(
        "--connections", type=int, nargs="+", default=[64], help="several make a sweep"
    )
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    count = options.rounds or (3 if options.quick else 5)
    console = report.console()
    with stage(console) as made:
        made.seconds = options.seconds or (1.2 if options.quick else 4.0)
        made.warm = 0.4 if options.quick else 1.0
        prepare(made, console)
        found = compare(made, options.connections, count)
        about = report.conditions(made, count)
    found = about | {"summary": {n: summary(one) for n, one in found["sweep"].items()}} | found
    show(found, console)
    draw(found, options.results / "side_by_side.png")
    if len(options.connections) > 1:
        draw_sweep(found, options.results / "connections.png")
    report.save("side_by_side", found, options.results, console)


if __name__ == "__main__":
    main()

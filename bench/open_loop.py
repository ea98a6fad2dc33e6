"""Latency against offered rate, verb by verb, in an open loop: up to the peak and past it.

The peak of a verb is measured first, in a closed loop of 64 connections. Then flows begin at
shares of that rate, each at its own moment whatever became of those before it; a flow's time runs
from that moment to its last answer, so that a stall is charged to everybody who came during it.
Past the peak the engine says that it is full: what it still does in time is its goodput.

    python -m bench.open_loop [--rounds 3] [--seconds 2.5] [--verbs till pay_qr]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import pictures, report
from bench.pictures import BLUES, GREY, ORANGE, PALETTE, RED
from bench.stage import Contestant, Stage, stage

VERBS: Final = {
    "accumulate": ("accumulations", "a sale"),
    "redeem": ("redemptions", "a reward for points"),
    "lookup": ("lookups", "a customer by document or phone"),
    "wallets": ("looks", "the wallets of a customer"),
    "pay_qr": ("qr_payments", "coins by QR: the app shows, the till takes"),
    "pay_code": ("code_payments", "coins by code: hold, code, confirm"),
    "till": ("tills", "a till: look-up, then the sale"),
}
"""The stream of each verb, and what a flow of it is."""

SHARES: Final = (0.25, 0.5, 0.75, 0.9, 1.1, 1.5)
"""Of the peak; 0.5 is what is asked about."""
HALF: Final = 0.5
P99_MS_MAX: Final = 25.0
P999_MS_MAX: Final = 100.0
TILL_P50_MS_MAX: Final = 15.0
PEAK_OPTIONS: Final = ("--per-second-max", "12000")
FUNDING_OPTIONS: Final = ("--stream", "funding", "--warm", "0")
FUNDING_SECONDS: Final = 30.0


def measured(
    stage: Stage, engine: Contestant, verbs: list[str], count: int
) -> dict[str, list[dict[str, Any]]]:
    """Run all verbs in turn, `count` times; return by verb what each round came to."""
    task = stage.progress.add_task("funding", total=count * len(verbs) * (1 + len(SHARES)))
    stage.run(engine.driven("funding", *FUNDING_OPTIONS), seconds=FUNDING_SECONDS)
    found: dict[str, list[dict[str, Any]]] = {verb: [] for verb in verbs}
    for number in range(count):
        for verb in verbs[:: -1 if number % 2 else 1]:
            stage.progress.update(task, description=f"round {number + 1}: {verb}")
            driven = engine.driven(verb, "--stream", VERBS[verb][0])
            peak = stage.run(driven, *PEAK_OPTIONS)
            stage.progress.advance(task)
            one: dict[str, Any] = {"peak_per_second": peak["per_second"], "shares": {}}
            for share in SHARES:
                rate = str(round(share * peak["per_second"], 1))
                one["shares"][share] = stage.run(driven, "--rate", rate)
                stage.progress.advance(task)
            found[verb].append(one)
    return found


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the spread of a verb's peak and, by share of it, of latencies and goodput."""
    return {
        "peak_per_second": report.spread([one["peak_per_second"] for one in rounds]),
        "shares": {share: _at([one["shares"][share] for one in rounds]) for share in SHARES},
    }


def _at(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the rounds came to at one share of the peak."""
    return {
        "offered_per_second": median(run["offered_per_second"] for run in runs),
        "good_per_second": report.spread([run["good_per_second"] for run in runs]),
        "shed": sum(run["shed"] for run in runs),
        "unanswered": sum(run["unanswered"] for run in runs),
        "begun_late_p99_ms": median(run["begun_late_ms"]["p99"] for run in runs),
        "latency_ms": {
            at: report.spread([run["latency_ms"][at] for run in runs])
            for at in ("p50", "p99", "p99.9")
        },
    }


def show(found: dict[str, Any], console: Console) -> None:
    """Print the latencies at half of the peak, and what happens past it."""
    table = Table(title="at half of the peak; median of the rounds (smallest … largest)")
    for heading in ("verb", "peak/s", "p50 ms", "p99 ms", "p99.9 ms", "good at 1.5 ×", "shed"):
        table.add_column(heading, justify="right")
    for verb, one in found["summary"].items():
        half, past = one["shares"][HALF], one["shares"][SHARES[-1]]
        table.add_row(
            verb,
            f"{one['peak_per_second']['median']:,.0f}",
            *(report.told(spread, ".1f") for spread in half["latency_ms"].values()),
            f"{past['good_per_second']['median']:,.0f}",
            f"{past['shed']:,}",
        )
    console.print(table)
    console.print(
        f"Asked for: p99 ≤ {P99_MS_MAX:g} ms and no p99.9 above {P999_MS_MAX:g} ms;"
        f" the till's p50 below {TILL_P50_MS_MAX:g} ms."
    )


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw a panel of latencies for each verb, and one of the goodput of all."""
    title = "Latency from the intended start, by offered rate (open loop; dashed: half of the peak)"
    with pictures.picture(path, found, title, rows=2, columns=4, size=(15.0, 7.6)) as panels:
        for (verb, one), axes in zip(found["summary"].items(), panels, strict=False):
            shares = one["shares"].values()
            rates = [at["offered_per_second"] for at in shares]
            for name, colour in (("p50", BLUES[2]), ("p99", BLUES[0]), ("p99.9", ORANGE)):
                spreads = [at["latency_ms"][name] for at in shares]
                axes.plot(rates, [s["median"] for s in spreads], "o-", color=colour, label=name)
                low, high = ([s[end] for s in spreads] for end in ("min", "max"))
                axes.fill_between(rates, low, high, color=colour, alpha=0.15)
            axes.axhline(P99_MS_MAX, color=RED, linewidth=0.8)
            axes.axvline(HALF * one["peak_per_second"]["median"], color=GREY, linestyle="--")
            axes.set_yscale("log")
            axes.set_ylabel("ms")
            axes.set_title(f"{verb}: {VERBS[verb][1]}", fontsize=9)
            axes.legend(fontsize=7, frameon=False, loc="upper left")
        goodput, *unused = panels[len(found["summary"]) :]
        _draw_goodput(found, goodput)
        for axes in unused:
            axes.set_visible(False)


def _draw_goodput(found: dict[str, Any], axes: Any) -> None:
    """Draw what is done of what is offered, both as shares of the peak."""
    axes.plot([0, max(SHARES)], [0, max(SHARES)], color=GREY, linestyle=":")
    for (verb, one), colour in zip(found["summary"].items(), PALETTE, strict=False):
        peak = one["peak_per_second"]["median"]
        good = [at["good_per_second"]["median"] / peak for at in one["shares"].values()]
        axes.plot(SHARES, good, "o-", color=colour, label=verb, markersize=3)
    axes.set_title("done in time by offered, both ÷ peak", fontsize=9)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False)


def main() -> None:
    """Run, show a table, and write the figures and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--connections", type=int, default=64, help="of the closed loop")
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=list(VERBS))
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    console = report.console()
    with stage(console) as made:
        made.seconds, made.warm, made.connections = options.seconds, 0.5, options.connections
        with made.engine() as engine:
            rounds = measured(made, engine, options.verbs, options.rounds)
        about = report.conditions(made, options.rounds)
    found = about | {"summary": {v: summary(one) for v, one in rounds.items()}, "rounds": rounds}
    show(found, console)
    draw(found, options.results / "open_loop.png")
    report.save("open_loop", found, options.results, console)


if __name__ == "__main__":
    main()

"""What a run side by side came to: medians, ratios, a table, a picture, and the conditions."""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

import asyncpg
import matplotlib as mpl
from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table

LABELS: Final = {
    "bare": "bare aiohttp\n(no database)",
    "textbook": "textbook, durable\naiohttp + asyncpg",
    "engine": "engine, durable\nover 30 brands",
    "issuers": "engine, durable\nover 9 issuers",
    "one_brand": "engine, durable\nall on one issuer",
}
COLOURS: Final = {
    "bare": "#b8bec6",
    "textbook": "#d98b5f",
    "engine": "#2f6f9f",
    "issuers": "#568fb9",
    "one_brand": "#7fb0d3",
}
RATIOS: Final = (
    ("engine", "textbook"),
    ("engine", "bare"),
    ("one_brand", "issuers"),
)
PACKAGES: Final = ("aiohttp", "asyncpg", "Cython", "msgspec", "orjson", "uvloop")


def conditions(connections: int, seconds: float, warm: float, dsn: str) -> dict[str, Any]:
    """Return where and how it was measured."""
    return where_and_when(asyncio.run(server_version(dsn))) | {
        "conditions": {
            "connections": connections,
            "seconds": seconds,
            "warm_seconds": warm,
            "loop": "closed: each connection sends its next request when answered",
            "workload": "sales with invoice numbers; 5 000 customers by Zipf 0.4, 30 brands by"
            " Zipf 1.0",
            "durability": "fsync, full_page_writes and synchronous_commit are on",
            "shared": "client, server and PostgreSQL share the machine; traffic is loopback",
        },
    }


def where_and_when(server: str) -> dict[str, Any]:
    """Return the time, the machine, and the versions; `server` is that of PostgreSQL."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions() | {"PostgreSQL": server},
    }


def machine() -> dict[str, Any]:
    """Return what this computer is."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of everything that matters, and the commit where there is one."""
    found = {"Python": platform.python_version(), "leal-engine": version("leal-engine")}
    found |= {package: version(package) for package in PACKAGES}
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found | ({"commit": commit.stdout.strip()} if commit.returncode == 0 else {})


async def server_version(dsn: str) -> str:
    """Return the version that PostgreSQL says it is."""
    connection = await asyncpg.connect(dsn)
    try:
        found: str = await connection.fetchval("show server_version")
        return found
    finally:
        await connection.close()


def summary(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return medians over the rounds; a ratio is taken within each round, then its median."""
    return {
        "contestants": {name: _contestant([one[name] for one in rounds]) for name in rounds[0]},
        "ratios": {
            f"{one}/{other}": _spread(
                [r[one]["per_second"] / r[other]["per_second"] for r in rounds]
            )
            for one, other in RATIOS
        },
        "cpu_ratios": {
            f"{one}/{other}": _spread([_cpu(r[other]) / _cpu(r[one]) for r in rounds])
            for one, other in RATIOS
        },
    }


def _contestant(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "per_second": _spread([run["per_second"] for run in runs]),
        "operations": sum(run["operations"] for run in runs),
        "latency_ms": {
            name: median(run["latency_ms"][name] for run in runs) for name in ("p50", "p99")
        },
        "cpu_us_per_operation": {
            name: median(run["cpu_us_per_operation"][name] for run in runs)
            for name in ("server", "postgres", "client")
        },
        "request_bytes": runs[0]["request_bytes"],
        "answer_bytes": runs[0]["answer_bytes"],
    }
    if "batch_operations" in runs[0]:
        found["batch_operations"] = median(run["batch_operations"] for run in runs)
    return found


def _cpu(run: dict[str, Any]) -> float:
    """CPU time of an operation on the serving side: of the server and of PostgreSQL."""
    cpu: dict[str, float] = run["cpu_us_per_operation"]
    return cpu["server"] + cpu["postgres"]


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def show(figures: dict[str, Any], console: Console) -> None:
    """Print the tables."""
    where, how = figures["machine"], figures["conditions"]
    rounds = len(figures["rounds"])
    table = Table(
        title=f"{rounds} rounds of {how['seconds']:g} s, {how['connections']} connections,"
        f" {where['cores']} cores of {where['cpu']}",
        caption="server, postgres (with its backends), client: µs of CPU time for each operation",
    )
    table.add_column("contestant")
    for heading in (
        "per s",
        "min … max",
        "p50 ms",
        "p99 ms",
        "batch",
        "server",
        "postgres",
        "client",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, facts in figures["summary"]["contestants"].items():
        rate, cpu = facts["per_second"], facts["cpu_us_per_operation"]
        table.add_row(
            name,
            f"{rate['median']:,.0f}",
            f"{rate['min']:,.0f} … {rate['max']:,.0f}",
            f"{facts['latency_ms']['p50']:.1f}",
            f"{facts['latency_ms']['p99']:.1f}",
            f"{facts['batch_operations']:.1f}" if "batch_operations" in facts else "",
            *(f"{cpu[part]:.0f}" for part in ("server", "postgres", "client")),
        )
    console.print(table)
    ratios = Table(title="Ratios, each within a round")
    for heading in ("", "per second", "min … max", "per CPU second", "min … max"):
        ratios.add_column(heading, justify="right")
    for name in figures["summary"]["ratios"]:
        both = [figures["summary"][kind][name] for kind in ("ratios", "cpu_ratios")]
        cells = [(f"{one['median']:.2f}", f"{one['min']:.2f} … {one['max']:.2f}") for one in both]
        ratios.add_row(name.replace("/", " / "), *cells[0], *cells[1])
    console.print(ratios)
    pools = ", ".join(f"{size}: {rate:,.0f}" for size, rate in figures["textbook_pools"].items())
    console.print(f"Textbook by pool size, per second: {pools}; the best one was taken.")
    ceiling = figures["client_ceiling"]
    console.print(f"The client alone reaches {ceiling['per_second']:,.0f} per second.")
    audit = figures["audit"]
    console.print(f"Audit: exit code {audit['exit_code']}, {audit['seconds']} s: {audit['said']}")


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw the medians as bars, the rounds as dots, and the ratios under them."""
    mpl.use("Agg")
    contestants = figures["summary"]["contestants"]
    canvas, axes = plt.subplots(figsize=(9, 5.4), dpi=150)
    for at, (name, facts) in enumerate(contestants.items()):
        rate = facts["per_second"]["median"]
        axes.bar(at, rate, width=0.62, color=COLOURS[name], zorder=2)
        dots = [one[name]["per_second"] for one in figures["rounds"]]
        axes.scatter([at] * len(dots), dots, s=14, color="#1c2733", alpha=0.55, zorder=3)
        axes.annotate(
            f"{rate:,.0f}/s",
            (at, max(rate, *dots)),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=12,
            fontweight="bold",
        )
    axes.set_xticks(range(len(contestants)), [LABELS[name] for name in contestants], fontsize=10)
    axes.set_ylabel("sales answered per second")
    axes.set_title(_headline(figures), loc="left", fontsize=12.5, fontweight="bold", pad=14)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e6ea", zorder=0)
    axes.margins(y=0.14)
    canvas.text(0.012, 0.014, _small_print(figures), fontsize=7.2, color="#5a6470")
    canvas.tight_layout(rect=(0, 0.075, 1, 1))
    canvas.savefig(path)
    plt.close(canvas)


def _headline(figures: dict[str, Any]) -> str:
    ratio = {name: one["median"] for name, one in figures["summary"]["ratios"].items()}
    return (
        f"{ratio['engine/textbook']:.1f} × the textbook service, "
        f"{ratio['engine/bare']:.0%} of bare aiohttp;\n"
        f"all on one issuer: {ratio['one_brand/issuers']:.2f} × of spread over 9"
    )


def _small_print(figures: dict[str, Any]) -> str:
    where, how, found = figures["machine"], figures["conditions"], figures["versions"]
    return (
        f"{where['cpu']}, {where['cores']} cores shared by client, server and PostgreSQL"
        f" {found['PostgreSQL']} (fsync on), loopback; Python {found['Python']}, aiohttp"
        f" {found['aiohttp']}, uvloop {found['uvloop']}, asyncpg {found['asyncpg']}.\n"
        f"{how['connections']} connections, {len(figures['rounds'])} interleaved rounds of"
        f" {how['seconds']:g} s; bars are medians, dots are rounds; ratios are medians of ratios"
        f" within a round. {figures['at'][:10]}"
    )

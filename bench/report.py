"""What all results have in common: the conditions, the spread of rounds, where they are written."""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, Final

import asyncpg
import orjson
from rich.console import Console

from bench import figures
from bench.stage import Stage

RESULTS: Final = Path(__file__).parent / "results"
TABLE_WIDTH_MIN: Final = 120
PACKAGES: Final = (
    *("aiohttp", "asyncpg", "Cython", "msgspec", "orjson", "uvloop"),
    *("fastapi", "SQLAlchemy", "uvicorn", "httptools"),
)


def console() -> Console:
    """Return a console that is wide enough for the tables, also where there is no terminal."""
    found = Console()
    found.width = max(found.width, TABLE_WIDTH_MIN)
    return found


def conditions(stage: Stage, rounds: int) -> dict[str, Any]:
    """Return where and how it was measured, and what the audits of the books say."""
    return {
        **where_and_when(asyncio.run(server_version(stage.dsn))),
        "conditions": {
            "connections": stage.connections,
            "rounds": rounds,
            "seconds": stage.seconds,
            "warm_seconds": stage.warm,
            "client": "bench.client: raw asyncio protocols on uvloop, a process of its own",
            "workload": "sales with invoice numbers; customers by Zipf 0.4, 30 brands by Zipf 1.0",
            "durability": "fsync, full_page_writes and synchronous_commit are on",
            "shared": "client, server and PostgreSQL share the machine; traffic is loopback",
        },
        "audits": stage.audit(),
    }


def where_and_when(server: str) -> dict[str, Any]:
    """Return the time, the machine, and the versions; `server` is that of PostgreSQL."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions() | {"PostgreSQL": server},
    }


def machine() -> dict[str, Any]:
    """Return what this computer is, and how busy it is besides."""
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
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """Return the versions of everything that matters, and the commit where there is one."""
    found = {"Python": platform.python_version(), "leal-engine": version("leal-engine")}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
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


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median of the rounds, the smallest and the largest."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def told(one: Mapping[str, float], form: str = ".2f") -> str:
    """Return a spread as a text: median (min … max)."""
    return f"{one['median']:{form}} ({one['min']:{form}} … {one['max']:{form}})"


def ratios(
    rounds: Sequence[Mapping[str, Any]], pairs: Sequence[tuple[str, str]]
) -> dict[str, dict[str, float]]:
    """Return the spread of the ratios of rates, each ratio within a round."""
    return {
        f"{one}/{other}": spread([r[one]["per_second"] / r[other]["per_second"] for r in rounds])
        for one, other in pairs
        if one in rounds[0] and other in rounds[0]
    }


def contestant(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what all rounds of a contestant came to."""
    found: dict[str, Any] = {
        "per_second": spread([run["per_second"] for run in runs]),
        "operations": sum(run["operations"] for run in runs),
        "latency_ms": {
            name: median(run["latency_ms"][name] for run in runs) for name in ("p50", "p99")
        },
        "cpu_us_per_operation": {
            name: median(run["cpu_us_per_operation"][name] for run in runs)
            for name in runs[0]["cpu_us_per_operation"]
        },
    }
    for name in ("batch_operations", "tries_per_commit"):
        if name in runs[0]:
            found[name] = spread([run[name] for run in runs])
    return found


def serving_cpu(run: Mapping[str, Any]) -> float:
    """Return the CPU µs of an operation on the serving side: of the server and of PostgreSQL."""
    cpu: dict[str, float] = run["cpu_us_per_operation"]
    return cpu.get("server", 0.0) + cpu["postgres"]


def save(name: str, found: Mapping[str, Any], folder: Path, console: Console) -> None:
    """Write a result; if it goes to the usual folder, its page is updated too.

    Ends the program where the books did not balance.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    path.write_bytes(orjson.dumps(found, option=options) + b"\n")
    if folder == RESULTS:
        figures.update(name)
    console.print(f"Written to {path}.")
    for database, audit in found.get("audits", {}).items():
        console.print(f"Audit of {database}: {audit['said']}")
        if audit["exit_code"] != 0:
            sys.exit(f"The books of {database} do not balance.")

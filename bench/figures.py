"""Puts the figures of the last runs into the READMEs of bench and load, between their marks.

python -m bench.figures
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

BENCH: Final = Path(__file__).parent
LOAD: Final = BENCH.parent / "load"


def side_by_side(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on a run side by side."""
    how = found["conditions"]
    yield from _where(found)
    yield (
        f"{len(found['rounds'])} rounds of {how['seconds']:g} s, {how['connections']} connections;"
        f" the client alone reaches {found['client_ceiling']['per_second']:,.0f}/s; audit:"
        f" {found['audit']['said']} (exit code {found['audit']['exit_code']})."
    )
    yield ""
    yield "| contestant | per s (min … max) | p50 / p99 ms | batch | CPU µs: server, postgres |"
    yield "|---|---|---|---|---|"
    for name, facts in found["summary"]["contestants"].items():
        rate, times, cpu = (
            facts[key] for key in ("per_second", "latency_ms", "cpu_us_per_operation")
        )
        batch = f"{facts['batch_operations']:.0f}" if "batch_operations" in facts else ""
        yield (
            f"| {name} | {rate['median']:,.0f} ({rate['min']:,.0f} … {rate['max']:,.0f})"
            f" | {times['p50']:.1f} / {times['p99']:.1f} | {batch}"
            f" | {cpu['server']:.0f} + {cpu['postgres']:.0f} |"
        )
    yield ""
    yield "| ratio | per second, median (min … max) | per CPU second, median (min … max) |"
    yield "|---|---|---|"
    for name in found["summary"]["ratios"]:
        both = [found["summary"][kind][name] for kind in ("ratios", "cpu_ratios")]
        cells = [f"{one['median']:.2f} ({one['min']:.2f} … {one['max']:.2f})" for one in both]
        yield f"| {name.replace('/', ' / ')} | {cells[0]} | {cells[1]} |"
    yield ""
    yield "![The medians as bars, the rounds as dots](results/side_by_side.png)"


def micro(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on the micro-benchmarks."""
    yield f"{found['datetime'][:10]}, median and smallest time:"
    yield ""
    yield "| part | median | min |"
    yield "|---|---|---|"
    for one in found["benchmarks"]:
        median, least = (_time(one["stats"][key]) for key in ("median", "min"))
        yield f"| {one['name'].removeprefix('bench_').replace('_', ' ')} | {median} | {least} |"


def audit(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on the audit."""
    books, check = found["books"], found["check_alone"]
    loads = [one["load_before"] for each in found["rounds"] for one in each.values()]
    yield from _where(found)
    yield (
        f"{books['rows']:,} rows of {books['wallets']:,} wallets ({books['lots_of_a_row']:.1f} lots"
        f" and {check['row_bytes']:.0f} bytes a row), {books['invoice_claims']:,} claimed invoices;"
        f" {len(found['rounds'])} rounds, interleaved; server and processes on the same cores,"
        " which others used too: load averages of"
        f" {min(loads):.1f} to {max(loads):.1f} before a round."
    )
    yield ""
    yield (
        "| processes | rows a second | ÷ processes | CPU µs a row: processes, PostgreSQL"
        " | rows a CPU second: processes, all |"
    )
    yield "|---|---|---|---|---|"
    for processes, facts in found["summary"].items():
        rate, each = facts["rows_per_second"], facts["rows_per_second_and_process"]
        cpu = [facts[f"cpu_us_of_a_row_{who}"]["median"] for who in ("auditors", "postgres")]
        rows = [facts[f"rows_per_cpu_second_{who}"]["median"] for who in ("auditors", "all")]
        yield (
            f"| {processes} | {rate['median']:,.0f} ({rate['min']:,.0f} … {rate['max']:,.0f})"
            f" | {each['median']:,.0f} | {cpu[0]:.2f} + {cpu[1]:.2f}"
            f" | {rows[0]:,.0f}, {rows[1]:,.0f} |"
        )
    yield ""
    yield (
        f"The compiled check alone, on rows in memory: {check['rows_per_second']:,.0f} rows a CPU"
        " second."
    )


def memory(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on what a cached customer takes."""
    yield (
        f"{found['machine']['cpu']}, Python {found['versions']['Python']}: growth of the resident"
        f" memory over {found['customers']:,} customers with one wallet each, in a fresh process."
    )
    yield ""
    yield "| lots of the wallet | bytes a customer, loaded | after a trade of each |"
    yield "|---|---|---|"
    for lots, facts in found["bytes_by_lots"].items():
        yield f"| {lots} | {facts['loaded']:.0f} | {facts['traded']:.0f} |"


def load(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on a load test."""
    yield from _where(found)
    audit = " ".join((found["audit"] or {}).get("said", []))
    yield f"{found['users']} users, {found['seconds']} s; audit: {audit}."
    yield ""
    yield "| request | requests | failed | per s | p50 / p95 / p99 ms |"
    yield "|---|---|---|---|---|"
    for name, facts in found["routes"].items():
        times = " / ".join(f"{facts[f'p{at}_ms']:.0f}" for at in (50, 95, 99))
        yield (
            f"| `{name}` | {facts['requests']:,} | {facts['failures']} | {facts['per_second']}"
            f" | {times} |"
        )


def _where(found: dict[str, Any]) -> Iterator[str]:
    where, versions = found["machine"], found["versions"]
    yield (
        f"{found['at'][:10]}, {where['cpu']}, {where['cores']} cores (shared, noisy), Python"
        f" {versions['Python']}, aiohttp {versions['aiohttp']}, uvloop {versions['uvloop']},"
        f" asyncpg {versions['asyncpg']}, PostgreSQL {versions.get('PostgreSQL', 'embedded')}."
    )


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:,.2f} ms"


def put(readme: Path, name: str, lines: Iterator[str]) -> None:
    """Replace what stands between the marks of `name`."""
    begin, end = f"<!-- figures: {name} -->", f"<!-- end: {name} -->"
    text = readme.read_text()
    if end not in text:
        text = text.replace(begin, f"{begin}\n{end}")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    block = "\n".join((begin, "", *lines, "", end))
    readme.write_text(pattern.sub(lambda _: block, text))


def main() -> None:
    """Write what results there are."""
    for readme, name, path, lines in (
        (BENCH / "README.md", "side_by_side", BENCH / "results/side_by_side.json", side_by_side),
        (BENCH / "README.md", "micro", BENCH / "results/micro.json", micro),
        (BENCH / "README.md", "audit", BENCH / "results/audit.json", audit),
        (BENCH / "README.md", "memory", BENCH / "results/memory.json", memory),
        (LOAD / "README.md", "load", LOAD / "results/last.json", load),
    ):
        if path.exists():
            put(readme, name, lines(orjson.loads(path.read_bytes())))


if __name__ == "__main__":
    main()

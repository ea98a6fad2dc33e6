"""Writes the figures of the last runs into bench/REPORT.md and load/README.md, between their marks.

Each benchmark does it for itself at its end; all at once: python -m bench.figures
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any, Final

import orjson

BENCH: Final = Path(__file__).parent
RESULTS: Final = BENCH / "results"
LOAD: Final = BENCH.parent / "load"
COLUMNS_MAX: Final = 120


def side_by_side(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on a run side by side."""
    yield from _conditions(found)
    ceiling = found["client_ceiling"]["per_second"]
    pools = ", ".join(f"{name} {next(iter(sizes))}" for name, sizes in found["pools"].items())
    yield f"The client alone reaches {ceiling:,.0f}/s. Connections of the pools: {pools}."
    for connections, one in found["summary"].items():
        yield from _side_by_side_at(connections, one)
    yield ""
    yield "![The medians as bars, the rounds as dots](results/side_by_side.png)"
    if len(found["summary"]) > 1:
        yield "![The rates by the number of connections](results/connections.png)"


def _side_by_side_at(connections: str, found: dict[str, Any]) -> Iterator[str]:
    yield from (
        "",
        f"| {connections} connections | per s (min … max) | p50 / p99 ms | batch"
        " | CPU µs: server, postgres, client |",
        "|---|---|---|---|---|",
    )
    for name, facts in found["contestants"].items():
        times, cpu = facts["latency_ms"], facts["cpu_us_per_operation"]
        batch = f"{facts['batch_operations']['median']:.0f}" if "batch_operations" in facts else ""
        parts = " + ".join(f"{cpu.get(part, 0):.0f}" for part in ("server", "postgres", "client"))
        yield (
            f"| {name} | {_told(facts['per_second'], ',.0f')}"
            f" | {times['p50']:.1f} / {times['p99']:.1f} | {batch} | {parts} |"
        )
    yield from (
        "",
        "| ratio | per second, median (min … max) | per CPU second, median (min … max) |",
        "|---|---|---|",
    )
    for name in found["ratios"]:
        both = " | ".join(_told(found[kind][name]) for kind in ("ratios", "cpu_ratios"))
        yield f"| {name.replace('/', ' ÷ ')} | {both} |"


def open_loop(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on latency against offered rate."""
    yield from _conditions(found)
    yield from (
        "",
        "| flow | peak/s | at half of it: p50 ms | p99 ms | p99.9 ms | good at 1.5 × peak | shed |",
        "|---|---|---|---|---|---|---|",
    )
    for verb, one in found["summary"].items():
        half, past = one["shares"]["0.5"], one["shares"]["1.5"]
        times = " | ".join(_told(spread, ".1f") for spread in half["latency_ms"].values())
        yield (
            f"| {verb} | {one['peak_per_second']['median']:,.0f} | {times}"
            f" | {past['good_per_second']['median']:,.0f} | {past['shed']:,} |"
        )
    yield ""
    yield "![Latency and goodput by offered rate](results/open_loop.png)"


def bulk(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on bulk uploads."""
    yield from _conditions(found)
    yield from ("", "| run | items a second | ÷ single calls | ÷ COPY |", "|---|---|---|---|")
    for name, facts in found["summary"].items():
        ratios = " | ".join(
            _told(facts[ratio]) if ratio in facts else "" for ratio in ("ratio", "copy_ratio")
        )
        yield f"| {name} | {_told(facts['items_per_second'], ',.0f')} | {ratios} |"


def profile(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on the cost of an operation, newest run last."""
    yield from _conditions(found)
    runs = found["runs"][-3:]
    yield ""
    yield "| CPU µs of a durable sale | " + " | ".join(_run_name(run) for run in runs) + " |"
    yield "|---" * (len(runs) + 1) + "|"
    for part in runs[-1]["parts"]:
        cells = " | ".join(f"{run['parts'].get(part, 0):.1f}" for run in runs)
        yield f"| {part} | {cells} |"
    totals = " | ".join(f"**{sum(run['parts'].values()):.0f}**" for run in runs)
    yield f"| **all** | {totals} |"
    yield ""
    yield "![The parts, before and after](results/profile.png)"


def growth(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on how cost grows."""
    yield from _conditions(found)
    for group, one in found["summary"].items():
        yield from (
            "",
            f"| {one['about']} | per s (min … max) | batch | CPU µs: server + postgres"
            f" | ÷ {one['base']} | per CPU second |",
            "|---|---|---|---|---|---|",
        )
        for name, facts in one["contestants"].items():
            cpu = facts["cpu_us_per_operation"]
            both = (
                ("", "")
                if name == one["base"]
                else (_told(one["ratios"][name]), _told(one["cpu_ratios"][name]))
            )
            yield (
                f"| {name} | {_told(facts['per_second'], ',.0f')}"
                f" | {facts['batch_operations']['median']:.0f}"
                f" | {cpu['server']:.0f} + {cpu['postgres']:.0f} | {both[0]} | {both[1]} |"
            )
        yield ""
        yield f"![{one['about']}](results/growth_{group}.png)"


def workers(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on two workers without affinity."""
    yield from _conditions(found)
    yield from (
        "",
        "| engine | per s (min … max) | batch | tries a commit | most | tried again | given up |",
        "|---|---|---|---|---|---|---|",
    )
    for name, facts in found["summary"]["contestants"].items():
        tries = {int(n): count for n, count in found["summary"]["tries"][name].items()}
        again = sum(count for n, count in tries.items() if n > 1) / max(1, sum(tries.values()))
        yield (
            f"| {name} | {_told(facts['per_second'], ',.0f')}"
            f" | {facts['batch_operations']['median']:.0f} | {_told(facts['tries_per_commit'])}"
            f" | {max(tries)} | {again:.1%} | {found['summary']['given_up'][name]:,} |"
        )
    yield ""
    ratio = found["summary"]["ratios"]["workers_2/workers_1"]
    yield f"Two workers ÷ one: {_told(ratio)}."
    yield ""
    yield "![Rates and tries](results/workers.png)"


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
    yield _where(found)
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


def settlement(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on settlement over many postings."""
    yield _where(found)
    fold, beside = found["fold"], found["beside_folding"]
    yield (
        f"{fold['rows']:,} rows. Folding: {fold['rows_per_second']:,} rows/s, in {fold['steps']}"
        f" steps of {fold['step_ms']:.0f} ms; {fold['postgres_cpu_us_per_row']:.1f} µs of"
        f" PostgreSQL's CPU a row. The day's settlement without HTTP, connecting included:"
        f" {found['settlement_not_folded_ms']:,.0f} ms from rows that are not folded,"
        f" {found['settlement_folded_ms']:.0f} ms from the sums. An append of"
        f" {beside['operations']} operations: {beside['append_ms']:.1f} ms, beside folding"
        f" {beside['append_beside_folding_ms']:.1f} ms; the ratio within a round"
        f" {_told(beside['ratio_of_means'])}."
    )
    yield ""
    yield "| report over HTTP | median ms | p95 ms | bytes |"
    yield "|---|---|---|---|"
    for name, facts in found["http"].items():
        yield (
            f"| {name.replace('_', ' ')} | {facts['median_ms']:,.1f} | {facts['p95_ms']:,.1f}"
            f" | {facts['bytes']:,} |"
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


def decide(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on what one core decides and encodes."""
    loads = found["load_averages"]
    yield (
        f"{found['at'][:10]}, {found['machine']['cpu']}, Python {found['versions']['Python']};"
        f" {len(found['rounds'])} rounds of batches of {found['batch_operations']}, medians over"
        f" the rounds; the machine was shared, its load average {loads[0]:.1f} on"
        f" {found['machine']['cores']} cores."
    )
    yield ""
    yield "| operation | a second | best batch of all | ns | publish | claims | × plain rules |"
    yield "|---|---|---|---|---|---|---|"
    for name, parts in found["summary"].items():
        best = parts["best_per_second"]["max"]
        took = (parts[part]["median"] for part in ("decide", "publish", "claims", "ratio"))
        cells = " | ".join(
            f"{value:,.0f}" for value in (parts["per_second"]["median"], best, *took)
        )
        yield f"| {name} | {cells} |"


def load(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines on a load test."""
    yield _where(found)
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
    yield ""
    yield "![Rate and latency over the run](../bench/results/load.png)"


def _conditions(found: dict[str, Any]) -> Iterator[str]:
    """Yield where and how it was measured, and what the audits said."""
    how = found["conditions"]
    yield _where(found)
    yield (
        f"{how['rounds']} interleaved rounds of {how['seconds']:g} s, {how['connections']}"
        " connections where nothing else is said; medians (smallest … largest)."
    )
    for database, audit in found["audits"].items():
        yield f"Audit of {database}: {audit['said'].splitlines()[-1]}."


def _where(found: dict[str, Any]) -> str:
    where, versions = found["machine"], found["versions"]
    load = f", load average {where['load_average'][0]}" if "load_average" in where else ""
    return (
        f"{found['at'][:10]}, {where['cpu']}, {where['cores']} cores{load}, Python"
        f" {versions['Python']}, aiohttp {versions['aiohttp']}, uvloop {versions['uvloop']},"
        f" asyncpg {versions['asyncpg']}, PostgreSQL {versions.get('PostgreSQL', 'embedded')},"
        f" commit {versions.get('commit', 'unknown')}."
    )


def _told(one: Mapping[str, float], form: str = ".2f") -> str:
    return f"{one['median']:{form}} ({one['min']:{form}} … {one['max']:{form}})"


def _run_name(run: Mapping[str, Any]) -> str:
    return f"{run['at'][:10]} {run['commit']}"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:,.2f} ms"


SECTIONS: Final[dict[str, tuple[Path, Callable[[dict[str, Any]], Iterator[str]]]]] = {
    "side_by_side": (BENCH / "REPORT.md", side_by_side),
    "open_loop": (BENCH / "REPORT.md", open_loop),
    "bulk": (BENCH / "REPORT.md", bulk),
    "profile": (BENCH / "REPORT.md", profile),
    "growth": (BENCH / "REPORT.md", growth),
    "workers": (BENCH / "REPORT.md", workers),
    "micro": (BENCH / "REPORT.md", micro),
    "audit": (BENCH / "REPORT.md", audit),
    "settlement": (BENCH / "REPORT.md", settlement),
    "memory": (BENCH / "REPORT.md", memory),
    "decide": (BENCH / "REPORT.md", decide),
    "load": (LOAD / "README.md", load),
}


def update(name: str) -> None:
    """Write the section of one benchmark by its last result."""
    page, lines = SECTIONS[name]
    put(page, name, lines(orjson.loads((RESULTS / f"{name}.json").read_bytes())))


def put(page: Path, name: str, lines: Iterator[str]) -> None:
    """Replace what stands between the marks of `name`; lines outside tables are wrapped."""
    begin, end = f"<!-- figures: {name} -->", f"<!-- end: {name} -->"
    text = page.read_text()
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    wrapped = (
        line if line.startswith("|") else fill(line, COLUMNS_MAX, break_on_hyphens=False)
        for line in lines
    )
    block = "\n".join((begin, "", *wrapped, "", end))
    page.write_text(pattern.sub(lambda _: block, text))


def main() -> None:
    """Write what results there are."""
    for name in SECTIONS:
        if (RESULTS / f"{name}.json").exists():
            update(name)


if __name__ == "__main__":
    main()

"""The till: look-up and accumulation as one cashier's flow, at half of what the machine can do.

The peak is measured first, in a closed loop of 64 connections that ask for the same two calls in
turn. Then flows start at half of that rate, each at its own moment whatever became of those before
it (an open loop); a flow's time runs from that moment to the answer of its sale, so that a stall is
charged to everyone who came during it. Rounds alternate between the two.

    python -m bench.till [--rounds 5] [--seconds 4]
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import uvloop
from hdrh.histogram import HdrHistogram
from rich.console import Console
from rich.table import Table

from bench.client import LATENCY_US_MAX, head_of_whole
from bench.side_by_side import SEED, Bench, Contestant, engine_alone
from bench.workload import Workload, demo_of, keys_of

RESULTS: Final = Path(__file__).parent / "results"
CALLS: Final = 2
TARGET_MS: Final = 15.0
"""The median of a flow shall be below this."""

Flow = tuple[bytes, ...]


class Till(asyncio.Protocol):
    """A connection with one flow under way: each request is sent when the last is answered."""

    def __init__(self, lane: OpenLoop) -> None:
        self._lane = lane
        self._answer = b""
        self._left: list[bytes] = []
        self._due = 0.0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._lane.lost(exc)

    def begin(self, due: float, flow: Flow) -> None:
        """Send the first request of a flow that was due at `due`."""
        self._due = due
        self._left = list(flow[1:])
        self.transport.write(flow[0])

    def data_received(self, data: bytes) -> None:
        data = self._answer + data
        if head_of_whole(data) < 0:
            self._answer = data
            return
        self._answer = b""
        if not data.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(f"the engine answered {data[:500]!r}")
        if self._left:
            self.transport.write(self._left.pop(0))
        else:
            self._lane.done(self, perf_counter() - self._due)


class OpenLoop:
    """Flows at a constant rate, on as many tills as it takes."""

    def __init__(self, flows: list[Flow]) -> None:
        self._flows = flows
        self._free: list[Till] = []
        self._tills = 0
        self._ending = False
        self._under_way = 0
        self.histogram = HdrHistogram(1, LATENCY_US_MAX, 3)

    async def run(self, url: str, rate: float) -> int:
        """Start every flow at its moment; return how many tills there were."""
        where, loop = urlsplit(url), asyncio.get_running_loop()
        started = perf_counter()
        for number, flow in enumerate(self._flows):
            due = started + number / rate
            if (early := due - perf_counter()) > 0:
                await asyncio.sleep(early)
            if not self._free:
                self._tills += 1
                _, till = await loop.create_connection(
                    lambda: Till(self), where.hostname or "", where.port or 80
                )
                self._free.append(till)
            self._under_way += 1
            self._free.pop().begin(due, flow)
        while self._under_way:  # noqa: ASYNC110 - it ends once, and nothing on the way signals
            await asyncio.sleep(0.01)
        self._ending = True
        for till in self._free:
            till.transport.abort()
        return self._tills

    def done(self, till: Till, seconds: float) -> None:
        """Count a flow; its till is free."""
        self.histogram.record_value(max(1, round(seconds * 1e6)))
        self._under_way -= 1
        self._free.append(till)

    def lost(self, error: Exception | None) -> None:
        """Note that a till was cut off."""
        if not self._ending:
            raise RuntimeError(f"connection lost: {error!r}")


def flows_of(bench: Bench, url: str, count: int) -> list[Flow]:
    """Return flows of a seed of their own: a customer is looked up, then earns."""
    bench.runs += 1
    demo = demo_of(bench.demo)
    host, keys = urlsplit(url).netloc, keys_of(demo)
    tills = Workload(demo, SEED * 1000 + bench.runs).tills()
    return [
        tuple(request.encode(host, keys) for request in flow)
        for flow, _ in zip(tills, range(count), strict=False)
    ]


def round_of(bench: Bench, served: Contestant) -> dict[str, Any]:
    """Measure the peak, then half of it; return the figures."""
    closed = Contestant("closed", served.url, served.pid, ["--stream", "till_requests"])
    peak = bench.run(closed)["per_second"] / CALLS
    loop = OpenLoop(flows_of(bench, served.url, round(peak / 2 * bench.seconds)))
    tills = uvloop.run(loop.run(served.url, peak / 2))
    at = {f"p{q:g}": loop.histogram.get_value_at_percentile(q) / 1000 for q in (50, 90, 99, 99.9)}
    return {"peak_flows_per_second": peak, "flows_per_second": peak / 2, "tills": tills, "ms": at}


def main() -> None:
    """Run, show a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warm", type=float, default=1.0)
    parser.add_argument("--connections", type=int, default=64, help="of the closed loop")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    console = Console()
    with engine_alone(options, console) as (bench, served, progress, about):
        numbers = progress.track(range(options.rounds), description="rounds")
        found = [round_of(bench, served) for _ in numbers]
    table = Table("peak, flows/s", "offered", "tills", "p50 ms", "p90", "p99", "p99.9")
    for one in found:
        offered = (f"{one['peak_flows_per_second']:,.0f}", f"{one['flows_per_second']:,.0f}")
        table.add_row(
            *offered, str(one["tills"]), *(f"{value:.1f}" for value in one["ms"].values())
        )
    console.print(table)
    reached = median(one["ms"]["p50"] for one in found)
    console.print(f"median of the rounds' p50: {reached:.1f} ms, asked for: < {TARGET_MS:g}")
    console.print(about["audit"]["said"])
    figures = about | {"p50_ms": reached, "rounds": found}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "till.json").write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()

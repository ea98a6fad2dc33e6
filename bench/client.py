"""A lean closed-loop HTTP/1.1 client: N connections, each sends its next request when answered.

The same client drives every contestant, in a process of its own. Requests are built before the
clock starts and latencies are sorted out after it stops, so that while the clock runs the client
does little more than write bytes and read a status line. Its own ceiling is measured against a
server that says the same bytes to anything (`contestants/canned.py`).

    python -m bench.client --url http://127.0.0.1:8080 --demo data/demo.json
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import uvloop
from hdrh.histogram import HdrHistogram

from bench.processes import cpu_seconds
from bench.workload import Workload, demo_of, keys_of

LATENCY_US_MAX: Final = 60_000_000
DRAIN_SECONDS_MAX: Final = 10.0


@dataclass(slots=True)
class Tally:
    """What the answers came to while the clock ran."""

    statuses: Counter[bytes] = field(default_factory=Counter)
    latencies_ns: array[int] = field(default_factory=lambda: array("q"))
    replays: int = 0
    answer_bytes: int = 0
    errors: list[str] = field(default_factory=list)


def head_of_whole(data: bytes) -> int:
    """Return where the head of a whole answer ends, -1 as long as some of it is missing."""
    head = data.find(b"\r\n\r\n")
    at = data.find(b"Content-Length: ", 0, head)
    if head < 0 or len(data) < head + 4 + int(data[at + 16 : data.index(b"\r", at)]):
        return -1
    return head


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._answer = b""
        self._sent = 0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._run.over.done():
            self._run.fail(f"connection lost: {exc!r}")

    def send_next(self) -> None:
        """Send the next request of the run; where there is none or time is up, be idle."""
        run = self._run
        request = None if run.stopping else next(run.requests, None)
        if request is None:
            run.idle()
            return
        self._sent = perf_counter_ns()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._answer:
            data = self._answer + data
        head = head_of_whole(data)
        if head < 0:
            self._answer = data
            return
        self._answer = b""
        run = self._run
        tally = run.tally
        tally.latencies_ns.append(perf_counter_ns() - self._sent)
        status = data[9:12]
        tally.statuses[status] += 1
        tally.answer_bytes += len(data)
        if data.find(b"Idempotent-Replayed", 0, head) >= 0:
            tally.replays += 1
        if not data.startswith(b"HTTP/1.1 20"):
            run.fail(data.decode(errors="replace"))
            return
        self.send_next()


class Run:
    """Connections that work through one stream of requests."""

    def __init__(self, requests: list[bytes]) -> None:
        self.requests = iter(requests)
        self.tally = Tally()
        self.stopping = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._busy = 0

    async def connect(self, host: str, port: int, count: int) -> list[Connection]:
        """Open the connections."""
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(lambda: Connection(self), host, port) for _ in range(count)
        ]
        return [connection for _, connection in made]

    def start(self, connections: list[Connection]) -> None:
        """Let every connection send its first request."""
        self._busy = len(connections)
        for connection in connections:
            connection.send_next()

    def idle(self) -> None:
        """Note that a connection has nothing more to do."""
        self._busy -= 1
        if self._busy == 0 and not self.over.done():
            self.over.set_result(None)

    def fail(self, reason: str) -> None:
        """Note what no healthy contestant does, and end the run."""
        self.tally.errors.append(reason[:500])
        if not self.over.done():
            self.over.set_result(None)


async def drive(options: argparse.Namespace, requests: list[bytes]) -> dict[str, Any]:
    """Warm up, then run with the clock on; return the figures."""
    where = urlsplit(options.url)
    run = Run(requests)
    connections = await run.connect(where.hostname or "", where.port or 80, options.connections)
    run.start(connections)
    await asyncio.wait([run.over], timeout=options.warm)
    run.tally = Tally(errors=run.tally.errors)
    watched = {name: int(pid) for name, _, pid in (w.partition("=") for w in options.watch)}
    watched["client"] = os.getpid()
    before = {name: _cpu(name, pid) for name, pid in watched.items()}
    started = perf_counter()
    await asyncio.wait([run.over], timeout=options.seconds)
    elapsed = perf_counter() - started
    cpu = {name: _cpu(name, pid) - before[name] for name, pid in watched.items()}
    tally, run.tally = run.tally, Tally(errors=run.tally.errors)
    run.stopping = True
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(run.over, DRAIN_SECONDS_MAX)
    for connection in connections:
        connection.transport.abort()
    return figures(tally, elapsed, cpu, len(requests[0]))


def figures(
    tally: Tally, elapsed: float, cpu: dict[str, float], request_bytes: int
) -> dict[str, Any]:
    """Return what a run came to, as plain values."""
    operations = len(tally.latencies_ns)
    histogram = HdrHistogram(1, LATENCY_US_MAX, 3)
    for latency in tally.latencies_ns:
        histogram.record_value(max(1, latency // 1000))
    return {
        "operations": operations,
        "seconds": elapsed,
        "per_second": operations / elapsed,
        "statuses": {status.decode(): count for status, count in tally.statuses.items()},
        "replays": tally.replays,
        "errors": tally.errors[:10],
        "request_bytes": request_bytes,
        "answer_bytes": tally.answer_bytes // max(1, operations),
        "latency_ms": {
            f"p{at:g}": histogram.get_value_at_percentile(at) / 1000 for at in (50, 90, 99, 99.9)
        }
        | {"max": histogram.get_max_value() / 1000},
        "cpu_us_per_operation": {
            name: seconds / max(1, operations) * 1e6 for name, seconds in cpu.items()
        },
    }


def _cpu(name: str, pid: int) -> float:
    return cpu_seconds(pid, with_children=name == "postgres")


def main() -> None:
    """Build the requests, run, and write the figures to standard output as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--demo", type=Path, required=True, help="the demo.json of the network")
    parser.add_argument("--seed", type=int, default=2026)
    streams = ("accumulations", "mix", "uploads", "till_requests")
    parser.add_argument("--stream", choices=streams, default="accumulations")
    parser.add_argument("--one-brand", action="store_true")
    parser.add_argument("--issuers-only", action="store_true")
    parser.add_argument("--invoices", type=float, default=1.0, help="share of sales with a number")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--warm", type=float, default=1.0, help="seconds before the clock starts")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument(
        "--watch", action="append", default=[], metavar="NAME=PID", help="whose CPU time to report"
    )
    parser.add_argument(
        "--per-second-max",
        type=int,
        default=20_000,
        help="requests built for each second of the run; where they run out, the run ends early",
    )
    options = parser.parse_args()
    demo = demo_of(options.demo)
    workload = Workload(
        demo,
        options.seed,
        one_brand=options.one_brand,
        issuers_only=options.issuers_only,
        invoices=options.invoices,
    )
    count = int((options.warm + options.seconds) * options.per_second_max)
    host, keys = urlsplit(options.url).netloc, keys_of(demo)
    stream = itertools.islice(getattr(workload, options.stream)(), count)
    requests = [request.encode(host, keys) for request in stream]
    print(orjson.dumps(uvloop.run(drive(options, requests))).decode())


if __name__ == "__main__":
    main()

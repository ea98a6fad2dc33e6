"""A lean HTTP/1.1 client: it drives one server with one stream of flows, and tells what it saw.

The same client drives every server, in a process of its own. Requests are built before the clock
starts and latencies are sorted out after it stops. Its own ceiling is measured against a server
that says the same bytes to anything (`contestants/canned.py`).

    python -m bench.client --url http://127.0.0.1:8080 --demo data/demo.json
    python -m bench.client --url … --demo … --stream tills --rate 500     # an open loop
"""

from __future__ import annotations

import argparse
import gc
import itertools
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import uvloop

from bench import workload
from bench.connection import Flow, Step
from bench.loops import ClosedLoop, OpenLoop
from bench.tally import SHED
from bench.workload import Outbox, Request, Workload, demo_of, keys_of

STREAMS: Final = (
    *("accumulations", "redemptions", "lookups", "looks", "qr_payments", "code_payments", "tills"),
    *("holds", "mix", "uploads", "funding"),
)
SPENDING: Final = ("redemptions", "holds", "qr_payments", "code_payments", "mix")
"""Streams in which a customer may have too little; that is an answer too."""
CONNECTIONS_MAX: Final = 1024


class Requests:
    """The flows of a stream, as bytes, and the statuses that they may be answered with."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._demo = demo_of(options.demo)
        self._host = urlsplit(options.url).netloc
        self._keys = keys_of(self._demo)
        made = Workload(
            self._demo,
            options.seed,
            zipf_brands=options.zipf_brands,
            zipf_customers=options.zipf_customers,
            one_brand=options.one_brand,
            issuers_only=options.issuers_only,
            invoices=options.invoices,
            customers=options.customers,
        )
        stream = getattr(made, options.stream)
        if options.stream == "code_payments":
            found = stream(Outbox(options.demo.with_name("outbox.ndjson")))
        else:
            found = stream()
        count = int((options.warm + options.seconds) * (options.rate or options.per_second_max)) + 1
        statuses = workload.DONE_OR_REFUSED if options.stream in SPENDING else workload.DONE
        self.allowed = frozenset(str(status).encode() for status in statuses)
        if options.rate or options.shed:
            self.allowed |= SHED
        self.flows = [self._flow(one) for one in itertools.islice(found, count)]

    def _flow(self, made: Any) -> Flow:
        steps = made if isinstance(made, tuple) else (made,)
        return tuple(self._step(step) for step in steps)

    def _step(self, step: workload.Step) -> Step:
        if isinstance(step, Request):
            return step.encode(self._host, self._keys)

        def after(answer: bytes) -> bytes | None:
            request = step(orjson.loads(answer))
            return None if request is None else request.encode(self._host, self._keys)

        return after


async def drive(options: argparse.Namespace, requests: Requests) -> dict[str, Any]:
    """Run the loop that the options ask for; return its figures."""
    if options.rate:
        open_loop = OpenLoop(
            *(options.url, requests.allowed, options.rate),
            *(options.connections_max, options.tries_max),
        )
        return await open_loop.run(requests.flows, options.warm, options.seconds, options.watch)
    closed = ClosedLoop(options.url, requests.allowed, requests.flows)
    return await closed.run(options.connections, options.warm, options.seconds, options.watch)


def main() -> None:
    """Build the requests, run, and write the figures to standard output as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--demo", type=Path, required=True, help="the demo.json of the network")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--stream", choices=STREAMS, default="accumulations")
    parser.add_argument("--one-brand", action="store_true")
    parser.add_argument("--issuers-only", action="store_true")
    parser.add_argument("--customers", type=int, default=0, help="only the first so many")
    parser.add_argument("--zipf-customers", type=float, default=0.4, help="Zipf's exponent")
    parser.add_argument("--zipf-brands", type=float, default=1.0, help="Zipf's exponent")
    parser.add_argument("--invoices", type=float, default=1.0, help="share of sales with a number")
    parser.add_argument("--connections", type=int, default=64, help="of the closed loop")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="flows a second in an open loop; 0: a closed one"
    )
    parser.add_argument(
        "--connections-max", type=int, default=CONNECTIONS_MAX, help="of the open loop"
    )
    parser.add_argument(
        "--tries-max", type=int, default=1, help="of a flow that is refused in the open loop"
    )
    parser.add_argument(
        "--shed", action="store_true", help="let the closed loop go on when the server is full too"
    )
    parser.add_argument("--warm", type=float, default=1.0, help="seconds before the clock starts")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument(
        "--watch", action="append", default=[], metavar="NAME=PID", help="whose CPU time to report"
    )
    parser.add_argument(
        "--per-second-max",
        type=int,
        default=20_000,
        help="flows built for each second of a closed loop; where they run out, it ends early",
    )
    options = parser.parse_args()
    requests = Requests(options)
    # A look at all that was built takes tens of milliseconds, and would be charged to the server.
    gc.freeze()
    gc.disable()
    print(orjson.dumps(uvloop.run(drive(options, requests))).decode())


if __name__ == "__main__":
    main()

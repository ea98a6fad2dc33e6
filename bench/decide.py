"""How many operations a second one core decides and encodes, and how many the plain rules do.

An operation is what a cashier asks for: an accumulation with an invoice number (one posting), the
same with coins on top (two), or a redemption (one). It is decided on wallets that the ledger has
loaded, in batches of 512 of as many customers, drawn by the laws of `workload.py`, each with a
wallet of coins and of up to three brands. With 2 000 customers the wallets stay in the caches of
the processor; with 20 000 most come out of memory.

What is timed is `Ledger.decide`: operations go in in any order; results come out, and the rows of
the journal in its order, encoded for COPY and chained by their hashes. Operations are built before.
`publish`, which makes a batch the committed state, and `claims`, the companion rows of invoices,
are timed apart. Time is CPU time of the thread; on a busy machine others empty its caches all the
same, which the best batch of a round feels least.

`tests/reference.py` is held against it in the same rounds, on a smaller batch: it looks at every
wallet that is loaded, for each operation, so it gets no more customers than the batch has. Both
decide that batch, and must come to the same bytes.

    python -m bench.decide [--rounds 30]
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import report
from bench.workload import HABITS, zipf
from engine.codes import Kind
from engine.ledger.core import Ledger, Operation
from tests.reference import ReferenceLedger

COLOMBIA: Final = -5 * 3600
NOW: Final = time.time_ns() // 1000
TODAY: Final = NOW // 86_400_000_000
BATCH_OPERATIONS: Final = 512
BATCHES: Final = 4
PASSES: Final = 25
PLAIN_OPERATIONS: Final = 64
CUSTOMERS: Final = (2_000, 20_000)
BRANDS, STORES = 30, 100
TARGET: Final = 1_500_000
RATIO_TARGET: Final = 50


class Traffic:
    """Operations by the laws of the workload, on ids that are in no database."""

    def __init__(self, customers: int) -> None:
        self._dice = Random(f"decide {customers}")
        self._numbers = itertools.count(1)
        self.customer_ids = [self._dice.randbytes(16) for _ in range(customers)]
        self._weights = zipf(customers, 0.4)
        weights = zipf(BRANDS, 1.0)
        self._habits = {
            customer_id: self._dice.choices(range(1, BRANDS + 1), cum_weights=weights, k=HABITS)
            for customer_id in self.customer_ids
        }

    def load(self, customer_ids: list[bytes], *ledgers: Ledger | ReferenceLedger) -> None:
        """Load customers, with a sale at each of their brands: all wallets, well filled."""
        for customer_id in customer_ids:
            sales = [
                self._sale(customer_id, brand_id, points=1_000_000, coins=5_000)
                for brand_id in self._habits[customer_id]
            ]
            for ledger in ledgers:
                ledger.load_customer(customer_id, 0)
                ledger.publish(ledger.decide(sales, NOW))

    def points(self, customer_id: bytes) -> Operation:
        """Return an accumulation of points with an invoice number: one posting."""
        return self._sale(customer_id, self._brand(customer_id))

    def points_and_coins(self, customer_id: bytes) -> Operation:
        """Return an accumulation with an invoice number at a brand that issues coins: two."""
        return self._sale(customer_id, self._brand(customer_id), coins=540)

    def redemption(self, customer_id: bytes) -> Operation:
        """Return a redemption of a reward: one posting."""
        brand_id = self._brand(customer_id)
        return self._operation(customer_id, brand_id, kind=Kind.REDEMPTION, requested=50, item_id=7)

    def batch(self, make: Callable[[bytes], Operation]) -> list[Operation]:
        """Return the operations of a batch, of as many customers, in the order they came in."""
        drawn: dict[bytes, None] = {}
        while len(drawn) < BATCH_OPERATIONS:
            drawn[self._dice.choices(self.customer_ids, cum_weights=self._weights)[0]] = None
        return [make(customer_id) for customer_id in drawn]

    def _brand(self, customer_id: bytes) -> int:
        return self._dice.choice(self._habits[customer_id])

    def _sale(
        self, customer_id: bytes, brand_id: int, *, points: int = 54, coins: int = 0
    ) -> Operation:
        return self._operation(
            customer_id,
            brand_id,
            kind=Kind.ACCUMULATION,
            requested=points,
            expires_day=TODAY + 365,
            coins=coins,
            coins_expires_day=TODAY + 730,
            bill_amount=5_400_000,
            invoice_number=b"FE1-%d" % next(self._numbers),
        )

    def _operation(self, customer_id: bytes, brand_id: int, **asks: Any) -> Operation:
        return Operation(
            customer_id=bytes(bytearray(customer_id)),  # each request brings its own
            transaction_id=self._dice.randbytes(16),
            fingerprint=self._dice.getrandbits(62),
            brand_id=brand_id,
            store_id=1 + self._dice.randrange(STORES),
            asset=brand_id,
            utc_offset=COLOMBIA,
            occurred_at=NOW,
            **asks,
        )


class Contest:
    """Batches of one kind of operation; those of the plain rules have ledgers of their own."""

    def __init__(self, traffic: Traffic, make: Callable[[bytes], Operation]) -> None:
        self._ledger = Ledger(COLOMBIA)
        traffic.load(traffic.customer_ids, self._ledger)
        self._batches = [traffic.batch(make) for _ in range(BATCHES)]
        self._few = self._batches[0][:PLAIN_OPERATIONS]
        self._pair = Ledger(COLOMBIA), ReferenceLedger(COLOMBIA)
        traffic.load([operation.customer_id for operation in self._few], *self._pair)

    def round(self) -> dict[str, float]:
        """Decide and publish all batches, some times; return nanoseconds an operation."""
        took: dict[str, list[float]] = {part: [] for part in ("decide", "publish", "claims")}
        for operations in self._batches * PASSES:
            batch = timed(took["decide"], self._ledger.decide, operations, NOW)
            timed(took["publish"], self._ledger.publish, batch)
        timed(took["claims"], getattr, batch, "claims")
        least = min(took["decide"])
        return {part: median(times) for part, times in took.items()} | {"least": least}

    def ratio(self) -> float:
        """Return how many times as long as the compiled ledger the plain rules take."""
        took: list[float] = []
        compiled, plain = (timed(took, each.decide, self._few, NOW) for each in self._pair)
        if compiled.journal != plain.journal:
            raise AssertionError("the two ledgers came to different rows")
        for ledger, batch in zip(self._pair, (compiled, plain), strict=True):
            ledger.publish(batch)
        return took[1] / took[0]


def timed(into: list[float], work: Callable[..., Any], *arguments: Any) -> Any:
    """Do `work`, and note how many nanoseconds of CPU time it took for each of 512 operations."""
    start = time.thread_time_ns()
    result = work(*arguments)
    into.append((time.thread_time_ns() - start) / BATCH_OPERATIONS)
    return result


def summary_of(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Return the median, least and most of each part over the rounds."""
    columns = {part: [found[part] for found in rounds] for part in rounds[0]}
    columns["per_second"] = [1e9 / taken for taken in columns["decide"]]
    columns["best_per_second"] = [1e9 / taken for taken in columns["least"]]
    return {part: report.spread(values) for part, values in columns.items()}


def show(summary: dict[str, Any], console: Console) -> None:
    """Show a table of the kinds of operations."""
    console.print(f"asked for: {TARGET:,} a second, {RATIO_TARGET} × plain")
    table = Table(title="decided and encoded by one core, medians of the rounds")
    columns = ("operation", "a second", "best batch", "ns", "publish", "claims", "× plain")
    for name in columns:
        table.add_column(name, justify="left" if name == "operation" else "right")
    for name, parts in summary.items():
        table.add_row(
            name,
            *(f"{parts[part]['median']:,.0f}" for part in ("per_second", "best_per_second")),
            *(f"{parts[part]['median']:,.0f}" for part in ("decide", "publish", "claims", "ratio")),
        )
    console.print(table)


def main() -> None:
    """Run, show a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    console = report.console()
    contests = {}
    for traffic in map(Traffic, CUSTOMERS):
        for make in (traffic.points, traffic.points_and_coins, traffic.redemption):
            name = f"{make.__name__.replace('_', ' ')}, {len(traffic.customer_ids)} customers"
            contests[name] = Contest(traffic, make)
    gc.freeze()  # as the engine does: nobody collects what is loaded
    rounds = [
        {name: each.round() | {"ratio": each.ratio()} for name, each in contests.items()}
        for _ in track(range(options.rounds), console=console, transient=True)
    ]
    summary = {name: summary_of([found[name] for found in rounds]) for name in contests}
    show(summary, console)
    found = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": report.machine(),
        "versions": report.versions(),
        "batch_operations": BATCH_OPERATIONS,
        "load_averages": os.getloadavg(),
        "summary": summary,
        "rounds": rounds,
    }
    report.save("decide", found, options.results, console)


if __name__ == "__main__":
    main()

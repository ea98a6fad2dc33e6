"""What a cached customer with one wallet of ten lots costs in memory.

Customers are loaded into a compiled ledger, as a lane loads them, in a process of its own; what is
counted is how its resident memory grows: the customer and the id, the wallet and its lots, the
share of the table. The same is counted again after each has traded, for a trade leaves other memory
than a load.

    python -m bench.memory [--customers 200000] [--lots 10]
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from struct import pack
from typing import Any, Final

import orjson

from bench import report
from bench.books import COLOMBIA
from engine.codes import Kind
from engine.ledger.core import Ledger, Operation

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
NOW: Final = 1_767_000_000_000_000
TODAY: Final = NOW // 86_400_000_000
BATCH: Final = 512


def resident() -> int:
    """Return the resident bytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def lots_of(count: int) -> bytes:
    """Return `count` lots of ten points each, as PostgreSQL gives them."""
    numbers = [n for at in range(count) for n in ((TODAY + 30 + at) << 32, 10)]
    array = pack(">iiiii", 1, 0, 20, len(numbers), 1)
    return array + b"".join(pack(">iq", 8, number) for number in numbers)


def ids(count: int) -> Iterator[bytes]:
    """Yield the ids of so many customers."""
    dice = Random("memory")
    for _ in range(count):
        yield dice.randbytes(16)


def load(customers: int, lots: int) -> Ledger:
    """Return a ledger with so many customers, each with one wallet of so many lots."""
    ledger, array = Ledger(COLOMBIA), lots_of(lots)
    for customer_id in ids(customers):
        ledger.load_customer(customer_id, 0)
        ledger.load_wallet(customer_id, 1, 7, 10 * lots, 0, 0, array, None, bytes(16), NOW)
    return ledger


def trade(ledger: Ledger, customers: int) -> None:
    """Let every customer spend and earn a point of a lot that they have: it stays as many lots."""
    dice, batch = Random("trade"), []
    for number, customer_id in enumerate(ids(customers), 1):
        place = {"customer_id": customer_id, "asset": 1, "brand_id": 1, "occurred_at": NOW}
        batch.append(
            Operation(
                kind=Kind.ACCUMULATION,
                transaction_id=dice.randbytes(16),
                requested=1,
                expires_day=TODAY + 30,
                **place,
            )
        )
        if len(batch) == BATCH or number == customers:
            ledger.publish(ledger.decide(batch, NOW))
            batch = []


def measure(customers: int, lots: int) -> dict[str, float]:
    """Return the bytes a customer, loaded and after a trade; to be called once in a process."""
    load(1_000, lots)
    before = resident()
    ledger = load(customers, lots)
    loaded = resident()
    trade(ledger, customers)
    traded = resident()
    assert ledger.wallets == ledger.customers == customers
    return {"loaded": (loaded - before) / customers, "traded": (traded - before) / customers}


def main() -> None:
    """Measure in a fresh process each, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--lots", type=int, default=10)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args()
    if options.once:
        sys.stdout.buffer.write(orjson.dumps(measure(options.customers, options.lots)))
        return
    figures: dict[str, Any] = {"customers": options.customers, "bytes_by_lots": {}}
    for lots in sorted({1, options.lots}):
        command = [sys.executable, "-m", "bench.memory", "--once", "--lots", str(lots)]
        command += ["--customers", str(options.customers)]
        run = subprocess.run(command, check=True, capture_output=True)
        figures["bytes_by_lots"][str(lots)] = found = orjson.loads(run.stdout)
        print(f"{lots:3} lots: {found['loaded']:.0f} bytes loaded, {found['traded']:.0f} traded")
    figures |= {"machine": report.machine(), "versions": report.versions()}
    report.save("memory", figures, options.results, report.console())


if __name__ == "__main__":
    main()

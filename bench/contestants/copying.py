"""The floor of durable bulk writes: the rows of sales by COPY on one connection, nothing else.

They are the very rows that the engine would write, made before the clock starts, so many sales in
each transaction. Nothing is read, claimed or answered. An operation is a sale; latencies are those
of transactions.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from random import Random
from time import perf_counter, perf_counter_ns
from typing import Any, Final

import asyncpg
import orjson
import uvloop

from bench.sales import COLOMBIA, NOW, rows_of, sales_of
from bench.tally import CpuWatch, Tally
from engine.ledger.core import Ledger
from engine.ledger.journal import COLUMNS

SALES_PER_SECOND_MAX: Final = 60_000
CUSTOMERS: Final = 2_000


def batches_of(seed: int, sales: int, size: int) -> list[bytes]:
    """Return the rows of that many sales of customers of their own, in batches, as COPY."""
    dice = Random(f"copying {seed}")
    customer_ids = [dice.randbytes(16) for _ in range(CUSTOMERS)]
    ledger = Ledger(COLOMBIA)
    for customer_id in customer_ids:
        ledger.load_customer(customer_id, 0)
    make = sales_of(customer_ids, invoices=True, seed=seed)
    return [rows_of(ledger, make(size), NOW).journal for _ in range(sales // size)]


async def copy(options: argparse.Namespace) -> dict[str, Any]:
    """Copy batch after batch until the time or the rows are over; return the figures."""
    sales = int(SALES_PER_SECOND_MAX * (options.warm + options.seconds))
    batches = batches_of(options.seed, sales, options.batch)
    connection = await asyncpg.connect(options.database_url)
    tally, started = Tally(), perf_counter()
    watch, warming = CpuWatch(options.watch), True
    for rows in batches:
        if warming and perf_counter() - started > options.warm:
            tally, watch, started, warming = Tally(), CpuWatch(options.watch), perf_counter(), False
        if not warming and perf_counter() - started > options.seconds:
            break
        sent = perf_counter_ns()
        await connection.copy_to_table(
            "journal", source=BytesIO(rows), columns=COLUMNS["journal"], format="binary"
        )
        tally.latencies_ns.append(perf_counter_ns() - sent)
    elapsed, cpu = perf_counter() - started, watch.seconds()
    await connection.close()
    figures = tally.figures(elapsed, cpu)
    for name in ("operations", "per_second"):
        figures[name] *= options.batch
    for name in figures["cpu_us_per_operation"]:
        figures["cpu_us_per_operation"][name] /= options.batch
    return figures | {"batch_operations": options.batch}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--batch", type=int, default=512, help="sales in a transaction")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--warm", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--watch", action="append", default=[], metavar="NAME=PID")
    print(orjson.dumps(uvloop.run(copy(parser.parse_args()))).decode())

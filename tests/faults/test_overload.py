"""More than the engine takes on is refused at once, with nothing done; a retry is done once.

In the later tests a proxy makes the database slow and the benchmarks' client offers more than it
can do, at a constant rate whatever becomes of it. Every request has a key of its own, so there are
as many operations in the journal as were answered.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
import pytest
from harness import CHAIN_KEY, ROOT, EngineProcess, People, clients_of, connection_to, until
from proxy import Proxy
from torture import progress, record, size
from traffic import Intent, faults_of, settle

from engine.ledger.audit import audit_journal
from engine.settings import Settings

SALE = {"amount": 5_400_000, "currency": "COP"}


async def test_a_full_queue_refuses_at_once_and_a_retry_with_the_same_key_is_done_once(
    loaded_network, dsn, make_engine
):
    engine = make_engine(loaded_network, dsn, "--queue-operations-max", "3", "--lanes", "1")
    await asyncio.to_thread(engine.start)
    intents = [
        Intent("accumulate", customer, f"full-{number}", SALE)
        for number, customer in enumerate(People(engine.demo).several(120))
    ]
    async with clients_of(engine) as clients, connection_to(dsn) as connection:
        await asyncio.gather(*(intent.send(clients.store) for intent in intents))
        refused = [reply for one in intents for reply in one.replies if reply.status != 201]
        assert refused, "nothing was refused"
        for reply in refused:
            assert (reply.status, reply.code) == (503, "overloaded")
            assert int(reply.headers["Retry-After"]) >= 1
        metrics = (await clients.anonymous.request("GET", "/metrics")).json.decode()
        assert f'leal_http_shed_total{{reason="overloaded"}} {len(refused)}.0' in metrics
        # What was refused was not done, and what was not refused was.
        assert await faults_of(connection, intents) == []
        done = await connection.fetchval("select count(*) from journal where asset = 1")
        assert done == len(intents) - len(refused)
        await settle(intents, clients)
        assert await faults_of(connection, intents) == []
        assert {one.answer.json["points"]["balance"] for one in intents} == {54}


async def test_one_account_with_too_much_waiting_does_not_keep_others_out(
    loaded_network, dsn, make_engine
):
    engine = make_engine(loaded_network, dsn, "--account-operations-max", "1", "--lanes", "1")
    await asyncio.to_thread(engine.start)
    hot, *others = People(engine.demo).several(20)
    crowd = [Intent("accumulate", hot, f"hot-{number}", SALE) for number in range(150)]
    rest = [Intent("accumulate", one, "beside", SALE) for one in others]
    async with clients_of(engine) as clients, connection_to(dsn) as connection:
        await asyncio.gather(*(intent.send(clients.store) for intent in crowd + rest))
        assert {one.answer.status for one in rest if one.answer} == {201}
        assert all(one.answer is not None for one in rest)
        assert {reply.code for one in crowd for reply in one.replies} <= {None, "overloaded"}
        await settle(crowd, clients)
        assert await clients.store.points(hot, 1) == 54 * len(crowd)
        assert await faults_of(connection, crowd + rest) == []


BATCH = 8
SLOW_COMMIT_MS = 40
CONNECTIONS_AT_PEAK = 32
TIMES = (3, 10)
TRIES_MAX = 3
RATE_OF_SLOW = 100
RUN_S = size(2, 20)
CUSTOMERS = 400
SETTLED_S = 2.5
"""Longer than an answer of these engines takes: what was unknown is known by then."""

WRITTEN = "select count(*) from journal where leg = 0 and kind in (1, 3)"
"""Accumulations and holds: all that these crowds ask for."""

PAGES_PER_MIB = 2**20 // 4096


class Crowd:
    """The client of the benchmarks in front of one engine; it counts what it was told."""

    def __init__(self, engine: EngineProcess) -> None:
        self.engine = engine
        self._seeds = itertools.count(1)
        self._answered = self._unknown = 0

    async def run(self, stream: str, *options: str, seconds: float = RUN_S) -> dict[str, Any]:
        """Drive a stream; return the figures, as bench/tally.py has them."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.client", "--url", self.engine.url),
            *("--demo", str(self.engine.folder / "demo.json"), "--stream", stream),
            *("--seed", str(next(self._seeds)), "--customers", str(CUSTOMERS)),
            *("--warm", "0", "--seconds", str(seconds), *options),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, broke = await process.communicate()
        assert process.returncode == 0, broke.decode()
        figures: dict[str, Any] = orjson.loads(said)
        assert figures["errors"] == []
        statuses = figures["statuses"]
        self._answered += statuses.get("201", 0) + statuses.get("409", 0)
        # A closed loop does not count what is under way when its time is over.
        self._unknown += statuses.get("504", 0) + figures.get("unanswered", CONNECTIONS_AT_PEAK)
        return figures

    async def offer(self, stream: str, rate: float, **more: Any) -> dict[str, Any]:
        """Offer so many a second whatever becomes of them; who is refused comes again."""
        options = ("--rate", f"{rate:.1f}", "--tries-max", str(TRIES_MAX))
        return await self.run(stream, *options, **more)

    async def seconds_until_served(self) -> float:
        """Return how long it takes until a sale is done."""
        began = monotonic()
        (customer,) = People(self.engine.demo).several(1)
        sale = Intent("accumulate", customer, f"afterwards-{next(self._seeds)}", SALE)
        async with clients_of(self.engine) as clients:
            await settle([sale], clients)
        self._answered += 1
        return round(monotonic() - began, 3)

    async def waiting(self) -> int:
        """Return how many operations wait in the engine."""
        async with clients_of(self.engine) as clients:
            metrics = (await clients.anonymous.request("GET", "/metrics")).json.decode()
        (line,) = (one for one in metrics.splitlines() if one.startswith("leal_queue_operations"))
        return int(float(line.split()[1]))

    async def faults(self, connection: Any) -> list[str]:
        """Return what is wrong in the books, and between them and what was answered."""
        report = await audit_journal(connection, chain_key=CHAIN_KEY)
        found = [str(fault) for fault in report.faults]
        written = await connection.fetchval(WRITTEN)
        if not self._answered <= written <= self._answered + self._unknown:
            found.append(
                f"{written} operations are written, {self._answered} were answered and of"
                f" {self._unknown} it was not known"
            )
        return found

    def memory_mib(self) -> int:
        """Return the resident memory of the engine."""
        pages = Path(f"/proc/{self.engine.pid}/statm").read_text().split()[1]
        return int(pages) // PAGES_PER_MIB


def told(figures: dict[str, Any]) -> dict[str, Any]:
    """Return what is worth reading of a run's figures."""
    return {
        "done_per_s": round(figures.get("good_per_second", figures["per_second"])),
        "p99_ms": round(figures["latency_ms"]["p99"], 1),
        "refused": figures["shed"],
        "refusal_p50_ms": round(figures["refusal_ms"]["p50"], 1),
        "refusal_p99_ms": round(figures["refusal_ms"]["p99"], 1),
    }


def share_refused(figures: dict[str, Any]) -> float:
    """Return how many of the tries of a run were refused."""
    return round(figures["shed"] / sum(figures["statuses"].values()), 3)


@pytest.fixture
async def slow(loaded_network, dsn, make_engine):
    """Give (a proxy in front of the database, the crowd of an engine behind it, a connection)."""
    async with Proxy(dsn) as proxy, connection_to(dsn) as connection:
        # No connection of the crowd is closed for having had nothing to say for half a minute.
        flags = ("--lanes", "1", "--keepalive-timeout-s", "120")
        batches = ("--batch-operations-max", str(BATCH))
        engine = make_engine(loaded_network, proxy.dsn, *flags, *batches)
        await asyncio.to_thread(engine.start)
        crowd = Crowd(engine)
        await crowd.run("funding", "--connections", str(BATCH), seconds=30)
        yield proxy, crowd, connection
        proxy.silent = False


async def test_of_three_and_ten_times_too_much_as_much_is_done_as_at_the_peak(slow):
    proxy, crowd, connection = slow
    proxy.delay_s = lambda: SLOW_COMMIT_MS / 1000
    peak = await crowd.run(
        "accumulations", "--connections", str(CONNECTIONS_AT_PEAK), "--shed", seconds=RUN_S
    )
    figures, shares = {}, {}
    for number, times in enumerate(TIMES, 1):
        before = crowd.memory_mib()
        sales, payments = await asyncio.gather(
            crowd.offer("accumulations", times * peak["per_second"]),
            crowd.offer("holds", 0.1 * peak["per_second"]),
        )
        done = sales["good_per_second"] + payments["good_per_second"]
        shares[times] = share_refused(sales), share_refused(payments)
        figures[f"{times} x"] = {
            "sales": told(sales),
            "payments": told(payments),
            "done_of_peak": round(done / peak["per_second"], 2),
            "refused_of_sales_and_payments": shares[times],
            "memory_mib": (before, crowd.memory_mib()),
        }
        progress("overload", number, len(TIMES))
    recovered = await crowd.seconds_until_served()
    faults = await crowd.faults(connection)
    assert faults == []
    for sales, payments in shares.values():
        assert sales > 0, "nothing was refused"
        assert payments < sales, "coins are refused last"
    record("overload", peak=told(peak), wrong=len(faults), recovery_s=[recovered], **figures)


@pytest.mark.parametrize("late_ms", [5, 50, 500])
async def test_a_slow_database_is_waited_for_and_what_waits_is_bounded(slow, late_ms):
    proxy, crowd, connection = slow
    proxy.delay_s = lambda: late_ms / 1000
    offering = asyncio.create_task(crowd.offer("accumulations", RATE_OF_SLOW))
    waiting = [0]
    while not offering.done():
        await asyncio.sleep(0.1)
        waiting.append(await crowd.waiting())
    sales = await offering
    proxy.delay_s = None
    recovered = await crowd.seconds_until_served()
    await asyncio.sleep(SETTLED_S)
    faults = await crowd.faults(connection)
    assert faults == []
    assert max(waiting) <= Settings().queue_operations_max
    record(
        f"database {late_ms} ms late",
        sales=told(sales),
        waiting_most=max(waiting),
        wrong=len(faults),
        recovery_s=[recovered],
    )


async def test_a_database_that_stands_still_is_recovered_from(slow):
    proxy, crowd, connection = slow
    still_s = size(2, 30)
    offering = asyncio.create_task(
        crowd.offer("accumulations", RATE_OF_SLOW, seconds=2 * RUN_S + still_s)
    )
    before = await connection.fetchval(WRITTEN)
    await until(lambda: _more_than(connection, before))
    proxy.silent = True
    await asyncio.sleep(still_s)
    waiting = await crowd.waiting()
    proxy.silent = False
    recovered = await crowd.seconds_until_served()
    sales = await offering
    await asyncio.sleep(SETTLED_S)
    faults = await crowd.faults(connection)
    assert faults == []
    assert sales["shed"] > 0, "nobody noticed"
    record(
        f"database still for {still_s} s",
        sales=told(sales),
        waiting_at_its_end=waiting,
        faults=1,
        wrong=len(faults),
        recovery_s=[recovered],
    )


async def _more_than(connection, before: int) -> bool:
    return await connection.fetchval(WRITTEN) > before

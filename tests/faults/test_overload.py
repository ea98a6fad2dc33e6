"""More than the engine takes on is refused at once, with nothing done; a retry is done once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import pytest
from harness import People, clients_of, connection_to
from proxy import Proxy
from torture import progress, record, size
from traffic import Intent, faults_of, settle

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


# Three and ten times as much as the database lets through, in an open loop with retries.

SLOW_COMMIT_S = 0.02
BATCH = 8
TIMES = (1, 3, 10)
RUN_S = size(2, 20)
CONNECTIONS = 120
TRIES_MAX = 3
PUT_OFF = ((503, "overloaded"), (503, "unavailable"), (504, "outcome_unknown"))


class Crowd:
    """Clients that send at a constant rate whatever comes back; who is put off comes again."""

    def __init__(self, clients, customers, dice):
        self.clients, self.customers, self.dice = clients, customers, dice
        self.intents: list[Intent] = []
        self.accepted: list[tuple[str, float]] = []
        self.refused: list[tuple[str, float]] = []
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def offer(self, rate, seconds, name):
        """Offer so many a second; latency counts from the moment each was meant to be sent."""
        began = monotonic()
        tasks = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - monotonic()))
            verb = self.dice.choices(("accumulate", "pay"), (9, 1))[0]
            body = SALE if verb == "accumulate" else {"coins": 1}
            intent = Intent(verb, self.dice.choice(self.customers), f"{name}-{number}", body)
            self.intents.append(intent)
            tasks.append(asyncio.create_task(self._insist(intent)))
        await asyncio.gather(*tasks)

    async def _insist(self, intent):
        for _ in range(TRIES_MAX):
            meant = monotonic()
            async with self._turns:
                await intent.send(self.clients.store)
            took = monotonic() - meant
            if intent.answer is not None:
                self.accepted.append((intent.verb, took))
                return
            self.refused.append((intent.verb, took))
            for reply in intent.replies:
                assert (reply.status, reply.code) in PUT_OFF
                assert int(reply.headers["Retry-After"]) >= 1
            await asyncio.sleep(self.dice.uniform(0.5, 1.5))


def percentile(pairs, share):
    found = sorted(took for _, took in pairs)
    return round(1000 * found[min(len(found) - 1, int(share * len(found)))], 1) if found else None


async def test_what_is_too_much_is_refused_at_once_and_coins_come_last(
    loaded_network, dsn, make_engine, dice
):
    async with Proxy(dsn) as proxy:
        flags = ("--batch-operations-max", str(BATCH), "--lanes", "1")
        engine = make_engine(loaded_network, proxy.dsn, *flags)
        await asyncio.to_thread(engine.start)
        customers = People(engine.demo).several(400)
        async with clients_of(engine) as clients, connection_to(dsn) as connection:
            warm = Crowd(clients, customers, dice)
            await warm.offer(100, 3, "warm")
            proxy.delay_s = lambda: SLOW_COMMIT_S
            capacity = BATCH / (SLOW_COMMIT_S + 0.01)
            intents, figures = warm.intents, {}
            for times in TIMES:
                crowd = Crowd(clients, customers, dice)
                before = memory_of(engine.pid)
                await crowd.offer(times * capacity, RUN_S, f"times-{times}")
                intents += crowd.intents
                figures[f"{times} x"] = {
                    "accepted_per_s": round(len(crowd.accepted) / RUN_S),
                    "accepted_p99_ms": percentile(crowd.accepted, 0.99),
                    "refused": len(crowd.refused),
                    "refused_p50_ms": percentile(crowd.refused, 0.5),
                    "memory_mib": [before, memory_of(engine.pid)],
                }
                progress("overload", TIMES.index(times) + 1, len(TIMES))
            shares = {
                verb: sum(one == verb for one, _ in crowd.refused)
                / max(1, sum(one.verb == verb for one in crowd.intents))
                for verb in ("accumulate", "pay")
            }
            assert crowd.refused, "nothing was refused"
            assert shares["pay"] < shares["accumulate"], "coins are refused last"
            proxy.delay_s = None
            began = monotonic()
            await settle(intents, clients)
            figures["back_to_normal_s"] = round(monotonic() - began, 2)
            assert await faults_of(connection, intents) == []
    record("overload", faults=len(crowd.refused), wrong=0, shares_refused=shares, **figures)


def memory_of(pid):
    """Return the resident memory of a process in MiB."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096 // 2**20


@pytest.mark.parametrize("late_s", [0.005, 0.05, 0.5])
async def test_a_slow_database_is_waited_for_with_bounded_queues(
    loaded_network, dsn, make_engine, dice, late_s
):
    async with Proxy(dsn) as proxy:
        engine = make_engine(loaded_network, proxy.dsn, "--lanes", "1")
        await asyncio.to_thread(engine.start)
        customers = People(engine.demo).several(100)
        proxy.delay_s = lambda: late_s
        async with clients_of(engine) as clients, connection_to(dsn) as connection:
            crowd = Crowd(clients, customers, dice)
            await crowd.offer(100, size(2, 20), f"late-{late_s}")
            waiting = max(await waiting_of(clients) for _ in range(5))
            proxy.delay_s = None
            began = monotonic()
            await settle(crowd.intents, clients)
            recovered = round(monotonic() - began, 2)
            assert waiting <= Settings().queue_operations_max
            assert await faults_of(connection, crowd.intents) == []
    p99 = percentile(crowd.accepted, 0.99)
    facts = {"accepted_p99_ms": p99, "refused": len(crowd.refused), "recovery_s": [recovered]}
    record(f"database {1000 * late_s:.0f} ms late", faults=len(crowd.intents), wrong=0, **facts)


async def waiting_of(clients):
    metrics = (await clients.anonymous.request("GET", "/metrics")).json.decode()
    (line,) = (line for line in metrics.splitlines() if line.startswith("leal_queue_operations"))
    return float(line.split()[1])


async def test_a_database_that_stands_still_for_long_is_recovered_from(
    loaded_network, dsn, make_engine, dice
):
    async with Proxy(dsn) as proxy:
        engine = make_engine(loaded_network, proxy.dsn, "--lanes", "1")
        await asyncio.to_thread(engine.start)
        customers = People(engine.demo).several(50)
        async with clients_of(engine) as clients, connection_to(dsn) as connection:
            crowd = Crowd(clients, customers, dice)
            offering = asyncio.create_task(crowd.offer(50, size(4, 40), "still"))
            await asyncio.sleep(1)
            proxy.silent = True
            await asyncio.sleep(size(2, 30))
            proxy.silent = False
            began = monotonic()
            first = Intent("accumulate", customers[0], "after", SALE)
            await settle([first], clients)
            recovered = round(monotonic() - began, 2)
            await offering
            await settle(crowd.intents, clients)
            assert await faults_of(connection, [first, *crowd.intents]) == []
    record("database stands still", faults=1, wrong=0, recovery_s=[recovered])

"""The database fails in many ways: each operation ends with one answer, the books balance."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from itertools import count
from time import monotonic

import pytest
from harness import Network, People, answered, clients_of, connection_to, until
from proxy import Fault, Proxy
from torture import progress, record, size
from traffic import Intent, faults_of, plan, send_all, settle

from engine.postgres.embedded import EmbeddedPostgres

BACKEND_KILLS = size(20, 200)
SERVER_KILLS = size(5, 50)
RECOVERY_SECONDS_MAX = 5.0
SALE = {"amount": 5_400_000, "currency": "COP"}
HASTIER = (
    *("--lock-timeout-ms", "100", "--statement-timeout-ms", "290"),
    *("--append-timeout-ms", "300", "--answer-timeout-ms", "2000"),
)
KILL_BACKENDS = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
    " where datname = current_database() and application_name like 'leal-%'"
)


def refused_for_now(intents):
    """Return the replies that put an intent off, and see that each says when to come again."""
    replies = [reply for intent in intents for reply in intent.replies if reply.status >= 500]
    for reply in replies:
        assert (reply.status, reply.code) in (
            (503, "unavailable"),
            (503, "overloaded"),
            (504, "outcome_unknown"),
        )
        assert int(reply.headers["Retry-After"]) >= 1
    return replies


# Backends and the whole server are killed.


async def test_killed_backends_lose_and_double_nothing(loaded_network, dsn, make_engine, dice):
    engine = make_engine(loaded_network, dsn)
    await asyncio.to_thread(engine.start)
    pid = engine.pid
    customers = People(engine.demo).several(40)
    everything, killed, hit = [], 0, 0
    async with clients_of(engine) as clients, connection_to(dsn) as connection:
        tasks = []
        for round_number in count():
            if killed >= BACKEND_KILLS:
                break
            intents = plan(dice, customers, 150, f"backend-{round_number}")
            everything += intents
            in_flight = await send_all(
                intents,
                clients.store,
                after=dice.randrange(40, 120),
                then=lambda: tasks.append(asyncio.create_task(connection.fetchval(KILL_BACKENDS))),
            )
            hit += len(in_flight)
            killed += await tasks[-1]
            progress("backends killed", min(killed, BACKEND_KILLS), BACKEND_KILLS)
        await settle(everything, clients)
        refused_for_now(everything)
        assert hit
        assert await faults_of(connection, everything) == []
    assert engine.pid == pid
    assert engine.process.poll() is None
    unknown = len(engine.events("ambiguous_batch"))
    facts = {"requests": len(everything), "in_flight": hit, "unknown_outcomes": unknown}
    record("backends killed", faults=killed, wrong=0, **facts)


async def test_a_killed_server_is_waited_for_and_loses_and_doubles_nothing(
    make_engine, dice, tmp_path
):
    folder = tmp_path / "server"
    server = EmbeddedPostgres(folder)
    try:
        network = await Network(await asyncio.to_thread(server.start), folder).load()
        dsn = network.server_dsn
        engine = make_engine(network, dsn)
        await asyncio.to_thread(engine.start)
        customers = People(engine.demo).several(40)
        intents = plan(dice, customers, 150, "server")
        postmaster = int((folder / "postgres" / "postmaster.pid").read_text().split("\n")[0])
        async with clients_of(engine) as clients:
            in_flight = await send_all(
                intents,
                clients.store,
                after=dice.randrange(40, 90),
                then=lambda: os.kill(postmaster, signal.SIGKILL),
            )
            assert in_flight
            # Everybody is told to come again, readers too, and the probes say why.
            assert refused_for_now(intents)
            for reply in await asyncio.gather(
                clients.store.customer(customers[0]),
                clients.store.wallets(customers[0]),
                clients.store.transactions(customers[0]),
                clients.store.lookup(email="nobody@example.com"),
                clients.store.register(
                    document={"type": "CC", "number": "600000001"}, email="new@example.com"
                ),
                clients.store.accumulate(customers[0], "away", **SALE),
                clients.store.pay(customers[0], "away too", coins=1),
            ):
                assert reply.status in (503, 504)
                assert reply.headers["Retry-After"]
            ready = await clients.anonymous.request("GET", "/readyz")
            assert (ready.status, ready.json["reason"]) == (503, "database out of reach")
            assert (await clients.anonymous.request("GET", "/livez")).status == 200
            pid = engine.pid

            await asyncio.to_thread(server.start)
            await settle(intents, clients)

            async def ready_again():
                return (await clients.anonymous.request("GET", "/readyz")).status == 200

            await until(ready_again)
            away = [
                Intent("accumulate", customers[0], "away", SALE),
                Intent("pay", customers[0], "away too", {"coins": 1}),
            ]
            await settle(away, clients)
            assert (await clients.store.customer(customers[0])).status == 200
        async with connection_to(dsn) as connection:
            assert await faults_of(connection, intents + away) == []
        assert engine.pid == pid
        assert engine.process.poll() is None
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_server_that_is_killed_again_and_again_loses_and_doubles_nothing(
    make_engine, dice, tmp_path
):
    folder = tmp_path / "server"
    server = EmbeddedPostgres(folder)
    try:
        network = await Network(await asyncio.to_thread(server.start), folder).load()
        engine = make_engine(network, network.server_dsn)
        await asyncio.to_thread(engine.start)
        pid, customers = engine.pid, People(engine.demo).several(40)
        everything, recovery, hit = [], [], 0
        async with clients_of(engine) as clients:
            for number in range(SERVER_KILLS):
                intents = plan(dice, customers, 120, f"killed-{number}")
                everything += intents
                postmaster = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
                in_flight = await send_all(
                    intents,
                    clients.store,
                    after=dice.randrange(20, 80),
                    then=lambda victim=postmaster: os.kill(victim, signal.SIGKILL),
                )
                assert in_flight
                hit += len(in_flight)
                await asyncio.to_thread(server.start)
                back = monotonic()
                await settle([one for one in intents if one.answer is None][:1], clients)
                recovery.append(round(monotonic() - back, 3))
                await settle(intents, clients)
                progress("servers killed", number + 1, SERVER_KILLS)
        async with connection_to(network.server_dsn) as connection:
            assert await faults_of(connection, everything) == []
        assert (engine.pid, engine.process.poll()) == (pid, None)
        unknown = len(engine.events("ambiguous_batch"))
        facts = {"requests": len(everything), "in_flight": hit, "unknown_outcomes": unknown}
        record("servers killed", faults=SERVER_KILLS, wrong=0, recovery_s=recovery, **facts)
    finally:
        await asyncio.to_thread(server.stop)


async def test_who_waits_no_longer_than_an_append_takes_is_never_told_a_falsehood(
    loaded_network, dsn, make_engine, dice
):
    """Deadlines about as short as the append itself: what timed out had mostly been committed."""
    async with Proxy(dsn) as proxy:
        engine = make_engine(loaded_network, proxy.dsn, "--lanes", "1", *HASTIER)
        await asyncio.to_thread(engine.start)
        proxy.delay_s = lambda: dice.uniform(0, 0.5)
        customers = People(engine.demo).several(20)
        intents = plan(dice, customers, size(150, 3000), "hasty")
        async with clients_of(engine) as clients, connection_to(dsn) as connection:
            await send_all(intents, clients.store, at_once=6)
            replies = refused_for_now(intents)
            proxy.delay_s = None
            await settle(intents, clients)
            assert await faults_of(connection, intents) == []
        unknown = len(engine.events("ambiguous_batch"))
        assert unknown, "nothing timed out"
        facts = {"requests": len(intents), "told_to_come_again": len(replies)}
        record("timeouts near the latency", faults=unknown, wrong=0, **facts)


# The connection breaks exactly around COMMIT.


COPY_REPLY_BYTES = len(b"C\0\0\0\x0bCOPY 2\0Z\0\0\0\x05I")
COPY_DONE_BYTES = len(b"c\0\0\0\x04")


async def cut_everywhere(broken, cuts, next_customer):
    """Cut one commit after the other at another byte each; each sale has one effect."""
    proxy, clients, connection, _ = broken
    for number, cut in enumerate(cuts):
        customer_id = next_customer()
        before = await clients.store.points(customer_id, 1)
        fault = proxy.strike(Fault(**cut))
        body = SALE | {"invoice_number": f"cut-{number}"} if before == 0 else SALE
        reply = await answered(
            lambda c=customer_id, b=body, n=number: clients.store.accumulate(c, f"cut-{n}", **b)
        )
        assert fault.struck.is_set()
        assert (reply.status, reply.json["points"]["balance"]) == (201, before + 54)
        again = await clients.store.accumulate(customer_id, f"cut-{number}", **body)
        assert (again.status, again.json) == (201, reply.json)
        assert await clients.store.points(customer_id, 1) == before + 54
        query = "select count(*) from journal where customer_id = $1 and asset = 1"
        assert await connection.fetchval(query, customer_id) == (before + 54) // 54
    assert await faults_of(connection, []) == []


async def test_a_commit_cut_at_any_byte_of_the_reply_has_one_effect(broken):
    _, clients, _, people = broken
    customer_id = people.complete()["customer_id"]
    await clients.store.accumulate(customer_id, **SALE)
    cuts = [{"reply_bytes": at} for at in range(COPY_REPLY_BYTES)]
    await cut_everywhere(broken, cuts, lambda: customer_id)


async def test_a_commit_cut_at_any_byte_of_the_request_has_one_effect(broken):
    _, clients, _, people = broken
    customer_id = people.complete()["customer_id"]
    await clients.store.accumulate(customer_id, **SALE)
    cuts = [{"request_bytes": at} for at in range(COPY_DONE_BYTES)]
    await cut_everywhere(broken, cuts, lambda: customer_id)


async def test_a_first_sale_with_an_invoice_cut_at_any_byte_has_one_effect(broken):
    people = broken[3]
    cuts = [
        *({"reply_bytes": at} for at in range(COPY_REPLY_BYTES + 1)),
        *({"request_bytes": at} for at in range(COPY_DONE_BYTES + 1)),
    ]
    await cut_everywhere(broken, cuts, lambda: people.complete()["customer_id"])


async def test_a_cut_of_a_batch_of_many_settles_each_of_them(broken, dice):
    proxy, clients, connection, people = broken
    customers = people.several(30)
    everything = []
    for number, cut in enumerate([{"reply_bytes": 0}, {"request_bytes": 0}] * 4):
        intents = plan(dice, customers, 60, f"many-{number}")
        everything += intents
        fault = proxy.strike(Fault(**cut))
        await send_all(intents, clients.store, at_once=60)
        await settle(intents, clients)
        assert fault.struck.is_set()
    refused_for_now(everything)
    assert await faults_of(connection, everything) == []


@pytest.mark.parametrize("where", ["hold_request", "hold_reply"])
async def test_a_commit_that_arrives_after_everybody_gave_it_up_has_one_effect(broken, where):
    """Not found is not the same as not done: the first attempt may still be on its way."""
    proxy, clients, connection, people = broken
    customer_id, neighbour = people.several(2)
    await clients.store.accumulate(customer_id, **SALE)
    release = asyncio.Event()
    fault = proxy.strike(Fault(**{where: release}))
    sale = asyncio.create_task(clients.store.accumulate(customer_id, "late", **SALE))
    await fault.struck.wait()
    # Others are served meanwhile, as soon as the lane has given the connection up.
    other = await answered(lambda: clients.store.accumulate(neighbour, "beside", **SALE))
    assert other.status == 201
    release.set()
    first = await sale
    reply = await answered(lambda: clients.store.accumulate(customer_id, "late", **SALE))
    assert first.status in (201, 504)
    assert (reply.status, reply.json["points"]["balance"]) == (201, 108)
    assert await clients.store.points(customer_id, 1) == 108
    assert await faults_of(connection, []) == []


async def test_an_unknown_outcome_is_told_as_unknown_until_it_is_known(broken):
    proxy, clients, connection, people = broken
    customer_id = people.complete()["customer_id"]
    await clients.store.accumulate(customer_id, **SALE)
    commits = [proxy.strike(Fault(hold_request=asyncio.Event())) for _ in range(20)]
    reply = await clients.store.accumulate(customer_id, "unknown", **SALE)
    assert (reply.status, reply.code) == (504, "outcome_unknown")
    assert reply.headers["Retry-After"]
    assert commits[0].struck.is_set()
    # Whatever else is asked of the customer meanwhile waits behind it.
    proxy.plan.clear()
    for fault in commits:
        fault.hold_request.set()
    reply = await answered(lambda: clients.store.accumulate(customer_id, "unknown", **SALE))
    assert (reply.status, reply.json["points"]["balance"]) == (201, 108)
    assert await faults_of(connection, []) == []


async def test_a_silent_network_is_answered_in_time_and_recovered_from(broken, dice):
    proxy, clients, connection, people = broken
    customers = people.several(10)
    intents = plan(dice, customers, 60, "silent")
    await settle(intents[:10], clients)

    def fall_silent():
        proxy.silent = True

    in_flight = await send_all(intents[10:], clients.store, at_once=20, after=10, then=fall_silent)
    assert in_flight
    replies = Counter(reply.status for reply in refused_for_now(intents))
    assert set(replies) <= {503, 504}
    assert replies
    reads = await asyncio.gather(
        *(clients.store.customer(customer) for customer in customers),
        *(clients.store.wallets(customer) for customer in customers),
    )
    assert {(reply.status, reply.code) for reply in reads} == {(503, "unavailable")}
    ready = await clients.anonymous.request("GET", "/readyz")
    assert ready.status == 503
    proxy.silent = False
    await settle(intents, clients)
    assert await faults_of(connection, intents) == []
    reply = await answered(lambda: clients.store.customer(customers[0]))
    assert reply.status == 200

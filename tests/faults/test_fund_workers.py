"""A fund that several workers issue from is issued to the last coin, and no further (COI-2)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from uuid import uuid4

import pytest
from harness import People, answered, clients_of, connection_to
from proxy import Fault
from traffic import faults_of

COINS = 540
SALE = {"amount": 5_400_000, "currency": "COP"}  # 54 points and 540 coins at brand 1
ISSUED = "select coalesce(sum(amount), 0)::bigint from journal where counter = 4"


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


async def prepay(*clients):
    """Make brand 1 prepaid at each of several engines."""
    for client in clients:
        assert (await client.network.prepay()).status == 200


async def fund(clients):
    """Return what brand 1 has deposited, issued and left."""
    told = (await clients.network.fund()).json
    return told["deposited"], told["issued"], told["balance"]


async def issued(reply):
    """Return the coins of a sale."""
    assert reply.status == 201, reply
    return reply.json["coins"]["earned"] if reply.json["coins"] else 0


async def emptied(clients, customer_id):
    """Issue what is left in the fund."""
    if left := (await fund(clients))[2]:
        reply = await clients.app.cash_back(customer_id, coins=left)
        assert reply.status == 201
    return (await fund(clients))[0]


# Two engines.


async def test_two_engines_issue_a_fund_to_the_last_coin(two, people, dice):
    """Each coin that is deposited is issued, and nobody is told of none while there are enough."""
    one, other, connection = two
    await prepay(one, other)
    customers = people.several(30)
    before = await emptied(one, customers[0])
    sales = 240
    await one.network.deposit(90 * COINS + 17)
    replies = await asyncio.gather(
        *(
            dice.choice((one, other)).store.accumulate(dice.choice(customers), f"race-{n}", **SALE)
            for n in range(sales)
        )
    )
    coins = Counter([await issued(reply) for reply in replies])
    assert coins == {COINS: 90, 0: sales - 90}
    assert await fund(other) == (before + 90 * COINS + 17, before + 90 * COINS, 17)
    # Whoever asks again is told the same by either engine.
    again = await asyncio.gather(
        *(
            client.store.accumulate(str(reply.json["customer_id"]), f"race-{n}", **SALE)
            for n, reply in enumerate(replies[:20])
            for client in (one, other)
        )
    )
    assert [reply.json for reply in again[::2]] == [reply.json for reply in replies[:20]]
    assert [reply.json for reply in again[1::2]] == [reply.json for reply in replies[:20]]
    assert (await fund(one))[2] == 17
    assert await faults_of(connection, []) == []


async def test_deposits_while_two_engines_sell_are_issued_too(two, people):
    one, other, connection = two
    await prepay(one, other)
    customers = people.several(20)
    before = await emptied(one, customers[0])

    async def sell(client, at):
        """Sell until there were coins for it 10 times."""
        got = 0
        for number in range(400):
            reply = await client.store.accumulate(customers[at], f"fed-{at}-{number}", **SALE)
            got += await issued(reply) > 0
            if got == 10:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("coins were deposited and not issued")

    async def feed():
        for number in range(20):
            await (one, other)[number % 2].network.deposit(10 * COINS)
            await asyncio.sleep(0.05)

    await asyncio.gather(feed(), *(sell((one, other)[at % 2], at) for at in range(20)))
    deposited, spent, left = await fund(one)
    assert (deposited, spent, left) == (before + 200 * COINS, before + 200 * COINS, 0)
    assert await faults_of(connection, []) == []


async def test_uploads_and_cashbacks_and_refusals_race_for_a_fund(two, people):
    one, other, connection = two
    await prepay(one, other)
    customers = people.several(20)
    before = await emptied(one, customers[0])
    blocked = people.complete()["customer_id"]
    await one.network.block(blocked, "a test")
    await one.network.deposit(100 * COINS)

    def items(client):
        return [
            {"customer_id": customer, "idempotency_key": f"{client}-{n}"} | SALE
            for n in range(4)
            for customer in customers
        ]

    uploads, cashbacks, refused = await asyncio.gather(
        asyncio.gather(one.store.upload(items(1)), other.store.upload(items(2))),
        asyncio.gather(
            *((one, other)[n % 2].app.cash_back(customers[n], coins=COINS) for n in range(20))
        ),
        asyncio.gather(*((one, other)[n % 2].store.accumulate(blocked, **SALE) for n in range(40))),
    )
    assert {reply.code for reply in refused} == {"customer_blocked"}
    results = [result for upload in uploads for result in upload.json["results"]]
    assert {result["status"] for result in results} == {201}
    with_coins = sum(result["coins"] is not None for result in results)
    given = Counter((reply.status, reply.code) for reply in cashbacks)
    assert set(given) <= {(201, None), (409, "not_available")}
    assert with_coins + given[201, None] == 100
    assert await fund(one) == (before + 100 * COINS, before + 100 * COINS, 0)
    assert await faults_of(connection, []) == []


# A worker dies.


async def test_what_a_killed_worker_had_of_a_fund_is_issued_by_others(
    loaded_network, dsn, make_engine
):
    killed, left = make_engine(loaded_network, dsn), make_engine(loaded_network, dsn)
    for engine in (killed, left):
        await asyncio.to_thread(engine.start)
    customers = People(left.demo).several(40)
    async with clients_of(left) as clients, connection_to(dsn) as connection:
        async with clients_of(killed) as victims:
            await prepay(victims, clients)
            # The first sale takes coins for 25 out of the fund, so that 20 more leave some of them.
            buyers = customers[:20]
            await clients.network.deposit(400 * COINS)
            first = await victims.store.accumulate(customers[0], "first", **SALE)
            assert await issued(first) == COINS
            sales = [
                asyncio.create_task(victims.store.accumulate(customer, f"k-{n}", **SALE))
                for n, customer in enumerate(buyers)
            ]
            await asyncio.wait(sales, return_when=asyncio.FIRST_COMPLETED)
            os.kill(killed.pid, signal.SIGKILL)
            await asyncio.gather(*sales, return_exceptions=True)
        killed.kill()
        query = "select sum(coins - drawn) from issuer_allotment where closed_at is null"
        assert await connection.fetchval(query), "it had nothing left"
        # Those that were in flight come again, at the other one; then all the others.
        sales = await asyncio.gather(
            *(
                answered(lambda c=customer, n=n: clients.store.accumulate(c, f"k-{n}", **SALE))
                for n, customer in enumerate(buyers)
            )
        )
        assert {await issued(sale) for sale in sales} == {COINS}
        sales = await asyncio.gather(
            *(
                clients.store.accumulate(customer, f"rest-{n}", **SALE)
                for n, customer in enumerate(customers * 10)
            )
        )
        assert Counter([await issued(sale) for sale in sales]) == {COINS: 379, 0: 21}
        assert await fund(clients) == (400 * COINS, 400 * COINS, 0)
        assert await connection.fetchval(ISSUED) == 400 * COINS
        assert await faults_of(connection, []) == []


# The connection breaks around COMMIT.


@pytest.mark.parametrize("cut", ["request_bytes", "reply_bytes"])
async def test_a_sale_whose_commit_is_cut_draws_its_coins_once(broken, cut):
    proxy, clients, connection, people = broken
    customer_id = people.complete()["customer_id"]
    await prepay(clients)
    await clients.network.deposit(8 * COINS)
    for at in range(4):
        fault = proxy.strike(Fault(**{cut: at * 2}))
        reply = await answered(
            lambda n=at: clients.store.accumulate(customer_id, f"cut-{n}", **SALE)
        )
        assert fault.struck.is_set()
        assert await issued(reply) == COINS
        assert await fund(clients) == (8 * COINS, (at + 1) * COINS, (7 - at) * COINS)
    sales = [await clients.store.accumulate(customer_id, **SALE) for _ in range(5)]
    assert [await issued(sale) for sale in sales] == [COINS] * 4 + [0]
    assert await faults_of(connection, []) == []


@pytest.mark.parametrize("where", ["hold_request", "hold_reply"])
async def test_the_last_coins_are_issued_once_although_nobody_knows_to_whom(
    broken, loaded_network, dsn, make_engine, where
):
    """An engine does not know whether it issued them; another one wants them meanwhile."""
    proxy, clients, connection, people = broken
    other = make_engine(loaded_network, dsn)
    await asyncio.to_thread(other.start)
    customer_id, neighbour = people.several(2)
    async with clients_of(other) as others:
        await prepay(clients, others)
        await clients.network.deposit(COINS)
        release = asyncio.Event()
        fault = proxy.strike(Fault(**{where: release}))
        first = asyncio.create_task(clients.store.accumulate(customer_id, "late", **SALE))
        await fault.struck.wait()
        second = asyncio.create_task(
            answered(lambda: others.store.accumulate(neighbour, "wants", **SALE))
        )
        await asyncio.sleep(1)
        release.set()
        await first
        late = await answered(lambda: clients.store.accumulate(customer_id, "late", **SALE))
        assert sorted([await issued(late), await issued(await second)]) == [0, COINS]
        assert await fund(others) == (COINS, COINS, 0)
        assert await connection.fetchval(ISSUED) == COINS
    assert await faults_of(connection, []) == []


async def test_a_fund_is_issued_although_backends_are_killed(two, people):
    one, other, connection = two
    await prepay(one, other)
    customers = people.several(20)
    before = await emptied(one, customers[0])
    await one.network.deposit(100 * COINS)

    async def kill():
        for _ in range(6):
            await asyncio.sleep(0.05)
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name like 'leal-%'"
            )

    keys = [str(uuid4()) for _ in range(140)]
    _, *sales = await asyncio.gather(
        kill(),
        *(
            answered(
                lambda n=n, key=key: (one, other)[n % 2].store.accumulate(
                    customers[n % 20], key, **SALE
                )
            )
            for n, key in enumerate(keys)
        ),
    )
    assert Counter([await issued(sale) for sale in sales]) == {COINS: 100, 0: 40}
    assert await fund(one) == (before + 100 * COINS, before + 100 * COINS, 0)
    assert await faults_of(connection, []) == []

"""Storms: several engines write to the same few customers at once, without affinity.

An operation is decided once more where another engine was faster; that happens seldom, and none is
given up for it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from uuid import UUID

import pytest
from harness import HASTE, People, clients_of, connection_to, running
from prometheus_client.parser import text_string_to_metric_families
from torture import record, size
from traffic import faults_of, plan, settle

DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"
SALE = {"amount": 5_400_000, "currency": "COP"}
AT_ONCE = 12


@pytest.fixture(scope="module")
def engines(loaded_network, database, tmp_path_factory):
    """Give running engines on one database, more of them than the machine has cores."""
    engines = [
        loaded_network.engine(database, tmp_path_factory.mktemp("worker"), *HASTE)
        for _ in range(size(3, 4))
    ]
    with running(engines):
        yield engines


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


@pytest.fixture
async def storm(engines, database):
    """Give clients of all engines and a connection; at the end there was no deadlock."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(clients_of(engine)) for engine in engines]
        connection = await stack.enter_async_context(connection_to(database))
        before = await connection.fetchval(DEADLOCKS)
        yield clients, connection
        assert await connection.fetchval(DEADLOCKS) == before


async def counted(clients):
    """Return how often all engines were asked for what: (metric, labels) to its value."""
    found = {}
    for each in clients:
        async with each.store.session.get(each.store.url + "/metrics") as reply:
            text = await reply.text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                place = (sample.name, *sample.labels.values())
                found[place] = found.get(place, 0) + sample.value
    return found


async def tries_since(before, clients):
    """Return how often operations were decided, by the number of tries, and the conflicts."""
    now = await counted(clients)
    gained = {place: value - before.get(place, 0) for place, value in now.items()}
    again = {
        int(place[1]): int(value)
        for place, value in gained.items()
        if place[0] == "leal_operation_tries_total" and value
    }
    done = sum(value for place, value in gained.items() if place[0] == "leal_operations_total")
    return {
        "operations": int(done),
        "tries_per_commit": round(1 + sum((n - 1) * k for n, k in again.items()) / done, 2),
        "most_tries": max(again, default=1),
        "conflicts": int(gained["leal_batch_conflicts_total",]),
        "put_off": int(gained["leal_operations_put_off_total",]),
    }


async def newcomers(connection, number):
    """Return the ids of so many customers who are registered here and now."""
    rows = await connection.fetch(
        "insert into customer (customer_id, document_type, document_number, email,"
        " missing_fields, created_at)"
        " select gen_random_uuid(), 'CC', n::text, n || '@tormenta.example', 0, now()"
        " from generate_series(1, $1) as n returning customer_id",
        number,
    )
    return [str(row["customer_id"]) for row in rows]


@pytest.mark.parametrize("customers", [1, 10, 100, size(400, 10_000)])
async def test_a_storm_is_decided_at_few_tries_and_nothing_is_given_up(storm, dice, customers):
    clients, connection = storm
    crowd = await newcomers(connection, customers)
    intents = plan(dice, crowd, size(450, 20_000), f"storm-{customers}")
    for intent in intents:
        # One that was claimed is a reason of its own to decide a batch again.
        intent.body.pop("invoice_number", None)
    before = await counted(clients)
    started = time.monotonic()
    await asyncio.gather(
        *(
            one_till(intents[place :: len(clients) * AT_ONCE], clients[place % len(clients)])
            for place in range(len(clients) * AT_ONCE)
        )
    )
    seconds = time.monotonic() - started
    told = await tries_since(before, clients)
    record(f"storm over {customers}", **told, per_second=round(len(intents) / seconds))
    assert {reply.status for intent in intents for reply in intent.replies} <= {201, 409}
    assert await faults_of(connection, intents) == []


async def one_till(intents, clients):
    """Send intents one after another, each until it is answered."""
    for intent in intents:
        await intent.send(clients.store)
    await settle(intents, clients)


async def test_the_same_key_at_all_engines_at_once_has_one_effect(storm, people):
    clients, connection = storm
    customer, *others = people.several(20)
    wanted = [(customer, f"same-{n}") for n in range(15)]
    wanted += [(each, "same") for each in others]
    replies = await asyncio.gather(
        *(
            asyncio.gather(*(each.store.accumulate(id_, key, **SALE) for each in clients))
            for id_, key in wanted
        )
    )
    for same in replies:
        assert {reply.status for reply in same} == {201}
        assert all(reply.json == same[0].json for reply in same)
        assert sorted(reply.replayed for reply in same) == [False] + [True] * (len(clients) - 1)
    assert await clients[0].store.points(customer, 1) == 54 * 15
    assert {await clients[-1].store.points(each, 1) for each in others} == {54}
    assert await faults_of(connection, []) == []


async def test_no_engine_keeps_a_customer_to_itself_or_a_lock_for_good(storm, people):
    clients, connection = storm
    customer = people.complete()["customer_id"]
    until = time.monotonic() + size(1, 20)
    done = [0] * len(clients)

    async def till(place):
        while time.monotonic() < until:
            reply = await clients[place].store.accumulate(customer, **SALE)
            assert reply.status == 201
            done[place] += 1

    await asyncio.gather(*(till(place) for place in range(len(clients)) for _ in range(4)))
    record("turns at one customer", turns=done)
    assert min(done) * 20 > max(done)
    assert await clients[0].store.points(customer, 1) == 54 * sum(done)
    held = "select count(*) from pg_locks where locktype = 'advisory' and granted"
    async with asyncio.timeout(5):
        while await connection.fetchval(held):
            await asyncio.sleep(0.01)
    assert await connection.fetchval(
        "select count(*) = max(seq) from journal where customer_id = $1 and asset = 1",
        UUID(customer),
    )

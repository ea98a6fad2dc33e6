"""Two engines on one database: what one changes is in force on the other, soon and once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import chain

import pytest
from harness import clients_of, connection_to, running, until

SOON_S_MAX = 5.0
PROGRAMME = {"points": 1, "points_amount": 100_000, "points_validity_days": 30}
SALE = {"amount": 1_000_000, "currency": "COP"}


@pytest.fixture(scope="module")
def engines(loaded_network, database, tmp_path_factory):
    """Give two running engines; the second one learns of changes by notices only."""
    engines = [
        loaded_network.engine(
            database, tmp_path_factory.mktemp("worker"), "--catalogue-refresh-ms", refresh_ms
        )
        for refresh_ms in ("1000", "600000")
    ]
    with running(engines):
        yield engines


@pytest.fixture(scope="module")
def customers(engines):
    """Return customers that no other test uses."""
    return (one["customer_id"] for one in engines[0].demo["customers"] if one["profile_complete"])


@pytest.fixture
async def two(engines):
    """Give clients of the network at both engines."""
    async with AsyncExitStack() as stack:
        yield [(await stack.enter_async_context(clients_of(engine))).network for engine in engines]


async def post(client, path, body):
    reply = await client.request("POST", path, body)
    assert reply.status == 201
    return reply.json


async def store_with(client, **programme):
    """Make a brand with a programme and a store; return (its path, the store's id)."""
    brand = await post(client, "/v1/brands", {"name": "Nueva", "country": "CO"})
    path = f"/v1/brands/{brand['brand_id']}"
    await post(client, path + "/programme", PROGRAMME | programme)
    body = {"name": "Sur", "city": "Cali", "brand_id": brand["brand_id"]}
    return path, (await post(client, "/v1/stores", body))["store_id"]


async def seen(client, path, holds):
    """Return what is at `path` as soon as it is as wanted."""

    async def answer():
        reply = await client.request("GET", path)
        return reply.json if reply.status == 200 and holds(reply.json) else None

    return await until(answer, SOON_S_MAX)


async def test_what_one_makes_the_other_uses(two, customers):
    one, other = two
    customer = next(customers)
    _, store_id = await store_with(one)
    await seen(other, f"/v1/stores/{store_id}", lambda store: store["programme"])
    sale = await other.accumulate(customer, **SALE, store_id=store_id)
    assert (sale.status, sale.json["points"]["earned"]) == (201, 10)


async def test_what_one_changes_and_retires_the_other_knows(two, customers):
    one, other = two
    customer = next(customers)
    path, store_id = await store_with(one)
    await seen(other, path, lambda brand: brand["programme"])
    for name in ("Primera", "Segunda"):
        await one.request("PATCH", path, {"name": name})
        await seen(other, path, lambda brand, name=name: brand["name"] == name)
    sold = await other.accumulate(customer, "sold", **SALE, store_id=store_id)
    await one.request("DELETE", path)
    await seen(other, path, lambda brand: brand["retired"])
    sale = await other.accumulate(customer, **SALE, store_id=store_id)
    assert (sale.status, sale.code) == (404, "store_not_found")
    for client in two:
        again = await client.accumulate(customer, "sold", **SALE, store_id=store_id)
        assert (again.status, again.json, again.replayed) == (201, sold.json, True)


async def test_a_sale_earns_by_the_version_of_its_moment_on_both(two, customers):
    one, other = two
    path, store_id = await store_with(one)
    await seen(other, path, lambda brand: brand["programme"])
    before = datetime.now(UTC).isoformat()
    new = await post(one, path + "/programme", PROGRAMME | {"points": 7})
    await seen(other, path, lambda brand: brand["programme"]["version"] == 2)
    for client in two:
        customer = next(customers)
        for moment, earned in ((before, 10), (new["effective_from"], 70), (None, 70)):
            body = SALE if moment is None else SALE | {"occurred_at": moment}
            sale = await client.accumulate(customer, **body, store_id=store_id)
            assert sale.json["points"]["earned"] == earned


async def test_a_storm_of_creations_on_both_gives_each_its_own_id(two, database):
    async with connection_to(database) as connection:
        recorded = await connection.fetchval("select count(*) from change")
    replies = await asyncio.gather(
        *(
            two[number % 2].request("POST", "/v1/brands", {"name": f"N {number}", "country": "GT"})
            for number in range(50)
        )
    )
    assert Counter(reply.status for reply in replies) == {201: 50}
    ids = [reply.json["brand_id"] for reply in replies]
    assert len(set(ids)) == 50
    assert max(ids) - min(ids) == 49
    for number, reply in enumerate(replies):
        assert reply.json["name"] == f"N {number}"
        await seen(two[0], f"/v1/brands/{reply.json['brand_id']}", reply.json.__eq__)
        await seen(two[1], f"/v1/brands/{reply.json['brand_id']}", reply.json.__eq__)
    async with connection_to(database) as connection:
        assert await connection.fetchval("select count(*) from change") == recorded + 50


async def test_a_storm_of_different_changes_on_both_loses_none(two):
    one, other = two
    path, store_id = await store_with(one)
    await seen(other, f"/v1/stores/{store_id}", lambda store: store["programme"])
    store = f"/v1/stores/{store_id}"
    replies = await asyncio.gather(
        *chain.from_iterable(
            (
                one.request("PATCH", store, {"city": f"Cali {number}"}),
                other.request("PATCH", path, {"name": f"Marca {number}"}),
                other.request("PATCH", store, {"name": f"Sur {number}"}),
                one.request("GET", store),
            )
            for number in range(15)
        )
    )
    assert {reply.status for reply in replies} == {200}
    told = [(await client.request("PATCH", store, {})).json for client in two]
    assert told[0] == told[1]
    assert told[0]["city"] in {f"Cali {number}" for number in range(15)}

"""The last units and turns of an item, wanted at two engines at once, are taken once (RED-5)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from harness import People, assert_balanced

SALE = {"amount": 10_000_000, "currency": "COP"}  # 100 points at brand 1
UNITS = "select unit from item_unit where item_id = $1 order by unit"
TURNS = "select turn from item_turn where item_id = $1 and customer_id = $2 order by turn"


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


@pytest.fixture
def two(two):
    """Return the clients of two engines, and a connection."""
    return two[:2], two[2]


@pytest.fixture
async def customers(two, people):
    """Return customers, each with the points for one redemption."""
    customers = people.several(60)
    (one, _), _ = two
    sales = await asyncio.gather(*(one.store.accumulate(each, **SALE) for each in customers))
    assert {sale.status for sale in sales} == {201}
    return customers


async def make(two, **body):
    """Make a reward, and return its id once both engines know it."""
    clients, _ = two
    path = "/v1/brands/1/rewards"
    made = await clients[0].brand.request("POST", path, {"name": "Termo", "points": 100} | body)
    assert made.status == 201
    number = made.json["reward_id"]
    async with asyncio.timeout(10):
        for client in clients:
            while (await client.brand.request("GET", f"{path}/{number}")).status != 200:
                await asyncio.sleep(0.02)
    return number


async def at_once(two, wanted):
    """Redeem (customer, key, reward), every second one at the other engine; return the replies."""
    clients, _ = two
    return await asyncio.gather(
        *(
            clients[place % 2].store.redeem(customer, key, reward_id=reward_id)
            for place, (customer, key, reward_id) in enumerate(wanted)
        )
    )


@pytest.mark.parametrize("stock", [1, 7, 40])
async def test_the_last_units_are_taken_once_each(two, customers, database, stock):
    _, connection = two
    reward_id = await make(two, stock=stock)
    wanted = [(customer, f"stock-{stock}", reward_id) for customer in customers]
    replies = await at_once(two, wanted)
    told = Counter((reply.status, reply.code) for reply in replies)
    assert told == {(201, None): stock, (409, "out_of_stock"): 60 - stock}
    units = [row["unit"] for row in await connection.fetch(UNITS, reward_id)]
    assert units == list(range(1, stock + 1))
    # Whoever asks again, at the other engine, is told the same.
    again = await at_once(two, [*wanted[1:], wanted[0]])
    for before, after in zip([*replies[1:], replies[0]], again, strict=True):
        assert (after.status, after.code) == (before.status, before.code)
        assert after.replayed
        if before.status == 201:
            assert after.json == before.json
    assert len(await connection.fetch(UNITS, reward_id)) == stock
    await assert_balanced(database)


@pytest.mark.parametrize("stock", [None, 30])
async def test_the_turns_of_one_customer_are_taken_once_each(two, people, database, stock):
    (one, _), connection = two
    customer = people.complete()["customer_id"]
    await one.store.accumulate(customer, amount=100 * SALE["amount"], currency="COP")
    reward_id = await make(two, customer_limit=3, stock=stock)
    wanted = [(customer, f"turn-{number}", reward_id) for number in range(40)]
    replies = await at_once(two, wanted)
    told = Counter((reply.status, reply.code) for reply in replies)
    assert told == {(201, None): 3, (409, "limit_reached"): 37}
    turns = [row["turn"] for row in await connection.fetch(TURNS, reward_id, customer)]
    assert turns == [1, 2, 3]
    assert len(await connection.fetch(UNITS, reward_id)) == (3 if stock else 0)
    assert await one.store.points(customer, 1) == 10_000 - 300
    again = await at_once(two, [*wanted[1:], wanted[0]])
    assert [reply.code for reply in again] == [reply.code for reply in [*replies[1:], replies[0]]]
    assert all(reply.replayed for reply in again)
    await assert_balanced(database)


async def test_the_same_key_at_both_takes_one_unit(two, customers):
    _, connection = two
    reward_id = await make(two, stock=100, customer_limit=5)
    wanted = [(customer, "same", reward_id) for customer in customers[:20] for _ in range(4)]
    replies = await at_once(two, wanted)
    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["transaction_id"] for reply in replies}) == 20
    assert len(await connection.fetch(UNITS, reward_id)) == 20


async def test_who_cannot_pay_leaves_the_unit_to_others(two, customers, people):
    _, connection = two
    reward_id = await make(two, stock=5)
    poor = people.several(40)
    wanted = [(customer, "poor", reward_id) for customer in poor]
    wanted[::4] = [(customer, "paid", reward_id) for customer in customers[:10]]
    replies = await at_once(two, wanted)
    codes = Counter(reply.code for reply in replies)
    assert codes == {None: 5, "out_of_stock": 5, "insufficient_points": 30}
    assert len(await connection.fetch(UNITS, reward_id)) == 5


async def test_changes_at_both_at_once_are_all_made(two):
    (one, other), _ = two
    for points in range(1, 11):
        reward_id = await make(two, stock=5)
        path = f"/v1/brands/1/rewards/{reward_id}"
        replies = await asyncio.gather(
            one.brand.request("PATCH", path, {"name": "Jarra"}),
            other.brand.request("PATCH", path, {"points": points}),
            one.network.request("PATCH", path, {"customer_limit": 2}),
            other.network.request("PATCH", path, {"stock": None}),
        )
        assert {reply.status for reply in replies} == {200}
        reward = (await one.brand.request("PATCH", path, {})).json
        told = {name: reward[name] for name in ("name", "points", "customer_limit", "stock")}
        assert told == {"name": "Jarra", "points": points, "customer_limit": 2, "stock": None}


async def test_the_last_units_are_paid_for_with_coins_once_each_at_once_or_by_a_code(
    two, customers, database
):
    """Every second payment is by the app's QR, the others hold the coins until a code is typed."""
    (one, other), connection = two
    body = {"name": "Termo", "coins": 10}
    made = await one.brand.request("POST", "/v1/brands/1/promotions", body | {"stock": 7})
    number = made.json["promotion_id"]
    path = f"/v1/brands/1/promotions/{number}"
    async with asyncio.timeout(10):
        while (await other.brand.request("GET", path)).status != 200:
            await asyncio.sleep(0.02)

    async def buy(place, customer):
        client = (one, other)[place % 2]
        qr = (await client.app.qr(customer)).json["qr"] if place % 4 < 2 else None
        qr = {} if qr is None else {"qr": qr}
        return await client.store.pay(customer, "last", promotion_id=number, **qr)

    replies = await asyncio.gather(*(buy(place, each) for place, each in enumerate(customers)))
    told = Counter((reply.status, reply.code) for reply in replies)
    assert told == {(201, None): 7, (409, "out_of_stock"): 53}
    units = [row["unit"] for row in await connection.fetch(UNITS, number)]
    assert units == list(range(1, 8))
    # What is held is given up at the other engine, and there for others.
    held = [
        (place, reply.json["payment_id"])
        for place, reply in enumerate(replies)
        if reply.status == 201 and reply.json["status"] == "requires_code"
    ]
    for place, payment_id in held:
        voided = await (other, one)[place % 2].store.void(customers[place], payment_id)
        assert voided.status == 200
    assert len(await connection.fetch(UNITS, number)) == 7 - len(held)
    await assert_balanced(database)

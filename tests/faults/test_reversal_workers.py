"""What two engines reverse or convert at once happens once, and the books balance."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from harness import People, assert_balanced

SALE = {"amount": 10_000_000, "currency": "COP"}  # 100 points and 1000 coins at brand 1
REVERSALS = "select count(*) from journal where kind = 16 and refusal = 0 and leg = 0"


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


async def test_a_transaction_is_reversed_at_one_engine_or_the_other(two, people, database):
    one, other, connection = two
    customers = people.several(20)
    sales = await asyncio.gather(*(one.store.accumulate(each, **SALE) for each in customers))
    before = await connection.fetchval(REVERSALS)
    wanted = [
        (client, customer, sale.json["transaction_id"], f"reverse-{number}")
        for customer, sale in zip(customers, sales, strict=True)
        for number, client in enumerate((one, other) * 3)
    ]
    replies = await asyncio.gather(
        *(client.store.reverse(customer, sale, key) for client, customer, sale, key in wanted)
    )
    told = Counter((reply.status, reply.code) for reply in replies)
    assert told == {(201, None): 20, (409, "already_reversed"): 100}
    assert await connection.fetchval(REVERSALS) == before + 20
    # Who asks again, at the other engine, is told the same.
    again = await asyncio.gather(
        *(
            (other if client is one else one).store.reverse(customer, sale, key)
            for client, customer, sale, key in wanted
        )
    )
    for first, second in zip(replies, again, strict=True):
        assert (second.status, second.code, second.replayed) == (first.status, first.code, True)
        if first.status == 201:
            assert second.json == first.json
    for customer in customers:
        assert (await one.store.points(customer, 1), await one.store.coins(customer)) == (0, 0)
    await assert_balanced(database)


async def test_sales_spending_and_reversals_at_once_leave_sound_books(two, people, database):
    one, other, _ = two
    customer = people.complete()["customer_id"]
    sales = [await one.store.accumulate(customer, **SALE) for _ in range(8)]
    asked = []
    for number, sale in enumerate(sales):
        here, there = (one, other) if number % 2 else (other, one)
        asked += [
            here.store.reverse(customer, sale.json["transaction_id"]),
            there.app.donate(customer, coins=700),
            here.store.accumulate(customer, **SALE),
        ]
    replies = await asyncio.gather(*asked)
    assert {reply.status for reply in replies[::3]} == {201}
    assert {reply.status for reply in replies[2::3]} == {201}
    assert {reply.code for reply in replies[1::3]} <= {None, "insufficient_coins"}
    given = sum(reply.status == 201 for reply in replies[1::3])
    assert await one.app.coins(customer) == await other.app.coins(customer) == 8000 - 700 * given
    await assert_balanced(database)


async def test_a_reference_converts_at_one_engine_or_the_other(two, people, database):
    one, other, connection = two
    customers = people.several(24)
    replies = await asyncio.gather(
        *(
            (one, other)[number % 2].app.convert(
                customer, partner_points=7, reference=f"R-{number // 8}"
            )
            for number, customer in enumerate(customers)
        )
    )
    told = Counter((reply.status, reply.code) for reply in replies)
    assert told == {(201, None): 3, (409, "reference_already_used"): 21}
    assert await connection.fetchval("select count(*) from reference_claim") == 3
    await assert_balanced(database)

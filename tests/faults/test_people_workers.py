"""People at two engines on one database: one person once, and a block that holds on both."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count

import pytest
from harness import People
from traffic import faults_of

SALE = {"amount": 5_400_000, "currency": "COP"}
numbers = count(820_000_001)


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


def phone():
    return f"+57302{next(numbers) % 10_000_000:07}"


def body(**more):
    number = next(numbers)
    return {
        "document": {"type": "CC", "number": str(number)},
        "email": f"dos{number}@example.com",
        "phone": phone(),
    } | more


async def test_the_same_person_at_both_at_once_is_registered_once(two):
    one, other, connection = two
    for _ in range(25):
        wanted = body()
        replies = await asyncio.gather(
            *((one, other)[n % 2].store.register(**wanted) for n in range(8))
        )
        assert Counter(reply.status for reply in replies) == {201: 1, 409: 7}
        assert {reply.code for reply in replies} == {None, "customer_exists"}
        (customer_id,) = {reply.json["customer_id"] for reply in replies}
        rows = await connection.fetch(
            "select customer_id from customer where email = $1", wanted["email"]
        )
        assert [str(row["customer_id"]) for row in rows] == [customer_id]


async def test_the_same_person_by_two_documents_at_both_at_once_is_registered_once(two):
    one, other, connection = two
    for _ in range(15):
        number = str(next(numbers) + 300_000_000)
        panama = f"8-{next(numbers) % 1000 + 1}-{next(numbers) % 100_000}"
        for papers, key in (
            ((("TI", number, None), ("CC", number, None), ("NIT", number, "CO")), f"CC:{number}"),
            ((("CED", panama, None), ("RUC", f"{panama} DV 46", None)), None),
            ((("PA", number, None), ("PA", number, "US")), None),
        ):
            replies = await asyncio.gather(
                *(
                    (one, other)[n % 2].store.register(
                        **body(document={"type": code, "number": shown, "country": country})
                    )
                    for n, (code, shown, country) in enumerate(papers * 3)
                )
            )
            assert Counter(reply.status for reply in replies) == {201: 1, 409: len(replies) - 1}
            (customer_id,) = {reply.json["customer_id"] for reply in replies}
            rows = await connection.fetch(
                "select kind, value from identity where customer_id = $1", customer_id
            )
            assert len(rows) == 3
            assert key is None or ("document", key) in {tuple(row) for row in rows}


async def test_people_who_share_identities_crosswise_never_wait_for_each_other(two):
    one, other, connection = two
    for _ in range(25):
        first, second, third = body(), body(), body()
        crossed = [
            first | {"email": second["email"], "phone": third["phone"]},
            second | {"email": third["email"], "phone": first["phone"]},
            third | {"email": first["email"], "phone": second["phone"]},
        ]
        replies = await asyncio.gather(
            *(
                (one, other)[n % 2].store.register(**wanted)
                for n, wanted in enumerate([*crossed, first, second, third])
            )
        )
        assert {reply.status for reply in replies} <= {201, 409}
        registered = {reply.json["customer_id"] for reply in replies if reply.status == 201}
        assert registered
        assert {reply.json["customer_id"] for reply in replies} == registered
        owners = await connection.fetch(
            "select customer_id, count(*) from identity where customer_id = any($1::uuid[])"
            " group by customer_id",
            list(registered),
        )
        assert {row["count"] for row in owners} == {3}


async def test_two_customers_who_want_one_phone_at_once_get_it_once(two, people):
    one, other, connection = two
    for _ in range(25):
        pair, mobile = people.several(2), phone()
        replies = await asyncio.gather(
            one.store.update(pair[0], phone=mobile), other.store.update(pair[1], phone=mobile)
        )
        assert Counter(reply.status for reply in replies) == {200: 1, 409: 1}
        (winner,) = {reply.json["customer_id"] for reply in replies}
        found = await one.store.lookup(phone=mobile)
        assert found.json["customer"]["customer_id"] == winner
        kept = await connection.fetch(
            "select c.customer_id from customer c join identity i using (customer_id)"
            " where i.kind = 'phone' and i.value = c.phone and c.customer_id = any($1::uuid[])",
            pair,
        )
        assert len(kept) == 2


async def test_a_registration_and_a_change_who_want_one_phone_give_it_to_one(two, people):
    one, other, _ = two
    for _ in range(25):
        customer_id, wanted = people.complete()["customer_id"], body()
        registered, changed = await asyncio.gather(
            one.store.register(**wanted), other.store.update(customer_id, phone=wanted["phone"])
        )
        assert sorted((registered.status, changed.status)) in ([200, 409], [201, 409])
        assert registered.json["customer_id"] == changed.json["customer_id"]


async def test_after_a_block_nothing_is_sold_at_either(two, people):
    one, other, connection = two
    for round_number in range(8):
        customer_id = people.complete()["customer_id"]
        # Both know the customer, and keep them in memory.
        await one.store.accumulate(customer_id, **SALE)
        await other.store.accumulate(customer_id, **SALE)
        blocked = asyncio.Event()
        late = []

        async def sell(clients, store_id, customer_id=customer_id, blocked=blocked, late=late):
            sent_late = 0
            while sent_late < 3:
                is_late = blocked.is_set()
                reply = await clients.network.accumulate(customer_id, **SALE, store_id=store_id)
                assert (reply.status, reply.code) in (
                    *((201, None), (409, "customer_blocked"), (503, "overloaded")),
                )
                if is_late:
                    sent_late += 1
                    late.append(reply)

        async def block(number=round_number, customer_id=customer_id, blocked=blocked):
            await asyncio.sleep(0.005 * number)
            reply = await (one, other)[number % 2].network.block(customer_id, "racing")
            assert reply.status == 200
            blocked.set()

        await asyncio.gather(block(), *(sell(clients, 1) for clients in (one, other) * 4))
        assert len(late) == 24
        assert {reply.code for reply in late} == {"customer_blocked"}
        assert await faults_of(connection, []) == []


async def test_a_first_sale_at_a_brand_is_blocked_too(two, engines, people):
    one, other, connection = two
    stores = {
        store["brand_id"]: store["store_id"]
        for store in engines[0].demo["stores"]
        if store["currency"] == "COP"
    }
    for number in range(6):
        customer_id = people.complete()["customer_id"]
        places = list(stores.values())[:12]
        answered = asyncio.Event()

        async def sell(n, store_id, customer_id=customer_id, answered=answered):
            is_late = answered.is_set()
            reply = await (one, other)[n % 2].network.accumulate(
                customer_id, **SALE, store_id=store_id
            )
            assert reply.status in (201, 409), reply.json
            return is_late, reply.code

        async def block(number=number, customer_id=customer_id, answered=answered):
            await asyncio.sleep(0.003 * number)
            reply = await (one, other)[number % 2].network.block(customer_id, "first sales")
            assert reply.status == 200
            answered.set()

        await asyncio.gather(block(), *(sell(n, place) for n, place in enumerate(places[:8])))
        after = await asyncio.gather(*(sell(n, place) for n, place in enumerate(places)))
        assert set(after) == {(True, "customer_blocked")}
        flags = await connection.fetch(
            "select distinct on (asset) flags from journal where customer_id = $1"
            " order by asset, seq desc",
            customer_id,
        )
        assert {row["flags"] for row in flags} == {1}
        assert await faults_of(connection, []) == []


async def test_blocks_and_unblocks_of_both_at_once_end_the_same_on_both(two, people):
    one, other, connection = two
    customer_id = people.complete()["customer_id"]
    await one.store.accumulate(customer_id, **SALE)
    await other.other_store.accumulate(customer_id, **SALE)
    replies = await asyncio.gather(
        *(
            getattr((one, other)[n % 2].network, ("block", "unblock")[n // 2 % 2])(
                customer_id, f"turn {n}"
            )
            for n in range(20)
        )
    )
    assert {reply.status for reply in replies} == {200}
    seen = [(await clients.store.customer(customer_id)).json["status"] for clients in (one, other)]
    sales = [
        await clients.store.accumulate(customer_id, **SALE) for clients in (one, other, one, other)
    ]
    expected = {"active": None, "blocked": "customer_blocked"}
    assert {reply.code for reply in sales} == {expected[seen[0]]}
    assert seen[0] == seen[1]
    assert await faults_of(connection, []) == []

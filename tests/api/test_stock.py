"""A redemption takes at most the stock and the customer's limit (RED-2, RED-3, RED-5)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from harness import connection_to, until

SALE = {"amount": 100_000_000, "currency": "COP"}  # 1 000 points at brand 1
ADULT = {"gender": "F", "birth_date": "1990-03-15", "first_names": "A", "last_names": "B"}


@pytest.fixture
def make(api):
    """Give what makes an item of brand 1, known to the engine when it returns."""

    async def make(kind, **body):
        facts = {"name": "Termo"} | ({"points": 10} if kind == "reward" else {}) | body
        reply = await api.brand.request("POST", f"/v1/brands/1/{kind}s", facts)
        assert reply.status == 201, reply.json
        return reply.json

    return make


@pytest.fixture
async def rich(api, people):
    """Return customers with points."""
    customers = people.several(6)
    for customer in customers:
        assert (await api.store.accumulate(customer, **SALE)).status == 201
    return customers


async def change(api, kind, item, **body):
    path = f"/v1/brands/1/{kind}s/{item[f'{kind}_id']}"
    reply = await api.brand.request("PATCH", path, body)
    assert reply.status == 200, reply.json
    return reply.json


def told(replies):
    return Counter((reply.status, reply.code) for reply in replies)


def item_of(kind, wanted, points):
    return {"kind": kind, **wanted, "name": "Termo", "points": points}


async def test_no_more_than_the_stock_is_redeemed(api, make, rich):
    reward = await make("reward", stock=3)
    wanted = {"reward_id": reward["reward_id"]}
    replies = [await api.store.redeem(customer, **wanted) for customer in rich]
    assert told(replies) == {(201, None): 3, (409, "out_of_stock"): 3}
    assert replies[0].json["item"] == item_of("reward", wanted, 10)
    assert [await api.store.points(customer, 1) for customer in rich] == [990] * 3 + [1000] * 3
    path = f"/v1/brands/1/rewards/{reward['reward_id']}"
    assert (await api.store.request("GET", path)).json["taken"] == 3
    listed = (await api.store.request("GET", "/v1/brands/1/rewards?limit=1000")).json["rewards"]
    assert {"taken": 3, "stock": 3}.items() <= listed[-1].items()


async def test_nothing_is_redeemed_of_a_stock_of_none(api, make, rich):
    reward = await make("reward", stock=0)
    reply = await api.store.redeem(rich[0], reward_id=reward["reward_id"])
    assert (reply.status, reply.code) == (409, "out_of_stock")


async def test_no_more_than_the_limit_is_redeemed_by_one_customer(api, make, rich):
    reward = await make("reward", customer_limit=2)
    replies = [
        await api.store.redeem(customer, reward_id=reward["reward_id"])
        for customer in (rich[0], rich[1], rich[0], rich[0], rich[1])
    ]
    assert [reply.code for reply in replies] == [None, None, None, "limit_reached", None]


async def test_customers_at_once_get_each_unit_once(api, make, people, database):
    reward = await make("promotion", stock=40)
    customers = people.several(50)
    replies = await asyncio.gather(
        *(api.store.redeem(customer, promotion_id=reward["promotion_id"]) for customer in customers)
    )
    assert told(replies) == {(201, None): 40, (409, "out_of_stock"): 10}
    async with connection_to(database) as connection:
        units = await connection.fetch(
            "select unit from item_unit where item_id = $1 order by unit", reward["promotion_id"]
        )
    assert [row["unit"] for row in units] == list(range(1, 41))


async def test_one_customer_at_once_gets_each_turn_once(api, make, customer_id, database):
    promotion = await make("promotion", customer_limit=4, stock=30)
    replies = await asyncio.gather(
        *(api.store.redeem(customer_id, promotion_id=promotion["promotion_id"]) for _ in range(20))
    )
    assert told(replies) == {(201, None): 4, (409, "limit_reached"): 16}
    async with connection_to(database) as connection:
        turns = await connection.fetch(
            "select turn from item_turn where item_id = $1 order by turn", promotion["promotion_id"]
        )
    assert [row["turn"] for row in turns] == [1, 2, 3, 4]


async def test_who_cannot_pay_takes_nothing_of_the_stock(api, make, people, rich):
    reward = await make("reward", stock=1)
    wanted = {"reward_id": reward["reward_id"]}
    poor, unknown = people.complete()["customer_id"], people.incomplete()["customer_id"]
    for customer, code in ((poor, "insufficient_points"), (unknown, "profile_incomplete")):
        replies = await asyncio.gather(*(api.store.redeem(customer, **wanted) for _ in range(5)))
        assert told(replies) == {(409, code): 5}
    assert (await api.store.redeem(rich[0], **wanted)).status == 201
    assert (await api.store.redeem(poor, **wanted)).code == "insufficient_points"


async def test_a_retry_is_answered_from_the_books_whatever_is_left(api, make, rich):
    reward = await make("reward", stock=1, customer_limit=1)
    wanted = {"reward_id": reward["reward_id"]}
    first = await api.store.redeem(rich[0], "k", **wanted)
    refused = await api.store.redeem(rich[1], "k", **wanted)
    assert (first.status, refused.code) == (201, "out_of_stock")
    await change(api, "reward", reward, stock=5)
    for before, customer in ((first, rich[0]), (refused, rich[1])):
        again = await api.store.redeem(customer, "k", **wanted)
        assert (again.status, again.replayed) == (before.status, True)
        if before.status == 201:
            assert again.json == before.json
        else:
            assert again.code == before.code
    await api.brand.request("DELETE", f"/v1/brands/1/rewards/{reward['reward_id']}")
    again = await api.store.redeem(rich[0], "k", **wanted)
    assert (again.status, again.json) == (201, first.json)
    other = await api.store.redeem(rich[0], "k", reward_id=1)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    late = await api.store.redeem(rich[2], **wanted)
    assert (late.status, late.code) == (409, "not_available")


async def test_the_same_key_at_once_takes_one_unit(api, make, rich):
    reward = await make("reward", stock=5)
    replies = await asyncio.gather(
        *(api.store.redeem(rich[0], "once", reward_id=reward["reward_id"]) for _ in range(10))
    )
    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["transaction_id"] for reply in replies}) == 1
    path = f"/v1/brands/1/rewards/{reward['reward_id']}"
    assert (await api.store.request("GET", path)).json["taken"] == 1


async def test_a_raised_stock_is_there_at_once(api, make, rich):
    reward = await make("reward", stock=1)
    wanted = {"reward_id": reward["reward_id"]}
    replies = [await api.store.redeem(customer, **wanted) for customer in rich[:2]]
    assert [reply.code for reply in replies] == [None, "out_of_stock"]
    await change(api, "reward", reward, stock=2)
    replies = [await api.store.redeem(customer, **wanted) for customer in rich[1:3]]
    assert [reply.code for reply in replies] == [None, "out_of_stock"]
    await change(api, "reward", reward, stock=None)
    assert (await api.store.redeem(rich[2], **wanted)).status == 201


@pytest.mark.parametrize(("stock", "taken_before", "more"), [(10, 5, 2), (10, 8, 0), (20, 3, 4)])
async def test_of_a_lowered_stock_what_was_taken_counts(
    api, make, people, stock, taken_before, more
):
    promotion = await make("promotion", stock=stock)
    wanted = {"promotion_id": promotion["promotion_id"]}
    for customer in people.several(taken_before):
        assert (await api.store.redeem(customer, **wanted)).status == 201
    lowered = await change(api, "promotion", promotion, stock=7)
    assert (lowered["stock"], lowered["taken"]) == (7, taken_before)
    replies = await asyncio.gather(
        *(api.store.redeem(customer, **wanted) for customer in people.several(8))
    )
    assert told(replies)[201, None] == more
    assert told(replies)[409, "out_of_stock"] == 8 - more
    await change(api, "promotion", promotion, stock=9)
    replies = [await api.store.redeem(customer, **wanted) for customer in people.several(3)]
    assert told(replies)[201, None] == 9 - max(7, taken_before)


async def test_of_a_lowered_limit_what_was_taken_counts(api, make, customer_id):
    promotion = await make("promotion", customer_limit=5)
    wanted = {"promotion_id": promotion["promotion_id"]}
    for _ in range(3):
        assert (await api.store.redeem(customer_id, **wanted)).status == 201
    await change(api, "promotion", promotion, customer_limit=2)
    assert (await api.store.redeem(customer_id, **wanted)).code == "limit_reached"
    await change(api, "promotion", promotion, customer_limit=4)
    replies = [await api.store.redeem(customer_id, **wanted) for _ in range(2)]
    assert [reply.code for reply in replies] == [None, "limit_reached"]


async def test_units_and_turns_that_came_back_are_taken_again(api, make, people, database):
    promotion = await make("promotion", stock=3, customer_limit=3)
    wanted = {"promotion_id": promotion["promotion_id"]}
    customer = people.complete()["customer_id"]
    assert {(await api.store.redeem(customer, **wanted)).status for _ in range(3)} == {201}
    assert (await api.store.redeem(customer, **wanted)).code == "out_of_stock"
    async with connection_to(database) as connection:
        for table, number in (("item_unit", "unit"), ("item_turn", "turn")):
            await connection.execute(
                f"delete from {table} where item_id = $1 and {number} = 2",
                promotion["promotion_id"],
            )
    replies = [await api.store.redeem(customer, **wanted) for _ in range(2)]
    assert [reply.code for reply in replies] == [None, "out_of_stock"]


async def test_a_promotion_is_taken_in_its_window_only(api, make, customer_id):
    now = datetime.now(UTC)
    for starts, ends, code in (
        (-60, 60, None),
        (60, 120, "not_available"),
        (-120, -60, "not_available"),
    ):
        promotion = await make(
            "promotion",
            starts_at=(now + timedelta(minutes=starts)).isoformat(),
            ends_at=(now + timedelta(minutes=ends)).isoformat(),
        )
        reply = await api.store.redeem(customer_id, promotion_id=promotion["promotion_id"])
        assert reply.code == code


async def test_a_promotion_is_taken_by_its_segment_only(api, make, people):
    cali = await make("promotion", segment={"cities": ["CALI"], "age_min": 18})
    wanted = {"promotion_id": cali["promotion_id"]}
    inside, outside = people.several(2)
    for customer, city in ((inside, "Cali"), (outside, "Tunja")):
        await api.store.request("PATCH", f"/v1/customers/{customer}", ADULT | {"city": city})
    reply = await api.store.redeem(inside, **wanted)
    assert (reply.status, reply.json["item"]) == (201, item_of("promotion", wanted, 0))
    assert reply.json["points"]["spent"] == 0
    assert (await api.store.redeem(outside, **wanted)).code == "not_available"
    nobody = await api.store.redeem("00000000-0000-4000-8000-000000000000", **wanted)
    assert (nobody.status, nobody.code) == (404, "customer_not_found")


async def test_a_gift_is_taken_once_by_whom_it_is_for(api, make, people):
    ana, luis, eva = people.several(3)
    gift = await make("gift", customer_ids=[ana, luis], stock=5)
    wanted = {"gift_id": gift["gift_id"]}
    taken = await api.store.redeem(ana, "g", **wanted)
    assert (taken.status, taken.json["item"]) == (201, item_of("gift", wanted, 0))
    assert taken.json["points"] == {"spent": 0, "balance": 0}
    again = await api.store.redeem(ana, **wanted)
    assert again.code == "limit_reached"
    assert again.json["detail"] == "This customer has taken it as often as its limit allows."
    rows = (await api.store.transactions(ana)).json["transactions"]
    assert [row["item"] for row in rows] == [taken.json["item"]]
    assert (await api.store.redeem(eva, **wanted)).code == "not_available"
    await change(api, "gift", gift, customer_ids=[eva, ana])
    assert (await api.store.redeem(eva, **wanted)).status == 201
    assert (await api.store.redeem(luis, **wanted)).code == "not_available"
    assert (await api.store.redeem(ana, **wanted)).code == "limit_reached"
    assert (await api.store.redeem(ana, "g", **wanted)).json == taken.json


async def test_missing_points_are_told_before_what_the_item_lacks(api, make, people, rich):
    reward = await make("reward", points=500, stock=0, customer_limit=1, available=False)
    wanted = {"reward_id": reward["reward_id"]}
    poor = people.complete()["customer_id"]
    assert (await api.store.redeem(poor, **wanted)).code == "insufficient_points"
    assert (await api.store.redeem(rich[0], **wanted)).code == "out_of_stock"
    await change(api, "reward", reward, stock=1, available=True)
    assert (await api.store.redeem(rich[0], **wanted)).status == 201
    await change(api, "reward", reward, stock=2, available=False)
    assert (await api.store.redeem(rich[0], **wanted)).code == "limit_reached"
    assert (await api.store.redeem(rich[1], **wanted)).code == "not_available"


async def test_what_costs_coins_is_paid_for_with_coins(api, make, rich):
    promotion = await make("promotion", coins=100)
    reply = await api.store.redeem(rich[0], "c", promotion_id=promotion["promotion_id"])
    assert (reply.status, reply.code) == (400, "promotion_costs_coins")
    # Nothing is final: in points it can be taken with the same key, and that is.
    await change(api, "promotion", promotion, coins=0, points=7)
    taken = await api.store.redeem(rich[0], "c", promotion_id=promotion["promotion_id"])
    assert taken.json["points"]["spent"] == 7
    await change(api, "promotion", promotion, coins=100, points=0)
    again = await api.store.redeem(rich[0], "c", promotion_id=promotion["promotion_id"])
    assert (again.status, again.json, again.replayed) == (201, taken.json, True)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reward_id": 1, "gift_id": 1},
        {"promotion_id": None},
        {"reward_id": 0},
        {"gift_id": "1"},
    ],
)
async def test_a_redemption_is_of_exactly_one_item(api, customer_id, body):
    reply = await api.store.redeem(customer_id, **body)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_an_item_of_another_kind_or_brand_is_none(api, demo, customer_id):
    foreign = next(one for one in demo["promotions"] if one["brand_id"] != 1)
    for body, code in (
        ({"promotion_id": 1}, "promotion_not_found"),
        ({"gift_id": 1}, "gift_not_found"),
        ({"reward_id": demo["gifts"][0]["gift_id"]}, "reward_not_found"),
        ({"promotion_id": foreign["promotion_id"]}, "promotion_not_found"),
    ):
        reply = await api.store.redeem(customer_id, **body)
        assert (reply.status, reply.code) == (404, code)


async def test_the_last_units_of_a_large_stock_are_found(api, make, people, database):
    promotion = await make("promotion", stock=100_000)
    async with connection_to(database) as connection:
        await connection.execute(
            "insert into item_unit select $1, g, gen_random_uuid(), gen_random_uuid()"
            " from generate_series(1, 100000) g where g not in (7, 77_777)",
            promotion["promotion_id"],
        )
    replies = await asyncio.gather(
        *(
            api.store.redeem(customer, promotion_id=promotion["promotion_id"])
            for customer in people.several(40)
        )
    )
    assert told(replies) == {(201, None): 2, (409, "out_of_stock"): 38}


async def test_an_item_whose_segment_cannot_be_read_is_for_nobody(
    api, make, engine, database, customer_id
):
    promotion = await make("promotion", segment={"genders": ["F", "M", "X"]})
    number = promotion["promotion_id"]
    async with connection_to(database) as connection:
        await connection.execute(
            "update item set segment = '{\"genders\": 3}' where item_id = $1", number
        )
        await connection.execute("update catalogue_version set version = version + 1")

        async def is_read():
            offers = (await api.store.offers(customer_id)).json["promotions"]
            return number not in {one["promotion_id"] for one in offers}

        await until(is_read)
        reply = await api.store.redeem(customer_id, promotion_id=number)
        assert (reply.status, reply.code) == (409, "not_available")
        assert (await api.store.request("GET", f"/v1/brands/1/promotions/{number}")).status == 200
        await connection.execute("update item set segment = null where item_id = $1", number)
        await connection.execute("update catalogue_version set version = version + 1")
    assert engine.wait_for_log("segment_unsound")["item_id"] == number

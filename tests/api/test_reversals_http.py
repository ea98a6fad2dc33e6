"""A mistake is undone once and whole: what was earned goes, what was spent returns."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from harness import assert_balanced, connection_to

SALE = {"amount": 10_000_000, "currency": "COP"}  # 100 points and 1000 coins at brand 1
UNITS = "select unit from item_unit where item_id = $1"
TURNS = "select turn from item_turn where item_id = $1"


async def sell(api, customer_id, **more):
    reply = await api.store.accumulate(customer_id, **SALE | more)
    assert reply.status == 201
    return reply.json


async def reward(api, **body):
    made = await api.brand.request(
        "POST", "/v1/brands/1/rewards", {"name": "Termo", "points": 60} | body
    )
    assert made.status == 201
    return made.json["reward_id"]


async def lots(api, customer_id, asset):
    wallets = (await api.store.wallets(customer_id)).json["wallets"]
    return next(one["expiring"] for one in wallets if one["asset"] == asset)


async def pay(api, engine, customer_id, coins):
    """Pay with a code; return the payment's id and the id of the transaction that captured it."""
    held = await api.store.pay(customer_id, coins=coins)
    assert held.status == 201
    code = next(
        word for word in reversed(engine.outbox()[-1]["text"].split()) if word[:4].isdigit()
    )
    paid = await api.store.confirm(customer_id, held.json["payment_id"], code.strip("."))
    assert (paid.status, paid.json["status"]) == (200, "succeeded")
    return paid.json["payment_id"], paid.json["transaction_id"]


# What was earned.


async def test_a_sale_is_taken_back_with_its_coins(api, customer_id):
    await sell(api, customer_id)
    sale = await sell(api, customer_id)
    reply = await api.store.reverse(customer_id, sale["transaction_id"], reason="returned")
    assert reply.status == 201
    told = reply.json
    assert told["transaction_id"] != sale["transaction_id"]
    read = await api.store.transaction(customer_id, told["transaction_id"])
    assert (read.status, read.json) == (200, told)
    assert told.pop("transaction_id")
    assert told.pop("recorded_at") >= sale["recorded_at"]
    assert told == {
        "customer_id": customer_id,
        "store_id": 1,
        "brand_id": 1,
        "reversed_transaction_id": sale["transaction_id"],
        "type": "accumulation",
        "points": {"amount": -100, "balance": 100, "owed": 0},
        "coins": {"amount": -1000, "balance": 1000, "owed": 0},
        "reason": "returned",
        "cause": "returned",
    }
    rows = (await api.store.transactions(customer_id)).json["transactions"][:2]
    assert {(row["type"], row["asset"], row["amount"]) for row in rows} == {
        ("reversal", "points", -100),
        ("reversal", "coins", -1000),
    }
    for row in rows:
        assert row["reversed_transaction_id"] == sale["transaction_id"]
        assert (row["payment_id"], row["item"]) == (None, None)


async def test_what_was_spent_meanwhile_is_owed_and_the_next_sale_repays_it(api, customer_id):
    sale = await sell(api, customer_id)
    reward_id = await reward(api)
    assert (await api.store.redeem(customer_id, reward_id=reward_id)).status == 201
    reply = await api.store.reverse(customer_id, sale["transaction_id"])
    assert reply.json["points"] == {"amount": -100, "balance": -60, "owed": 60}
    assert reply.json["coins"] == {"amount": -1000, "balance": 0, "owed": 0}
    assert await api.store.points(customer_id, 1) == -60
    assert await lots(api, customer_id, "points") == []
    poor = await api.store.redeem(customer_id, reward_id=reward_id)
    assert (poor.code, poor.json["available"]) == ("insufficient_points", -60)
    assert (await sell(api, customer_id))["points"]["balance"] == 40
    assert [one["amount"] for one in await lots(api, customer_id, "points")] == [40]
    listed = (await api.network.transactions(customer_id)).json["transactions"]
    assert {row["type"] for row in listed} == {"accumulation", "redemption", "reversal"}


async def test_the_invoice_of_a_reversed_sale_stays_claimed(api, customer_id):
    sale = await sell(api, customer_id, invoice_number="FV-REV-1")
    assert (await api.store.reverse(customer_id, sale["transaction_id"])).status == 201
    again = await api.store.accumulate(customer_id, **SALE, invoice_number="FV-REV-1")
    assert (again.status, again.code) == (409, "invoice_already_claimed")


# What was spent.


async def test_points_return_to_the_lots_they_came_from(api, customer_id):
    old = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    await sell(api, customer_id)
    await sell(api, customer_id, occurred_at=old)
    before = await lots(api, customer_id, "points")
    redeemed = await api.store.redeem(customer_id, reward_id=await reward(api, points=150))
    assert len(await lots(api, customer_id, "points")) == 1
    reply = await api.store.reverse(customer_id, redeemed.json["transaction_id"])
    assert (reply.status, reply.json["type"]) == (201, "redemption")
    assert reply.json["points"] == {"amount": 150, "balance": 200, "owed": 0}
    assert reply.json["coins"] is None
    assert await lots(api, customer_id, "points") == before
    assert len(before) == 2


async def test_the_last_unit_can_be_taken_again(api, people, database):
    ana, bea = people.several(2)
    for customer in (ana, bea):
        await sell(api, customer)
    reward_id = await reward(api, stock=1, customer_limit=1)
    taken = await api.store.redeem(ana, reward_id=reward_id)
    assert set(taken.json["item"]) == {"kind", "reward_id", "name", "points"}
    assert not {"unit", "turn"} & set(taken.json)
    assert (await api.store.redeem(bea, reward_id=reward_id)).code == "out_of_stock"
    assert (await api.store.reverse(ana, taken.json["transaction_id"])).status == 201
    async with connection_to(database) as connection:
        assert await connection.fetch(UNITS, reward_id) == []
        assert await connection.fetch(TURNS, reward_id) == []
    again = await api.store.redeem(ana, reward_id=reward_id)
    assert again.status == 201
    async with connection_to(database) as connection:
        assert [row["unit"] for row in await connection.fetch(UNITS, reward_id)] == [1]
    assert (await api.store.redeem(bea, reward_id=reward_id)).code == "out_of_stock"
    # Nothing of the first redemption frees what the second one took.
    reply = await api.store.reverse(ana, taken.json["transaction_id"])
    assert reply.code == "already_reversed"
    async with connection_to(database) as connection:
        assert [row["unit"] for row in await connection.fetch(UNITS, reward_id)] == [1]
    await assert_balanced(database)


async def test_a_gift_of_no_points_can_be_given_again(api, demo):
    gift = demo["gifts"][0]
    customer_id = gift["customer_ids"][0]
    stores = (await api.network.request("GET", f"/v1/stores?brand_id={gift['brand_id']}")).json
    body = {"gift_id": gift["gift_id"], "store_id": stores["stores"][0]["store_id"]}
    taken = await api.network.redeem(customer_id, **body)
    assert taken.status == 201
    assert (await api.network.redeem(customer_id, **body)).code == "limit_reached"
    reply = await api.network.reverse(customer_id, taken.json["transaction_id"])
    assert (reply.status, reply.json["points"]["amount"]) == (201, 0)
    assert (await api.network.redeem(customer_id, **body)).status == 201


@pytest.mark.parametrize("named", ["payment", "transaction"])
async def test_a_payment_is_named_by_its_id_or_by_its_transaction(
    api, engine, customer_id, database, named
):
    await sell(api, customer_id)
    before = await lots(api, customer_id, "coins")
    payment_id, transaction_id = await pay(api, engine, customer_id, 700)
    first, second = payment_id, transaction_id
    if named == "transaction":
        first, second = second, first
    reply = await api.store.reverse(customer_id, first)
    assert reply.status == 201
    assert reply.json["type"] == "payment"
    assert reply.json["reversed_transaction_id"] == transaction_id
    assert reply.json["points"] is None
    assert reply.json["coins"] == {"amount": 700, "balance": 1000, "owed": 0}
    assert await lots(api, customer_id, "coins") == before
    again = await api.store.reverse(customer_id, second)
    assert (again.status, again.code) == (409, "already_reversed")
    assert (await api.store.payment(customer_id, payment_id)).json["status"] == "reversed"
    await assert_balanced(database)


async def test_a_payment_by_qr_is_reversed(api, customer_id):
    await sell(api, customer_id)
    qr = (await api.app.qr(customer_id)).json["qr"]
    paid = await api.store.pay(customer_id, coins=700, qr=qr)
    assert (paid.status, paid.json["status"]) == (201, "succeeded")
    reply = await api.store.reverse(customer_id, paid.json["payment_id"])
    assert (reply.status, reply.json["type"]) == (201, "payment")
    assert reply.json["coins"] == {"amount": 700, "balance": 1000, "owed": 0}
    assert (await api.store.payment(customer_id, paid.json["payment_id"])).status == 200


async def test_what_the_app_did_is_reversed_by_the_network(api, customer_id):
    converted = await api.app.convert(customer_id, partner_points=90, reference=str(uuid4()))
    donated = await api.app.donate(customer_id, coins=40)
    back = await api.network.reverse(customer_id, donated.json["transaction_id"])
    assert (back.json["type"], back.json["store_id"], back.json["brand_id"]) == (
        "donation",
        None,
        None,
    )
    assert back.json["coins"] == {"amount": 40, "balance": 90, "owed": 0}
    assert (await api.app.donate(customer_id, coins=40)).status == 201
    back = await api.network.reverse(customer_id, converted.json["transaction_id"])
    assert back.json["type"] == "conversion"
    assert back.json["coins"] == {"amount": -90, "balance": -40, "owed": 40}
    given = await api.app.cash_back(customer_id, coins=100)
    assert given.json["coins"]["balance"] == 60
    back = await api.brand.reverse(customer_id, given.json["transaction_id"])
    assert (back.json["type"], back.json["coins"]["balance"]) == ("cashback", -40)


# Once, and by whom.


async def test_a_retry_is_told_the_same_and_another_body_is_refused(api, customer_id):
    sale = await sell(api, customer_id)
    first = await api.store.reverse(customer_id, sale["transaction_id"], "k")
    again = await api.store.reverse(customer_id, sale["transaction_id"].upper(), "k")
    assert (again.status, again.json, again.replayed) == (201, first.json, True)
    other = await api.store.reverse(customer_id, sale["transaction_id"], "k", reason="another")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await api.store.points(customer_id, 1) == 0


async def test_a_second_reversal_is_refused_for_ever(api, customer_id):
    sale = await sell(api, customer_id)
    assert (await api.store.reverse(customer_id, sale["transaction_id"])).status == 201
    for replayed in (False, True):
        reply = await api.network.reverse(customer_id, sale["transaction_id"], "second")
        assert (reply.status, reply.code) == (409, "already_reversed")
        assert reply.replayed == replayed
    assert await api.store.points(customer_id, 1) == 0


async def test_many_at_once_reverse_once(api, customer_id):
    sale = await sell(api, customer_id)
    replies = await asyncio.gather(
        *(api.store.reverse(customer_id, sale["transaction_id"]) for _ in range(12))
    )
    told = Counter((reply.status, reply.code) for reply in replies)
    assert told == {(201, None): 1, (409, "already_reversed"): 11}


async def test_what_neither_earned_nor_spent_is_not_reversible(api, customer_id):
    sale = await sell(api, customer_id)
    undone = await api.store.reverse(customer_id, sale["transaction_id"])
    await sell(api, customer_id)
    held = await api.store.pay(customer_id, coins=1)
    voided = await api.store.void(customer_id, held.json["payment_id"])
    await api.store.redeem(customer_id, "poor", reward_id=await reward(api, points=10**6))
    rows = (await api.network.block(customer_id, "a test", "b")).json
    assert rows["status"] == "blocked"
    listed = (await api.network.transactions(customer_id)).json["transactions"]
    block = next(row["transaction_id"] for row in listed if row["type"] == "block")
    wanted = [undone.json["transaction_id"], held.json["payment_id"]]
    for name in (*wanted, voided.json["transaction_id"], block):
        reply = await api.network.reverse(customer_id, name)
        assert (reply.status, reply.code) == (409, "not_reversible")
    reply = await api.store.reverse(customer_id, block)
    assert (reply.status, reply.code) == (404, "transaction_not_found")


async def test_a_blocked_customer_is_corrected_all_the_same(api, customer_id):
    sale = await sell(api, customer_id)
    await api.network.block(customer_id, "a test")
    assert (await api.store.reverse(customer_id, sale["transaction_id"])).status == 201


async def test_what_happened_elsewhere_does_not_exist(api, demo, people, customer_id):
    sale = await sell(api, customer_id)
    sibling = next(
        one["store_id"] for one in demo["stores"] if one["brand_id"] == 1 and one["store_id"] != 1
    )
    there = await api.brand.accumulate(customer_id, **SALE, store_id=sibling)
    converted = await api.app.convert(customer_id, partner_points=9, reference=str(uuid4()))
    for client, transaction_id in (
        (api.other_store, sale["transaction_id"]),
        (api.store, there.json["transaction_id"]),
        (api.cashier, there.json["transaction_id"]),
        (api.brand, converted.json["transaction_id"]),
        (api.network, str(uuid4())),
    ):
        reply = await client.reverse(customer_id, transaction_id)
        assert (reply.status, reply.code) == (404, "transaction_not_found")
    for nobody in (people.complete()["customer_id"], str(uuid4())):
        reply = await api.network.reverse(nobody, sale["transaction_id"])
        assert (reply.status, reply.code) == (404, "transaction_not_found")
    assert (await api.cashier.reverse(customer_id, sale["transaction_id"])).status == 201
    assert (await api.brand.reverse(customer_id, there.json["transaction_id"])).status == 201


@pytest.mark.parametrize(
    "wrong", [{"transaction_id": "x"}, {"transaction_id": None}, {"reason": ""}, {"coins": 1}]
)
async def test_what_is_no_reversal_is_refused(api, customer_id, wrong):
    body = {"transaction_id": str(uuid4()), "reason": "a mistake"} | wrong
    path = f"/v1/customers/{customer_id}/reversals"
    reply = await api.store.request("POST", path, body, idempotency="k")
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_the_books_balance_after_all_of_it(api, database):
    await assert_balanced(database)

"""The customer's statement over HTTP: what it says, of which days, and to whom (SYS-5, USR-2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS

TODAY = (datetime.now(UTC) + timedelta(seconds=UTC_OFFSETS[COINS_COUNTRY])).date()
NOTHING = dict.fromkeys(
    ("earned", "converted", "spent", "paid", "donated", "expired", "reversed"), 0
)
SALE = {"amount": 99_000_000, "currency": "COP"}


async def statement(client, customer_id, **query):
    reply = await client.request("GET", f"/v1/customers/{customer_id}/statement", params=query)
    assert reply.status == 200, reply
    return reply.json


def wallet(told, brand_id=None):
    return next(one for one in told["wallets"] if one.get("brand_id") == brand_id)


@pytest.fixture
async def active(api, customer_id):
    """Return (a customer of many transactions, what they had of each)."""
    sale = (await api.store.accumulate(customer_id, **SALE)).json
    reward = (await api.store.redeem(customer_id, reward_id=1)).json["points"]["spent"]
    converted = await api.app.convert(customer_id, partner_points=70, reference=str(uuid4()))
    await api.app.donate(customer_id, coins=20)
    qr = (await api.app.qr(customer_id)).json["qr"]
    payment = await api.store.pay(customer_id, coins=50, qr=qr)
    await api.store.pay(customer_id, coins=30)  # held
    other = (await api.other_store.accumulate(customer_id, **SALE)).json
    assert payment.status == 201
    return customer_id, {
        "points": sale["points"]["earned"],
        "coins": sale["coins"]["earned"],
        "spent": reward,
        "converted": converted.json["coins"]["earned"],
        "others": other,
    }


async def test_a_statement_tells_all_that_came_and_went(api, active):
    customer_id, had = active
    told = await statement(api.app, customer_id)
    points, coins = wallet(told, 1), wallet(told)
    assert points["opening"] == coins["opening"] == {"balance": 0, "held": 0}
    assert points["closing"] == {"balance": had["points"] - had["spent"], "held": 0}
    assert points["totals"] == NOTHING | {"earned": had["points"], "spent": had["spent"]}
    of_other = (had["others"]["coins"] or {"earned": 0})["earned"]
    earned = had["coins"] + of_other
    assert coins["totals"] == NOTHING | {
        "earned": earned,
        "converted": had["converted"],
        "donated": 20,
        "paid": 50,
    }
    assert coins["closing"] == {"balance": earned + had["converted"] - 100, "held": 30}
    assert coins["expiring"] == dict.fromkeys(
        ("within_30_days", "within_60_days", "within_90_days"), 0
    )
    assert (told["from"], told["to"]) == (
        (TODAY - timedelta(days=29)).isoformat(),
        TODAY.isoformat(),
    )
    listed = (await api.app.transactions(customer_id)).json
    assert told["transactions"] == listed["transactions"]
    shown = (await api.app.wallets(customer_id)).json["wallets"]
    assert {one.get("brand_id"): (one["balance"], one["held"]) for one in shown} == {
        one.get("brand_id"): (one["closing"]["balance"], one["closing"]["held"])
        for one in told["wallets"]
    }


async def test_days_before_anything_happened_are_empty(api, active):
    customer_id, _ = active
    yesterday = (TODAY - timedelta(days=1)).isoformat()
    told = await statement(api.app, customer_id, to=yesterday)
    assert told["transactions"] == []
    assert wallet(told)["closing"] == {"balance": 0, "held": 0}
    assert wallet(told)["totals"] == NOTHING
    assert (told["to"], told["next_cursor"]) == (yesterday, None)


async def test_pages_follow_on_each_other(api, active):
    customer_id, _ = active
    whole = (await statement(api.app, customer_id))["transactions"]
    pages, cursor = [], None
    while True:
        page = await statement(
            api.app, customer_id, limit=3, **({} if cursor is None else {"cursor": cursor})
        )
        pages += page["transactions"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert pages == whole


async def test_one_asset_or_one_brand(api, active):
    customer_id, _ = active
    coins = await statement(api.app, customer_id, asset="coins")
    assert [one["asset"] for one in coins["wallets"]] == ["coins"]
    assert {one["asset"] for one in coins["transactions"]} == {"coins"}
    points = await statement(api.app, customer_id, asset="points")
    assert {one["asset"] for one in points["wallets"]} == {"points"}
    assert len(points["wallets"]) == 2
    of_brand = await statement(api.app, customer_id, brand_id=1)
    assert [one.get("brand_id") for one in of_brand["wallets"]] == [None, 1]
    assert {one["brand_id"] for one in of_brand["transactions"]} == {1}


@pytest.mark.parametrize("role", ["brand", "store", "cashier"])
async def test_a_brand_sees_its_points_and_its_part_of_the_coins(api, active, role):
    customer_id, had = active
    told = await statement(getattr(api, role), customer_id)
    assert [one.get("brand_id") for one in told["wallets"]] == [None, 1]
    assert {one["brand_id"] for one in told["transactions"]} == {1}
    assert wallet(told)["totals"] == NOTHING | {"earned": had["coins"], "paid": 50}
    whole = await statement(api.app, customer_id)
    assert wallet(told)["closing"] == wallet(whole)["closing"]  # as the till shows it
    foreign = await getattr(api, role).request(
        "GET", f"/v1/customers/{customer_id}/statement", params={"brand_id": 2}
    )
    assert (foreign.status, foreign.code) == (404, "not_found")


async def test_a_reversal_has_its_sign(api, customer_id):
    sale = await api.store.accumulate(customer_id, **SALE)
    await api.store.reverse(customer_id, sale.json["transaction_id"])
    told = await statement(api.app, customer_id)
    points = sale.json["points"]["earned"]
    assert wallet(told, 1)["totals"] == NOTHING | {"earned": points, "reversed": -points}


async def test_nobody_has_no_statement_and_a_new_customer_an_empty_one(api, customer_id):
    reply = await api.app.request("GET", f"/v1/customers/{uuid4()}/statement")
    assert (reply.status, reply.code) == (404, "customer_not_found")
    told = await statement(api.app, customer_id)
    assert (told["wallets"], told["transactions"]) == ([], [])


BAD = {
    "from=x": "`from` is a day since 1970",
    f"from={TODAY}T00:00:00Z": "`from` is a day since 1970",
    f"from={TODAY}&to=2020-01-01": "`from` is after `to`",
    "from=2001-01-01": "at most 400 days",
    "limit=0": "`limit` is a whole number",
    "asset=gold": "`asset` is points or coins",
    "cursor=x": "`cursor` must be a `next_cursor`",
}


@pytest.mark.parametrize(("query", "says"), BAD.items(), ids=BAD)
async def test_a_question_without_an_answer_is_told_why(api, customer_id, query, says):
    reply = await api.app.request("GET", f"/v1/customers/{customer_id}/statement?{query}")
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert says in reply.json["detail"]

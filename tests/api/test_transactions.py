"""Wallets and history: what a customer has and how it came about, for those who may see it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import uuid4

import pytest
from harness import connection_to

from engine.codes import Kind


@pytest.fixture(scope="module")
def cheapest(demo):
    return min((one for one in demo["rewards"] if one["brand_id"] == 1), key=lambda r: r["points"])


async def sell(client, customer_id, number, **more):
    replies = [
        await client.accumulate(customer_id, amount=(n + 1) * 100_000, currency="COP", **more)
        for n in range(number)
    ]
    assert {reply.status for reply in replies} == {201}
    return replies


async def pages(client, customer_id, **query):
    """Return all pages of the list."""
    found, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        reply = await client.transactions(customer_id, **query, **more)
        assert reply.status == 200
        found.append(reply.json["transactions"])
        cursor = reply.json["next_cursor"]
        if cursor is None:
            return found


def places(rows):
    return [(row["recorded_at"], row["asset"], row["brand_id"], row["balance"]) for row in rows]


async def test_wallets_show_a_store_its_points_and_the_coins(api, customer_id):
    await sell(api.store, customer_id, 1)
    await sell(api.other_store, customer_id, 1)
    seen = (await api.store.wallets(customer_id)).json
    assert [(w["asset"], w.get("brand_id"), w["balance"]) for w in seen["wallets"]] == [
        ("coins", None, 10),
        ("points", 1, 1),
    ]
    assert datetime.fromisoformat(seen["as_of"]).tzinfo is not None
    for wallet in seen["wallets"]:
        assert sum(lot["amount"] for lot in wallet["expiring"]) == wallet["balance"]
    for client in (api.network, api.app):
        seen = (await client.wallets(customer_id)).json
        assert [w.get("brand_id") for w in seen["wallets"]] == [None, 1, 2]


async def test_an_unknown_customer_has_neither_wallets_nor_history(api):
    for client in (api.store, api.network, api.app):
        for reply in (await client.wallets(str(uuid4())), await client.transactions(str(uuid4()))):
            assert (reply.status, reply.code) == (404, "customer_not_found")


async def test_a_customer_without_postings_has_empty_lists(api, customer_id):
    assert (await api.network.wallets(customer_id)).json["wallets"] == []
    listed = await api.store.transactions(customer_id)
    assert listed.json == {"transactions": [], "next_cursor": None}


async def test_transactions_are_listed_newest_first_with_both_legs_of_a_sale(
    api, customer_id, cheapest
):
    sale, *_ = await sell(api.store, customer_id, 5)
    redeemed = await api.store.redeem(customer_id, reward_id=cheapest["reward_id"])
    held = await api.store.pay(customer_id, coins=3)
    rows = (await api.store.transactions(customer_id)).json["transactions"]
    assert [row["type"] for row in rows] == ["hold", "redemption", *["accumulation"] * 10]
    assert rows[0]["transaction_id"] == held.json["transaction_id"]
    assert (rows[0]["amount"], rows[0]["held_amount"]) == (-3, 3)
    assert rows[1]["transaction_id"] == redeemed.json["transaction_id"]
    assert rows[1]["amount"] == -cheapest["points"]
    assert rows[1]["item"] == redeemed.json["item"]
    assert rows[1]["item"]["reward_id"] == cheapest["reward_id"]
    assert {row["item"] is None for row in (rows[0], *rows[2:])} == {True}
    legs = [row for row in rows if row["transaction_id"] == sale.json["transaction_id"]]
    assert sorted((row["asset"], row["amount"]) for row in legs) == [("coins", 10), ("points", 1)]
    moments = [row["recorded_at"] for row in rows]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
async def test_paging_sees_every_posting_once_and_in_order(api, database, customer_id, limit):
    await sell(api.store, customer_id, 9)
    await asyncio.gather(*(sell(api.other_store, customer_id, 3) for _ in range(3)))
    await sell(api.store, customer_id, 4)
    found = await pages(api.network, customer_id, limit=limit)
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
    rows = [row for page in found for row in page]
    assert len(rows) == 2 * 13 + 9
    assert len(set(places(rows))) == len(rows)
    async with connection_to(database) as connection:
        total = await connection.fetchval(
            "select count(*) from journal where customer_id = $1 and kind <> 11", customer_id
        )
    assert total == len(rows)
    assert rows == (await api.network.transactions(customer_id, limit=100)).json["transactions"]


async def test_what_is_posted_while_someone_pages_shifts_nothing(api, customer_id):
    await sell(api.store, customer_id, 6)
    whole = (await api.store.transactions(customer_id, limit=100)).json["transactions"]
    first = (await api.store.transactions(customer_id, limit=5)).json
    await sell(api.store, customer_id, 3)
    rest = (await api.store.transactions(customer_id, limit=100, cursor=first["next_cursor"])).json
    assert first["transactions"] + rest["transactions"] == whole


async def test_filters_by_asset_and_brand(api, customer_id):
    await sell(api.store, customer_id, 2)
    await sell(api.other_store, customer_id, 2)

    async def listed(client, **query):
        rows = [row for page in await pages(client, customer_id, **query) for row in page]
        return sorted({(row["asset"], row["brand_id"]) for row in rows}), len(rows)

    assert await listed(api.network, asset="coins") == ([("coins", 1)], 2)
    assert await listed(api.network, asset="points") == ([("points", 1), ("points", 2)], 4)
    assert await listed(api.network, brand_id=2) == ([("points", 2)], 2)
    assert await listed(api.network, brand_id=1, asset="points", limit=1) == ([("points", 1)], 2)
    assert await listed(api.app, brand_id=30) == ([], 0)


async def test_another_brand_sees_nothing_of_it(api, customer_id):
    replies = await sell(api.store, customer_id, 3)
    assert (await api.other_store.transactions(customer_id)).json["transactions"] == []
    foreign = await api.other_store.transactions(customer_id, brand_id=1)
    assert (foreign.status, foreign.code) == (404, "not_found")
    for reply in replies:
        seen = await api.other_store.transaction(customer_id, reply.json["transaction_id"])
        assert (seen.status, seen.code) == (404, "transaction_not_found")
    cursor = (await api.store.transactions(customer_id, limit=1)).json["next_cursor"]
    with_cursor = await api.other_store.transactions(customer_id, cursor=cursor)
    assert with_cursor.json["transactions"] == []
    own = await api.brand.transactions(customer_id, brand_id=1)
    assert len(own.json["transactions"]) == 6


@pytest.mark.parametrize(
    "query",
    [
        *({"limit": limit} for limit in ("0", "-1", "101", "1.5", "x", "", "1e2", "９", "9" * 40)),
        *({"brand_id": number} for number in ("0", "-1", "x", "2147483648", "99999999999")),
        {"asset": "pesos"},
        *(
            {"cursor": text}
            for text in ("", "x", "é", "!!", "MS4yLjM", "A" * 500, "Li4", "MC4wLi0x")
        ),
        {"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS4wLjE"},  # a moment after all calendars
        {"cursor": "LTYyMTM1NTk2ODAwMDAwMDAwMS4wLjE"},  # … and before
        {"cursor": "MS45OTk5OTk5OTk5OTkuMQ"},  # an asset that is no integer of the database
    ],
    ids=str,
)
async def test_a_query_that_cannot_be_is_refused(api, customer_id, query):
    reply = await api.network.transactions(customer_id, **query)
    if query == {"cursor": "MS4yLjM"}:  # "1.2.3" is a place, if an early one
        assert reply.json["transactions"] == []
    else:
        assert (reply.status, reply.code) == (400, "invalid_request")


async def test_a_limit_is_the_length_of_a_page(api, customer_id):
    await sell(api.store, customer_id, 12)
    for query, length in (({}, 20), ({"limit": 100}, 24), ({"limit": 3}, 3)):
        page = (await api.store.transactions(customer_id, **query)).json
        assert len(page["transactions"]) == length
        assert (page["next_cursor"] is None) == (length == 24)


# Single transactions.


async def test_a_single_transaction_equals_the_first_answer(api, customer_id, cheapest):
    await sell(api.store, customer_id, 5)
    first = [
        await api.store.accumulate(customer_id, amount=1_234_567, currency="COP"),
        await api.store.accumulate(customer_id, amount=1, currency="COP"),
        await api.other_store.accumulate(customer_id, amount=1_234_567, currency="COP"),
        await api.store.redeem(customer_id, reward_id=cheapest["reward_id"]),
        await api.store.pay(customer_id, coins=9, invoice_number="B-7", amount=900),
    ]
    assert [reply.status for reply in first] == [201] * 5
    for reply in first:
        read = await api.network.transaction(customer_id, reply.json["transaction_id"])
        assert (read.status, read.json) == (200, reply.json)


async def test_a_confirmation_a_resend_and_a_void_can_be_read_again(api, engine, people):
    person = people.complete()
    customer_id = person["customer_id"]
    await sell(api.store, customer_id, 3)
    first = (await api.store.pay(customer_id, coins=5)).json["payment_id"]
    second = (await api.store.pay(customer_id, coins=6)).json["payment_id"]
    resent = await api.store.resend(customer_id, first)
    code = engine.outbox()[-1]["text"].partition(" es ")[2][:4]
    done = [
        resent,
        await api.store.confirm(customer_id, first, code),
        await api.store.void(customer_id, second),
    ]
    assert [reply.status for reply in done] == [200, 200, 200]
    for reply in done:
        read = await api.store.transaction(customer_id, reply.json["transaction_id"])
        assert (read.status, read.json) == (200, reply.json)


async def test_a_refusal_can_be_read_again(api, database, people, demo):
    person, broke = people.incomplete(), people.complete()["customer_id"]
    dear = max((one for one in demo["rewards"] if one["brand_id"] == 1), key=lambda r: r["points"])
    await api.store.accumulate(broke, amount=100_000, currency="COP", invoice_number="R-1")
    held = (await api.store.pay(broke, coins=5)).json["payment_id"]
    refused = {
        "insufficient_points": await api.store.redeem(broke, reward_id=dear["reward_id"]),
        "insufficient_coins": await api.store.pay(broke, coins=999),
        "qr_invalid": await api.store.pay(broke, coins=1, qr="X" * 39),
        "invoice_already_claimed": await api.store.accumulate(
            broke, amount=100_000, currency="COP", invoice_number="R-1"
        ),
        "code_invalid": await api.store.confirm(broke, held, "00000"),
        "profile_incomplete": await api.store.redeem(
            person["customer_id"], reward_id=dear["reward_id"]
        ),
    }
    async with connection_to(database) as connection:
        rows = await connection.fetch(
            "select customer_id, transaction_id, refusal from journal"
            " where refusal <> 0 and customer_id = any($1::uuid[])",
            [broke, person["customer_id"]],
        )
    assert len(rows) == len(refused)
    told = {}
    for row in rows:
        read = await api.store.transaction(str(row["customer_id"]), str(row["transaction_id"]))
        assert read.status == 409
        told[read.code] = read.json
    for code, reply in refused.items():
        assert reply.code == code
        told[code].pop("request_id")
        first = {name: value for name, value in reply.json.items() if name != "request_id"}
        assert told[code] == first


async def test_an_unknown_transaction_is_not_found(api, people):
    first, second = people.several(2)
    sale, *_ = await sell(api.store, first, 1)
    for customer_id, transaction_id in (
        (first, str(uuid4())),
        (second, sale.json["transaction_id"]),
        (first, "1"),
    ):
        reply = await api.network.transaction(customer_id, transaction_id)
        assert (reply.status, reply.code) == (404, "transaction_not_found")


async def test_every_listed_type_has_a_word(api, customer_id):
    await sell(api.store, customer_id, 1)
    rows = (await api.network.transactions(customer_id)).json["transactions"]
    assert {row["type"] for row in rows} <= {kind.name.lower() for kind in Kind}

"""An online purchase gives coins, which the brand of its store issues (COI-2, COI-4)."""

from __future__ import annotations

from uuid import uuid4

import pytest


async def store_of_no_issuer(api):
    brands = (await api.network.request("GET", "/v1/brands?limit=1000")).json["brands"]
    brand = next(one for one in brands if not one["programme"]["issuer"])
    path = f"/v1/stores?limit=1&brand_id={brand['brand_id']}"
    return (await api.network.request("GET", path)).json["stores"][0]["store_id"]


async def test_coins_are_given_for_an_order(api, customer_id):
    reply = await api.app.cash_back(customer_id, coins=80, order="WEB-5521")
    assert reply.status == 201
    told = reply.json
    assert told.pop("transaction_id")
    assert told.pop("recorded_at")
    assert told["coins"].pop("expires_on") > "2027"
    assert told == {
        "customer_id": customer_id,
        "store_id": 1,
        "brand_id": 1,
        "order": "WEB-5521",
        "coins": {"earned": 80, "balance": 80},
    }
    assert await api.store.coins(customer_id) == 80


async def test_a_retry_gives_them_once(api, customer_id):
    first = await api.app.cash_back(customer_id, "k", coins=8)
    again = await api.app.cash_back(customer_id, "k", coins=8)
    assert (again.status, again.json, again.replayed) == (201, first.json, True)
    other = await api.app.cash_back(customer_id, "k", coins=8, order="WEB-2")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await api.app.coins(customer_id) == 8


async def test_a_retry_is_answered_when_the_store_is_gone(api, customer_id):
    made = await api.brand.request("POST", "/v1/stores", {"name": "Web", "city": "Bogotá"})
    store_id = made.json["store_id"]
    first = await api.app.cash_back(customer_id, "k", coins=8, store_id=store_id)
    assert first.status == 201
    await api.brand.request("DELETE", f"/v1/stores/{store_id}")
    again = await api.app.cash_back(customer_id, "k", coins=8, store_id=store_id)
    assert (again.status, again.json, again.replayed) == (201, first.json, True)
    new = await api.app.cash_back(customer_id, coins=8, store_id=store_id)
    assert (new.status, new.code) == (404, "store_not_found")


async def test_a_brand_that_issues_no_coins_gives_none(api, customer_id):
    body = {"coins": 8, "store_id": await store_of_no_issuer(api)}
    reply = await api.app.cash_back(customer_id, "k", **body)
    assert (reply.status, reply.code) == (409, "not_available")
    assert "issues no coins" in reply.json["detail"]
    again = await api.app.cash_back(customer_id, "k", **body)
    assert (again.code, again.replayed) == ("not_available", True)


async def test_nobody_unknown_or_blocked_gets_any(api, customer_id):
    reply = await api.app.cash_back(str(uuid4()), coins=8)
    assert (reply.status, reply.code) == (404, "customer_not_found")
    await api.network.block(customer_id, "a test")
    reply = await api.app.cash_back(customer_id, coins=8)
    assert (reply.status, reply.code) == (409, "customer_blocked")


@pytest.mark.parametrize(
    "wrong", [{"coins": 0}, {"coins": -1}, {"order": ""}, {"order": "ñ"}, {"store_id": None}]
)
async def test_what_is_no_cashback_is_refused(api, customer_id, wrong):
    reply = await api.app.cash_back(customer_id, **{"coins": 1} | wrong)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_its_brand_reads_it_and_another_does_not(api, customer_id):
    made = (await api.app.cash_back(customer_id, coins=8)).json
    for client in (api.app, api.network, api.brand, api.store):
        read = await client.transaction(customer_id, made["transaction_id"])
        assert (read.status, read.json) == (200, made)
        (row,) = (await client.transactions(customer_id)).json["transactions"]
        assert (row["type"], row["amount"], row["store_id"]) == ("cashback", 8, 1)
    read = await api.other_store.transaction(customer_id, made["transaction_id"])
    assert (read.status, read.code) == (404, "transaction_not_found")

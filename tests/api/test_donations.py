"""Coins are given to registered social organisations (COI-8)."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import uuid4

import pytest


@pytest.fixture
async def giver(api, customer_id):
    """Return a customer with 100 coins."""
    assert (await api.app.cash_back(customer_id, coins=100)).status == 201
    return customer_id


@pytest.mark.parametrize("role", ["app", "network"])
async def test_coins_are_given(api, giver, role):
    client = getattr(api, role)
    reply = await client.donate(giver, coins=30, organisation_id=2)
    assert reply.status == 201
    told = reply.json
    read = await client.transaction(giver, told["transaction_id"])
    assert (read.status, read.json) == (200, told)
    assert told.pop("transaction_id")
    assert told.pop("recorded_at")
    assert told == {
        "customer_id": giver,
        "organisation_id": 2,
        "coins": {"spent": 30, "balance": 70},
    }
    assert await client.coins(giver) == 70
    row = (await client.transactions(giver)).json["transactions"][0]
    assert (row["type"], row["asset"], row["amount"]) == ("donation", "coins", -30)
    assert row["store_id"] == (1 if role in ("store", "cashier") else None)


async def test_a_retry_gives_once(api, giver):
    first = await api.app.donate(giver, "k", coins=30)
    again = await api.app.donate(giver, "k", coins=30)
    assert (again.status, again.json, again.replayed) == (201, first.json, True)
    other = await api.app.donate(giver, "k", coins=31)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await api.app.coins(giver) == 70


async def test_more_than_there_is_is_told_with_what_there_is(api, giver):
    reply = await api.app.donate(giver, coins=101)
    assert (reply.status, reply.code) == (409, "insufficient_coins")
    assert (reply.json["available"], reply.json["required"]) == (100, 101)


async def test_many_at_once_never_give_more_than_there_is(api, giver):
    replies = await asyncio.gather(*(api.app.donate(giver, coins=30) for _ in range(9)))
    told = Counter((reply.status, reply.code) for reply in replies)
    assert told == {(201, None): 3, (409, "insufficient_coins"): 6}
    assert await api.app.coins(giver) == 10


async def test_nothing_goes_to_what_is_no_organisation(api, giver):
    made = await api.network.request("POST", "/v1/organisations", {"name": "Nueva"})
    path = f"/v1/organisations/{made.json['organisation_id']}"
    body = {"coins": 1, "organisation_id": made.json["organisation_id"]}
    first = await api.app.donate(giver, "k", **body)
    assert first.status == 201
    await api.network.request("DELETE", path)
    again = await api.app.donate(giver, "k", **body)
    assert (again.status, again.json, again.replayed) == (201, first.json, True)
    for organisation_id in (body["organisation_id"], 999_999):
        reply = await api.app.donate(giver, coins=1, organisation_id=organisation_id)
        assert (reply.status, reply.code) == (404, "organisation_not_found")


async def test_nobody_unknown_or_blocked_gives(api, giver):
    reply = await api.app.donate(str(uuid4()), coins=8)
    assert (reply.status, reply.code) == (404, "customer_not_found")
    await api.network.block(giver, "a test")
    reply = await api.app.donate(giver, coins=8)
    assert (reply.status, reply.code) == (409, "customer_blocked")


@pytest.mark.parametrize("wrong", [{"coins": 0}, {"coins": -1}, {"organisation_id": "1"}])
async def test_what_is_no_donation_is_refused(api, customer_id, wrong):
    reply = await api.app.donate(customer_id, **{"coins": 1} | wrong)
    assert (reply.status, reply.code) == (400, "invalid_request")

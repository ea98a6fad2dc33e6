"""A blocked customer neither earns nor spends until someone unblocks them with a reason (CUS-9)."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from harness import connection_to
from traffic import faults_of

from engine.codes import Kind

SALE = {"amount": 5_400_000, "currency": "COP"}


@pytest.fixture
async def customer(api, people):
    """Return a customer with points at two brands, coins, and an open payment."""
    customer_id = people.complete()["customer_id"]
    for client in (api.store, api.other_store):
        assert (await client.accumulate(customer_id, **SALE)).status == 201
    payment = await api.store.pay(customer_id, coins=10)
    assert payment.status == 201
    return customer_id, payment.json["payment_id"]


async def listed(client, customer_id, **query):
    return (await client.transactions(customer_id, **query)).json["transactions"]


async def test_a_block_and_an_unblock_answer_with_the_customer(api, customer):
    customer_id, _ = customer
    before = (await api.network.customer(customer_id)).json
    blocked = await api.network.block(customer_id, "Case 17")
    assert (blocked.status, blocked.json) == (200, before | {"status": "blocked"})
    for client in (api.network, api.store, api.other_store, api.app):
        assert (await client.customer(customer_id)).json["status"] == "blocked"
    found = await api.store.lookup(email=before["email"])
    assert found.json["customer"]["status"] == "blocked"
    unblocked = await api.network.unblock(customer_id, "Case 17 is closed")
    assert (unblocked.status, unblocked.json) == (200, before)
    assert (await api.store.customer(customer_id)).json["status"] == "active"


async def test_nothing_is_earned_or_spent_until_the_unblock(api, engine, database, customer):
    customer_id, payment_id = customer
    code = engine.outbox()[-1]["text"].partition(" es ")[2][:4]
    coins = await api.store.coins(customer_id)
    assert (await api.network.block(customer_id, "Case 18")).status == 200
    refused = [
        await api.store.accumulate(customer_id, **SALE),
        await api.other_store.accumulate(customer_id, **SALE),
        await api.network.accumulate(customer_id, **SALE, store_id=9),
        await api.store.redeem(customer_id, reward_id=1),
        await api.store.pay(customer_id, coins=1),
        await api.store.confirm(customer_id, payment_id, code),
    ]
    assert {(reply.status, reply.code) for reply in refused} == {(409, "customer_blocked")}
    assert await api.store.coins(customer_id) == coins
    assert (await api.network.unblock(customer_id, "Case 18: a mistake")).status == 200
    assert (await api.store.accumulate(customer_id, **SALE)).status == 201
    assert (await api.store.confirm(customer_id, payment_id, code)).status == 200
    async with connection_to(database) as connection:
        assert await faults_of(connection, []) == []


async def test_a_customer_without_a_wallet_can_be_blocked(api, customer_id):
    assert (await api.network.block(customer_id, "Case 19")).json["status"] == "blocked"
    assert (await api.store.accumulate(customer_id, **SALE)).code == "customer_blocked"
    assert (await api.network.unblock(customer_id, "Case 19")).json["status"] == "active"
    assert (await api.store.accumulate(customer_id, **SALE)).status == 201


async def test_the_network_reads_who_did_it_and_why(api, customer):
    customer_id, _ = customer
    by = "key:" + api.network.key.split("_")[1]
    await api.network.block(customer_id, "Case 20")
    await api.network.unblock(customer_id, "Case 20: rejected")
    rows = await listed(api.network, customer_id, limit=2)
    assert [(row["type"], row["reason"], row["by"]) for row in rows] == [
        ("unblock", "Case 20: rejected", by),
        ("block", "Case 20", by),
    ]
    everything = await listed(api.network, customer_id, limit=100)
    assert [row["type"] for row in everything].count("block") == 1
    assert not [row for row in everything[2:] if "reason" in row or "by" in row]
    block = await api.network.transaction(customer_id, rows[1]["transaction_id"])
    assert block.status == 200
    assert block.json == {
        "transaction_id": rows[1]["transaction_id"],
        "customer_id": customer_id,
        "type": "block",
        "reason": "Case 20",
        "by": by,
        "recorded_at": rows[1]["recorded_at"],
    }


async def test_nobody_else_sees_it_in_the_history(api, customer):
    customer_id, _ = customer
    clients = (api.app, api.brand, api.store, api.other_store)
    before = [await listed(client, customer_id, limit=100) for client in clients]
    await api.network.block(customer_id, "Case 21")
    block_id = (await listed(api.network, customer_id, limit=1))[0]["transaction_id"]
    for client, rows in zip(clients, before, strict=True):
        for query in ({}, {"asset": "coins"}, {"asset": "points"}):
            seen = await listed(client, customer_id, limit=100, **query)
            assert "block" not in {row["type"] for row in seen}
        assert await listed(client, customer_id, limit=100) == rows
        reply = await client.transaction(customer_id, block_id)
        assert (reply.status, reply.code) == (404, "transaction_not_found")


async def test_the_history_goes_on_after_a_page_of_what_is_not_seen(api, customer):
    customer_id, _ = customer
    for number in range(3):
        await api.network.block(customer_id, f"Case 22-{number}")
        await api.network.unblock(customer_id, f"Case 22-{number}")
    rows, cursor = [], None
    while cursor is not None or not rows:
        query = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = (await api.app.transactions(customer_id, **query)).json
        assert len(page["transactions"]) == 2 or page["next_cursor"] is None
        assert page["transactions"]
        rows += page["transactions"]
        cursor = page["next_cursor"]
    assert rows == await listed(api.app, customer_id, limit=100)
    assert [row["type"] for row in rows].count("accumulation") == 3


async def test_rows_that_nobody_asked_for_are_no_transactions(api, database, customer):
    customer_id, _ = customer
    await api.network.block(customer_id, "Case 23")
    async with connection_to(database) as connection:
        rows = await connection.fetch(
            "select transaction_id from journal where customer_id = $1 and kind = any($2)"
            " and details is null",
            customer_id,
            [Kind.BLOCK.value, Kind.OPENING.value],
        )
    assert len(rows) >= 2
    for row in rows:
        for client in (api.network, api.store, api.app):
            reply = await client.transaction(customer_id, str(row["transaction_id"]))
            assert (reply.status, reply.code) == (404, "transaction_not_found")


async def test_a_retry_with_a_key_is_the_same_block(api, customer):
    customer_id, _ = customer
    first = await api.network.block(customer_id, "Case 24", "k-1")
    await api.network.unblock(customer_id, "Case 24", "k-1")
    again = await api.network.block(customer_id, "Case 24", "k-1")
    assert (again.status, again.json, again.replayed) == (200, first.json, True)
    assert (await api.network.customer(customer_id)).json["status"] == "active"
    other = await api.network.block(customer_id, "Case 25", "k-1")
    assert (other.status, other.code) == (422, "idempotency_key_reused")


async def test_blocking_twice_is_blocking(api, customer):
    customer_id, _ = customer
    replies = await asyncio.gather(*(api.network.block(customer_id, "Case 26") for _ in range(5)))
    assert {(reply.status, reply.json["status"]) for reply in replies} == {(200, "blocked")}
    assert (await api.network.unblock(customer_id, "Case 26")).json["status"] == "active"


async def test_an_unknown_customer_is_not_found(api):
    for customer_id in (str(uuid4()), "1"):
        for reply in (
            await api.network.block(customer_id, "Case 27"),
            await api.network.unblock(customer_id, "Case 27"),
        ):
            assert (reply.status, reply.code) == (404, "customer_not_found")


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": None}, {"reason": "x" * 201}, []])
async def test_a_reason_is_needed(api, customer_id, body):
    for verb in ("block", "unblock"):
        reply = await api.network.request("POST", f"/v1/customers/{customer_id}/{verb}", body)
        assert (reply.status, reply.code) == (400, "invalid_request")
    assert (await api.network.customer(customer_id)).json["status"] == "active"

"""Two engines on one database are shown the same QR: it pays at one of them, once (COI-6)."""

from __future__ import annotations

import asyncio

import pytest
from harness import People
from traffic import faults_of

SALE = {"amount": 5_400_000, "currency": "COP"}  # 540 coins


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


async def shown(client, people, number):
    """Return customers with coins, and the QR that each of them shows."""
    customers = people.several(number)
    for customer in customers:
        assert (await client.store.accumulate(customer, **SALE)).status == 201
    return [(one, (await client.app.qr(one)).json["qr"]) for one in customers]


async def pay_on_both(one, other, customer, qr, keys):
    return await asyncio.gather(
        one.store.pay(customer, keys[0], coins=100, qr=qr),
        other.store.pay(customer, keys[1], coins=100, qr=qr),
    )


async def test_the_same_qr_on_both_at_once_pays_once(two, people):
    one, other, connection = two
    wallets = await shown(one, people, 25)
    pairs = await asyncio.gather(
        *(pay_on_both(one, other, customer, qr, ("here", "there")) for customer, qr in wallets)
    )
    for pair in pairs:
        assert sorted(reply.status for reply in pair) == [201, 409]
        assert {reply.code for reply in pair} == {None, "qr_invalid"}
    for (customer, qr), pair in zip(wallets, pairs, strict=True):
        assert await other.store.coins(customer) == 440
        again = await pay_on_both(other, one, customer, qr, ("here", "there"))
        assert [reply.replayed for reply in again] == [True, True]
        assert [(reply.status, reply.code) for reply in again] == [
            (reply.status, reply.code) for reply in pair
        ]
    uses = await connection.fetchval("select count(*) from qr_use")
    assert uses == len(wallets)
    assert await faults_of(connection, []) == []


async def test_the_same_key_and_qr_on_both_at_once_has_one_effect(two, people):
    one, other, connection = two
    wallets = await shown(other, people, 25)
    pairs = await asyncio.gather(
        *(pay_on_both(one, other, customer, qr, ("same", "same")) for customer, qr in wallets)
    )
    for first, second in pairs:
        assert (first.status, second.status) == (201, 201)
        assert first.json == second.json
        assert sorted((first.replayed, second.replayed)) == [False, True]
    for customer, _ in wallets:
        assert await one.store.coins(customer) == 440
    assert await faults_of(connection, []) == []

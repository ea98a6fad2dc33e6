"""Two engines on one database, without affinity: the compare-and-set keeps them apart."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from harness import People
from traffic import faults_of, plan, send_all, settle

SALE = {"amount": 5_400_000, "currency": "COP"}


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


@pytest.fixture
def two(two, people, engines):
    """Return clients, a connection, the customers, and what the first engine sends."""
    return *two, people, engines[0].outbox


async def test_customers_hammered_from_both_sides_have_straight_books(two, dice):
    one, other, connection, people, _ = two
    customers = people.several(8)
    intents = plan(dice, customers, 800, "both")
    await asyncio.gather(
        send_all(intents[::2], one.store, at_once=24),
        send_all(intents[1::2], other.store, at_once=24),
    )
    await settle(intents, one)
    statuses = Counter(reply.status for intent in intents for reply in intent.replies)
    assert set(statuses) <= {201, 409, 503}
    assert await faults_of(connection, intents) == []
    seen = await asyncio.gather(*(one.store.wallets(customer) for customer in customers))
    told = await asyncio.gather(*(other.store.wallets(customer) for customer in customers))
    for a, b in zip(seen, told, strict=True):
        assert a.json["wallets"] == b.json["wallets"]


async def test_the_same_key_on_both_at_once_has_one_effect(two):
    one, other, connection, people, _ = two
    customers = people.several(30)
    pairs = await asyncio.gather(
        *(
            asyncio.gather(
                one.store.accumulate(customer, "same", **SALE),
                other.store.accumulate(customer, "same", **SALE),
            )
            for customer in customers
        )
    )
    for first, second in pairs:
        assert (first.status, second.status) == (201, 201)
        assert first.json == second.json
        assert sorted((first.replayed, second.replayed)) == [False, True]
    for customer in customers:
        assert await one.store.points(customer, 1) == 54
    assert await faults_of(connection, []) == []


async def test_the_same_invoice_on_both_at_once_earns_once(two):
    one, other, connection, people, _ = two
    pairs = await asyncio.gather(
        *(
            asyncio.gather(
                one.store.accumulate(first, **SALE, invoice_number=f"twice-{number}"),
                other.store.accumulate(second, **SALE, invoice_number=f"twice-{number}"),
            )
            for number, (first, second) in enumerate((people.several(2)) for _ in range(30))
        )
    )
    for pair in pairs:
        assert sorted(reply.status for reply in pair) == [201, 409]
        assert {reply.code for reply in pair} == {None, "invoice_already_claimed"}
    assert await faults_of(connection, []) == []


async def test_a_payment_held_on_one_is_confirmed_on_the_other(two):
    one, other, _, people, outbox = two
    customer = people.complete()["customer_id"]
    await one.store.accumulate(customer, **SALE)
    payment = (await one.store.pay(customer, coins=100)).json
    code = outbox()[-1]["text"].partition(" es ")[2][:4]
    stands = await other.store.payment(customer, payment["payment_id"])
    assert (stands.status, stands.json) == (200, payment)
    wrong = f"{(int(code) + 1) % 10_000:04}"
    refused = await other.store.confirm(customer, payment["payment_id"], wrong)
    assert (refused.code, refused.json["tries_left"]) == ("code_invalid", 2)
    paid = await asyncio.gather(
        one.store.confirm(customer, payment["payment_id"], code),
        other.store.confirm(customer, payment["payment_id"], code),
    )
    assert [reply.status for reply in paid] == [200, 200]
    assert paid[0].json == paid[1].json
    assert await one.store.coins(customer) == 440


async def test_parallel_guesses_on_both_are_evaluated_three_times_at_most(two):
    one, other, connection, people, outbox = two
    customer = people.complete()["customer_id"]
    await one.store.accumulate(customer, **SALE)
    payment_id = (await one.store.pay(customer, coins=100)).json["payment_id"]
    code = int(outbox()[-1]["text"].partition(" es ")[2][:4])
    guesses = [f"{(code + 1 + n) % 10_000:04}" for n in range(30)]
    replies = await asyncio.gather(
        *(
            (one, other)[n % 2].store.confirm(customer, payment_id, guess)
            for n, guess in enumerate(guesses)
        )
    )
    assert Counter(reply.code for reply in replies)["code_invalid"] == 3
    assert {reply.code for reply in replies} <= {"code_invalid", "code_exhausted", "overloaded"}
    assert await one.store.coins(customer) == 540
    assert await faults_of(connection, []) == []


async def test_a_customer_who_spends_on_both_at_once_never_spends_twice(two):
    one, other, connection, people, _ = two
    customer = people.complete()["customer_id"]
    await one.store.accumulate(customer, **SALE)  # 54 points, 540 coins
    replies = await asyncio.gather(
        *((one, other)[n % 2].store.pay(customer, coins=100) for n in range(16))
    )
    statuses = Counter(reply.status for reply in replies)
    assert statuses[201] <= 5
    assert {reply.code for reply in replies} <= {None, "insufficient_coins", "overloaded"}
    assert await one.store.coins(customer) == 540 - 100 * statuses[201]
    assert await faults_of(connection, []) == []

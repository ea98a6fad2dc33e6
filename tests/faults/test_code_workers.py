"""Codes at two engines on one database: guessed on both, lost on one, sent by the other (COI-6)."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from uuid import UUID

import pytest
from harness import People, until
from traffic import faults_of

from engine.codes import Kind, Refusal

SALE = {"amount": 5_400_000, "currency": "COP"}  # 540 coins
CODE = re.compile(r"es (\d{4})\.")
GUESSES = 1000

BREAK_WAITING_WRITERS = """
select bool_or(pg_terminate_backend(pid)) from pg_stat_activity
 where application_name like 'leal-writer%' and wait_event_type = 'Lock'
   and datname = current_database()"""


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


@pytest.fixture
async def payer(two, people):
    person = people.complete()
    assert (await two[0].store.accumulate(person["customer_id"], **SALE)).status == 201
    return person


def codes_sent(engine, person):
    lines = [line["text"] for line in engine.outbox() if line["to"] == person["phone"]]
    return [CODE.search(text)[1] for text in lines]


async def test_of_a_thousand_guesses_on_both_at_once_three_are_evaluated(two, engines, payer):
    one, other, connection = two
    customer_id = payer["customer_id"]
    payment_id = (await one.store.pay(customer_id, coins=100)).json["payment_id"]
    (code,) = codes_sent(engines[0], payer)
    guesses = [f"{(int(code) + 1 + n) % 10_000:04}" for n in range(GUESSES)]
    put_off = Counter()

    async def guessed(client, guess):
        while (reply := await client.store.confirm(customer_id, payment_id, guess)).status >= 500:
            put_off[reply.status, reply.code] += 1
            await asyncio.sleep(0.5)
        return reply

    replies = await asyncio.gather(
        *(guessed((one, other)[n % 2], guess) for n, guess in enumerate(guesses))
    )
    told = Counter((reply.status, reply.code) for reply in replies)
    assert told.keys() == {(409, "code_invalid"), (409, "code_exhausted")}
    assert told[409, "code_invalid"] <= 3  # fewer where an answer was put off
    evaluated = await connection.fetchval(
        "select count(*) from journal where customer_id = $1 and reference = $2 and kind = $3"
        " and refusal = $4",
        *(UUID(customer_id), UUID(payment_id), Kind.CAPTURE, Refusal.CODE_INVALID),
    )
    counted = await connection.fetchval("select count(*) from failed_code")
    assert (evaluated, counted) == (3, 3)
    for client in (one, other):
        late = await client.store.confirm(customer_id, payment_id, code)
        assert (late.status, late.code) == (409, "code_exhausted")
        assert await client.store.coins(customer_id) == 540
    assert await faults_of(connection, []) == []
    print(f"{GUESSES} guesses: {dict(told)}, put off before: {dict(put_off)}")


async def test_the_retry_of_a_payment_of_unknown_outcome_sends_its_code(two, engines, payer):
    one, other, connection = two
    customer_id = payer["customer_id"]
    async with connection.transaction():
        await connection.execute("lock table journal in exclusive mode")
        paying = asyncio.create_task(one.store.pay(customer_id, "lost", coins=100))
        # A connection that breaks while the rows are on their way leaves the outcome open.
        await until(lambda: connection.fetchval(BREAK_WAITING_WRITERS))
        lost = await paying
        assert (lost.status, lost.code) == (504, "outcome_unknown")
    assert [codes_sent(engine, payer) for engine in engines] == [[], []]

    async def retried():
        reply = await other.store.pay(customer_id, "lost", coins=100)
        return reply if reply.status == 201 else None

    held = await until(retried)
    assert (held.json["status"], held.json["resends_left"]) == ("requires_code", 3)
    again = [await client.store.pay(customer_id, "lost", coins=100) for client in (other, one)]
    assert [(reply.json, reply.replayed) for reply in again] == [(held.json, True)] * 2
    codes = [codes_sent(engine, payer) for engine in engines]
    assert [len(each) for each in codes] == [0, 1]
    holds = await connection.fetchval(
        "select count(*) from journal where customer_id = $1 and kind in (3, 7)", UUID(customer_id)
    )
    assert holds == 1
    paid = await one.store.confirm(customer_id, held.json["payment_id"], codes[1][0])
    assert (paid.status, paid.json["balance"]) == (200, 440)
    assert await faults_of(connection, []) == []


async def test_a_payment_retried_on_both_at_once_has_one_code(two, engines, payer):
    one, other, _ = two
    customer_id = payer["customer_id"]
    replies = await asyncio.gather(
        *((one, other)[n % 2].store.pay(customer_id, "both", coins=100) for n in range(10))
    )
    assert all(reply.json == replies[0].json for reply in replies)
    codes = [code for engine in engines for code in codes_sent(engine, payer)]
    # Whoever retries while it is being sent elsewhere may send it as well: the very same code.
    assert 1 <= len(codes) <= 2
    assert len(set(codes)) == 1
    payment_id = replies[0].json["payment_id"]
    assert (await other.store.confirm(customer_id, payment_id, codes[0])).status == 200


async def test_a_cap_that_is_reached_at_one_holds_at_the_other(two, engines, people):
    """The default cap of a cashier: twenty wrong codes, at seven payments."""
    one, other, connection = two

    async def typed_wrong(number):
        person = people.complete()
        customer_id = person["customer_id"]
        await one.store.accumulate(customer_id, **SALE)
        held = await one.cashier.pay(customer_id, coins=1)
        assert held.status == 201, held
        (code,) = codes_sent(engines[0], person)
        for n in range(number):
            wrong = f"{(int(code) + 1 + n) % 10_000:04}"
            reply = await one.cashier.confirm(customer_id, held.json["payment_id"], wrong)
            assert reply.code == "code_invalid"
        return customer_id, held.json["payment_id"], code

    waiting = await typed_wrong(0)
    for number in (3, 3, 3, 3, 3, 3, 2):
        await typed_wrong(number)
    for client in (other, one):
        reply = await client.cashier.confirm(*waiting)
        assert (reply.status, reply.code) == (429, "too_many_failed_codes")
    assert (await other.store.confirm(*waiting)).status == 200
    assert await faults_of(connection, []) == []

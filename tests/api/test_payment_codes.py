"""Which code a payment takes, when it is sent, and what is told at the end of its time (COI-6)."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import datetime
from uuid import UUID

import pytest
from harness import clients_of, connection_to, until

CODE = re.compile(r"es (\d+)\.")
LONG_COINS_MIN = 500


@pytest.fixture(scope="module")
def engine_flags():
    return ("--code-long-coins-min", str(LONG_COINS_MIN))


@pytest.fixture
async def payer(api, people):
    """Return a customer with 1000 coins."""
    person = people.complete()
    sale = await api.store.accumulate(person["customer_id"], amount=10_000_000, currency="COP")
    assert sale.status == 201
    return person


def codes_sent(engine, person):
    lines = [line["text"] for line in engine.outbox() if line["to"] == person["phone"]]
    return [CODE.search(text)[1] for text in lines]


async def wallet_of(client, customer_id):
    wallets = (await client.wallets(customer_id)).json["wallets"]
    coins = next(one for one in wallets if one["asset"] == "coins")
    return coins["balance"], coins["held"]


# Its digits.


@pytest.mark.parametrize(("coins", "digits"), [(LONG_COINS_MIN - 1, 4), (LONG_COINS_MIN, 6)])
async def test_many_coins_ask_for_six_digits(api, engine, payer, coins, digits):
    customer_id = payer["customer_id"]
    held = await api.store.pay(customer_id, "long", coins=coins)
    assert (held.status, held.json["code_digits"]) == (201, digits)
    assert (await api.store.pay(customer_id, "long", coins=coins)).json == held.json
    payment_id = held.json["payment_id"]
    assert (await api.store.payment(customer_id, payment_id)).json == held.json
    resent = await api.store.resend(customer_id, payment_id)
    assert resent.json["code_digits"] == digits
    codes = codes_sent(engine, payer)
    assert [len(code) for code in codes] == [digits, digits]
    # Another number of digits is a wrong code, also where the right one is in it.
    shorter_or_longer = codes[-1][:4] if digits == 6 else f"00{codes[-1]}"
    for tries_left, other in ((2, shorter_or_longer), (1, f"{codes[-1]}0"[:5])):
        reply = await api.store.confirm(customer_id, payment_id, other)
        assert (reply.code, reply.json["tries_left"]) == ("code_invalid", tries_left)
    paid = await api.store.confirm(customer_id, payment_id, codes[-1])
    assert (paid.status, paid.json["status"]) == (200, "succeeded")


# What it is bound to, and what is kept of it.


async def test_a_code_pays_its_own_payment_and_no_other(api, engine, people, payer):
    customer_id, other = payer["customer_id"], people.complete()
    await api.store.accumulate(other["customer_id"], amount=10_000_000, currency="COP")
    first = (await api.store.pay(customer_id, coins=100)).json["payment_id"]
    same = (await api.store.pay(customer_id, coins=100)).json["payment_id"]
    more = (await api.store.pay(customer_id, coins=101)).json["payment_id"]
    theirs = (await api.store.pay(other["customer_id"], coins=100)).json["payment_id"]
    codes = codes_sent(engine, payer)
    right = {first: codes[0], same: codes[1], more: codes[2]}
    right[theirs] = codes_sent(engine, other)[-1]
    for payment_id, owner in ((same, customer_id), (more, customer_id), (theirs, None)):
        owner = owner or other["customer_id"]
        if right[payment_id] != right[first]:  # one in ten thousand is the same
            reply = await api.store.confirm(owner, payment_id, right[first])
            assert (reply.status, reply.code) == (409, "code_invalid")
        assert (await api.store.confirm(owner, payment_id, right[payment_id])).status == 200
    assert (await api.store.confirm(customer_id, first, right[first])).status == 200


async def test_no_code_is_in_the_database(api, engine, payer, database):
    customer_id = payer["customer_id"]
    held = (await api.store.pay(customer_id, coins=600)).json
    await api.store.resend(customer_id, held["payment_id"])
    codes = codes_sent(engine, payer)
    async with connection_to(database) as connection:
        tables = await connection.fetch(
            "select table_name from information_schema.tables where table_schema = 'public'"
            " and table_type = 'BASE TABLE'"
        )
        stored = ""
        for (table,) in tables:
            rows = await connection.fetch(
                f"select t::text from {table} t where t::text like '%' || $1 || '%'", customer_id
            )
            stored += "\n".join(row[0] for row in rows)
    assert customer_id in stored
    for code in codes:
        assert len(code) == 6
        assert not re.search(rf"(?<![0-9a-f]){code}(?![0-9a-f])", stored)
        assert code.encode().hex() not in stored


# How often.


async def test_it_is_told_how_often_a_code_can_be_typed_and_sent(api, engine, payer):
    customer_id = payer["customer_id"]
    held = (await api.store.pay(customer_id, coins=100)).json
    payment_id = held["payment_id"]
    left = [(held["tries_left"], held["resends_left"])]
    for number in range(3):
        resent = (await api.store.resend(customer_id, payment_id, f"resend {number}")).json
        read = (await api.store.payment(customer_id, payment_id)).json
        for name in ("tries_left", "resends_left", "expires_at", "code_digits", "sent_to"):
            assert resent[name] == read[name]
        assert resent["expires_at"] == held["expires_at"]
        left.append((resent["tries_left"], resent["resends_left"]))
        again = await api.store.resend(customer_id, payment_id, f"resend {number}")
        assert (again.json, again.replayed) == (resent, True)
        code = codes_sent(engine, payer)[-1]
        if number < 2:
            wrong = f"{(int(code) + 1) % 10_000:04}"
            typo = await api.store.confirm(customer_id, payment_id, wrong)
            assert typo.json["tries_left"] == 2 - number
            read = (await api.store.payment(customer_id, payment_id)).json
            assert (read["tries_left"], read["resends_left"]) == (2 - number, 2 - number)
    assert left == [(3, 3), (3, 2), (2, 1), (1, 0)]
    refused = await api.store.resend(customer_id, payment_id)
    assert refused.code == "limit_reached"
    read = (await api.store.payment(customer_id, payment_id)).json
    assert (read["status"], read["tries_left"], read["resends_left"]) == ("requires_code", 1, 0)
    assert len(codes_sent(engine, payer)) == 4
    assert (await api.store.confirm(customer_id, payment_id, code)).status == 200


# A code that never went out.


async def forget_sent(database, *transaction_ids):
    """Let these codes be as those of a process that died before it sent them."""
    async with connection_to(database) as connection:
        gone = await connection.fetch(
            "delete from sent_code where transaction_id = any($1) returning 1",
            [UUID(one) for one in transaction_ids],
        )
        assert len(gone) == len(transaction_ids)


async def test_a_retry_sends_the_code_that_never_went_out(api, engine, payer, database):
    customer_id = payer["customer_id"]
    held = (await api.store.pay(customer_id, "pay", coins=100)).json
    await forget_sent(database, held["payment_id"])
    for _ in range(2):
        again = await api.store.pay(customer_id, "pay", coins=100)
        assert (again.status, again.json, again.replayed) == (201, held, True)
    codes = codes_sent(engine, payer)
    assert len(codes) == 2
    assert codes[0] == codes[1]
    resent = (await api.store.resend(customer_id, held["payment_id"], "again")).json
    assert resent["resends_left"] == 2
    await forget_sent(database, resent["transaction_id"])
    for _ in range(2):
        again = await api.store.resend(customer_id, held["payment_id"], "again")
        assert (again.json, again.replayed) == (resent, True)
    codes = codes_sent(engine, payer)
    assert len(codes) == 4
    assert codes[2] == codes[3]
    paid = await api.store.confirm(customer_id, held["payment_id"], codes[3])
    assert paid.status == 200


async def test_a_retry_sends_no_code_that_is_of_no_use(api, engine, payer, database):
    customer_id = payer["customer_id"]
    replaced = (await api.store.pay(customer_id, "replaced", coins=100)).json
    await api.store.resend(customer_id, replaced["payment_id"])
    voided = (await api.store.pay(customer_id, "voided", coins=100)).json
    await api.store.void(customer_id, voided["payment_id"])
    paid = (await api.store.pay(customer_id, "paid", coins=100)).json
    code = codes_sent(engine, payer)[-1]
    await api.store.confirm(customer_id, paid["payment_id"], code)
    await forget_sent(database, *(one["payment_id"] for one in (replaced, voided, paid)))
    before = len(codes_sent(engine, payer))
    for key in ("replaced", "voided", "paid"):
        again = await api.store.pay(customer_id, key, coins=100)
        assert (again.status, again.replayed) == (201, True)
    assert len(codes_sent(engine, payer)) == before


async def test_many_retries_at_once_send_one_code(api, engine, payer):
    customer_id = payer["customer_id"]
    replies = await asyncio.gather(
        *(api.store.pay(customer_id, "at once", coins=100) for _ in range(12))
    )
    assert {reply.status for reply in replies} == {201}
    assert all(reply.json == replies[0].json for reply in replies)
    assert len(codes_sent(engine, payer)) == 1


# The end of its time. A second engine, for its codes live for a second only.


@pytest.fixture(scope="module")
def hasty(loaded_network, database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hasty")
    engine = loaded_network.engine(database, folder, "--code-lifetime-s", "1")
    try:
        yield engine.start()
    finally:
        engine.stop()


@pytest.mark.parametrize("verb", ["void", "confirm", "resend"])
async def test_what_is_told_after_the_time_of_a_payment(hasty, payer, verb):
    customer_id = payer["customer_id"]
    async with clients_of(hasty) as clients:
        store = clients.store
        held = (await store.pay(customer_id, "pay", coins=400)).json
        payment_id, code = held["payment_id"], codes_sent(hasty, payer)[-1]

        async def status_is(wanted):
            return (await store.payment(customer_id, payment_id)).json["status"] == wanted

        await until(lambda: status_is("expired"))
        # It is in the books before it is told, so that it cannot turn out otherwise.
        read = (await store.payment(customer_id, payment_id)).json
        assert (read["balance"], read["held"], read["coins"]) == (1000, 0, 400)
        assert not {"tries_left", "resends_left", "expires_at", "code_digits"} & set(read)
        if verb == "void":
            reply = await store.void(customer_id, payment_id)
            assert (reply.status, reply.json["status"]) == (200, "expired")
            assert (reply.json["balance"], reply.json["held"]) == (1000, 0)
            assert reply.json == (await store.void(customer_id, payment_id)).json
        elif verb == "confirm":
            reply = await store.confirm(customer_id, payment_id, code)
        else:
            reply = await store.resend(customer_id, payment_id)
        if verb != "void":
            assert (reply.status, reply.code) == (409, "payment_expired")
        assert (await store.payment(customer_id, payment_id)).json["status"] == "expired"
        for late in (await store.confirm(customer_id, payment_id, code), reply):
            assert late.code in ("payment_expired", None)
        assert await wallet_of(store, customer_id) == (1000, 0)
        rows = (await store.transactions(customer_id, asset="coins")).json["transactions"]
        assert [row["type"] for row in rows][:2] == ["release", "hold"]
        again = await store.pay(customer_id, "pay", coins=400)
        assert (again.status, again.json, again.replayed) == (201, held, True)
        assert len(codes_sent(hasty, payer)) == 1


async def test_nothing_is_told_at_the_deadline_that_turns_out_otherwise(hasty, database, payer):
    """A void that was decided in time is still on its way when its payment is read."""
    customer_id = payer["customer_id"]
    async with clients_of(hasty) as clients, connection_to(database) as connection:
        store = clients.store
        held = (await store.pay(customer_id, coins=400)).json
        payment = (customer_id, held["payment_id"])
        deadline = datetime.fromisoformat(held["expires_at"]).timestamp()
        await asyncio.sleep(max(0, deadline - time.time() - 0.3))
        async with connection.transaction():
            await connection.execute("lock table journal in exclusive mode")
            voiding = asyncio.create_task(store.void(*payment))
            await asyncio.sleep(max(0, deadline - time.time()) + 0.1)
            reading = asyncio.create_task(store.payment(*payment))
            await asyncio.sleep(0.2)
        voided, read = await asyncio.gather(voiding, reading)
        again = await store.payment(*payment)
        assert read.json["status"] == voided.json["status"] == again.json["status"]
        assert read.json["balance"] == 1000


async def test_what_failed_is_voided_as_what_it_is(api, engine, payer):
    customer_id = payer["customer_id"]
    payment_id = (await api.store.pay(customer_id, coins=400)).json["payment_id"]
    code = codes_sent(engine, payer)[-1]
    for number in (1, 2, 3):
        wrong = f"{(int(code) + number) % 10_000:04}"
        await api.store.confirm(customer_id, payment_id, wrong)
    voided = await api.store.void(customer_id, payment_id)
    assert (voided.status, voided.json["status"]) == (200, "failed")
    assert (voided.json["balance"], voided.json["held"]) == (1000, 0)
    assert voided.json == (await api.store.payment(customer_id, payment_id)).json

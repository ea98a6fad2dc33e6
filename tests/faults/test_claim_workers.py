"""What two engines claim, free, void and pay at the same instant happens once (INV-5, 6, 8)."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from harness import People, assert_balanced, connection_to

SALE = {"amount": 100_000, "currency": "COP"}
ROUNDS = 15
EARNED = """
select count(*) from journal j
 where kind = 1 and refusal = 0 and leg = 0 and invoice_number = $1
   and not exists (select from journal r where r.customer_id = j.customer_id
                      and r.reference = j.transaction_id and r.kind = 16 and r.refusal = 0)"""


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


@pytest.mark.parametrize("cause", ["wrong_customer", "mistake"])
async def test_what_a_reversal_frees_is_claimed_once_at_whatever_engine(
    two, people, database, cause
):
    one, other, connection = two
    for number in range(ROUNDS):
        here, there = (one, other) if number % 2 else (other, one)
        wrong, right, third = people.several(3)
        invoice = f"WC-{cause}-{number}"
        sale = await here.store.accumulate(wrong, **SALE, invoice_number=invoice)
        undone, *claims = await asyncio.gather(
            here.store.reverse(wrong, sale.json["transaction_id"], cause=cause),
            there.store.accumulate(right, **SALE, invoice_number=invoice),
            here.store.accumulate(third, **SALE, invoice_number=invoice.lower()),
        )
        assert undone.status == 201
        assert {reply.code for reply in claims} <= {None, "invoice_already_claimed"}
        late = await there.store.accumulate(right, **SALE, invoice_number=invoice)
        assert [reply.status for reply in (*claims, late)].count(201) == 1
        typed = invoice.lower() if claims[1].status == 201 else invoice
        assert await connection.fetchval(EARNED, typed) == 1
    await assert_balanced(database)


async def test_a_void_at_one_engine_and_a_claim_at_the_other_are_one_of_both(two, people, database):
    one, other, _ = two
    for number, customer_id in enumerate(people.several(ROUNDS)):
        here, there = (one, other) if number % 2 else (other, one)
        invoice = f"V-{number}"
        assert (await here.store.print(1, invoice, **SALE)).status == 201
        void, sale = await asyncio.gather(
            here.store.request("DELETE", f"/v1/stores/1/invoices/{invoice}"),
            there.store.accumulate(customer_id, **SALE, invoice_number=invoice),
        )
        outcome = (void.status, sale.status, sale.code)
        assert outcome in {(200, 409, "invoice_voided"), (409, 201, None)}
    await assert_balanced(database)


async def test_payments_of_an_invoice_at_two_engines_never_exceed_it(two, people, database):
    one, other, connection = two
    for number in range(ROUNDS):
        customers = people.several(6)
        for customer_id in customers:
            given = await one.app.cash_back(customer_id, coins=700)
            assert given.status == 201
        invoice = f"P-{number}"
        bill = {"invoice_number": invoice, "amount": 100_000}
        replies = await asyncio.gather(
            *(
                (one, other)[at % 2].store.pay(customer_id, str(uuid4()), coins=300 + at, **bill)
                for at, customer_id in enumerate(customers)
            )
        )
        assert {reply.code for reply in replies} == {None, "exceeds_invoice"}
        coins = await connection.fetchval(
            "select coins from invoice_payment where store_id = 1 and invoice_key = $1",
            invoice.replace("-", ""),
        )
        assert coins == sum(reply.json["coins"] for reply in replies if reply.status == 201)
        assert coins <= 1000
    await assert_balanced(database)


async def test_typed_and_printed_amounts_at_two_engines_cap_all_payments(two, people, database):
    """Once a smaller amount is accepted, no engine goes beyond it."""
    one, other, connection = two
    for number in range(ROUNDS):
        customers = people.several(6)
        for customer_id in customers:
            assert (await one.app.cash_back(customer_id, coins=700)).status == 201
        invoice = f"T-{number}"
        amounts = [100_000, 60_000, 80_000] * 2
        replies = await asyncio.gather(
            *(
                (one, other)[at % 2].store.pay(
                    customer_id, coins=250 + at, amount=amounts[at], invoice_number=invoice
                )
                for at, customer_id in enumerate(customers)
            )
        )
        assert {reply.code for reply in replies} == {None, "exceeds_invoice"}
        taken = [
            amount // 100
            for amount, reply in zip(amounts, replies, strict=True)
            if reply.status == 201
        ]
        coins, coins_max = await connection.fetchrow(
            "select coins, coins_max from invoice_payment where invoice_key = $1",
            invoice.replace("-", ""),
        )
        assert coins == sum(reply.json["coins"] for reply in replies if reply.status == 201)
        assert coins <= coins_max == min(taken)
        assert (await other.store.print(1, invoice, amount=coins * 100 + 100)).status == 201
        for client, customer_id in zip((one, other), customers, strict=False):
            over = await client.store.pay(customer_id, coins=2, invoice_number=invoice)
            assert (over.code, over.json["left"]) == ("exceeds_invoice", 1)
        last = await asyncio.gather(
            *(
                client.store.pay(customer_id, coins=1, invoice_number=invoice)
                for client, customer_id in zip((one, other), customers, strict=False)
            )
        )
        assert sorted(reply.status for reply in last) == [201, 409]
    await assert_balanced(database)


async def test_the_first_printed_sale_of_a_store_counts_at_the_other_engine_at_once(two, people):
    """An engine remembers for a while that a store prints nothing; coins do not go by that."""
    one, other, _ = two
    body = {"name": "Nueva", "city": "Cali", "accepts_coins": True}
    made = await one.brand.request("POST", "/v1/stores", body)
    place = {"store_id": made.json["store_id"], "invoice_number": "N-1"}
    payer, earner = people.several(2)
    await one.app.cash_back(payer, coins=700)
    sale = {"store_id": place["store_id"], "invoice_number": "N-0"} | SALE
    assert (await one.brand.accumulate(earner, **sale)).status == 201
    printed = await other.brand.print(place["store_id"], "N-1", amount=10_000)
    assert printed.status == 201
    over = await one.brand.pay(payer, coins=101, **place)
    assert (over.code, over.json["left"]) == ("exceeds_invoice", 100)
    typed = await one.brand.pay(payer, coins=101, amount=100_000, **place)
    assert typed.code == "invoice_differs"


def code_of(engine):
    """Return the code that an engine sent last."""
    words = [word.strip(".") for word in engine.outbox()[-1]["text"].split()]
    return next(word for word in reversed(words) if word.isdigit() and len(word) >= 4)


async def test_a_void_and_the_code_of_a_hold_at_two_engines_are_one_of_both(
    two, engines, people, database
):
    one, other, _ = two
    outcomes = Counter()
    for number, customer_id in enumerate(people.several(2 * ROUNDS)):
        here, there = (one, other) if number % 2 else (other, one)
        invoice, path = f"VC-{number}", f"/v1/stores/1/invoices/VC-{number}"
        assert (await here.app.cash_back(customer_id, coins=500)).status == 201
        assert (await here.store.print(1, invoice, **SALE)).status == 201
        held = await there.store.pay(customer_id, coins=400, invoice_number=invoice)
        code = code_of(engines[0] if there is one else engines[1])
        payment_id = held.json["payment_id"]

        async def later(client, number=number, path=path):
            await asyncio.sleep(number % 5 / 1000)
            return await client.store.request("DELETE", path)

        void, confirmed = await asyncio.gather(
            later(here), there.store.confirm(customer_id, payment_id, code)
        )
        outcomes[void.status, void.code, confirmed.status, confirmed.code] += 1
        coins = 500 if void.status == 200 else 100
        assert await here.store.coins(customer_id) == coins
        status = "voided" if void.status == 200 else "succeeded"
        assert (await here.store.payment(customer_id, payment_id)).json["status"] == status
    assert outcomes.keys() <= {
        (200, None, 409, "invoice_voided"),
        (409, "payment_captured", 200, None),
    }
    await assert_balanced(database)


async def test_a_void_and_a_payment_by_qr_at_two_engines_are_one_of_both(two, people, database):
    one, other, _ = two
    outcomes = Counter()
    for number, customer_id in enumerate(people.several(2 * ROUNDS)):
        here, there = (one, other) if number % 2 else (other, one)
        invoice, path = f"VQ-{number}", f"/v1/stores/1/invoices/VQ-{number}"
        assert (await here.app.cash_back(customer_id, coins=500)).status == 201
        assert (await here.store.print(1, invoice, **SALE)).status == 201
        qr = (await here.app.qr(customer_id)).json["qr"]

        async def later(client, number=number, path=path):
            await asyncio.sleep(number % 6 / 1000)
            return await client.store.request("DELETE", path)

        void, paid = await asyncio.gather(
            later(here),
            there.store.pay(customer_id, coins=400, invoice_number=invoice, qr=qr),
        )
        outcomes[void.status, void.code, paid.status, paid.code] += 1
        assert await here.store.coins(customer_id) == (500 if void.status == 200 else 100)
    assert outcomes.keys() <= {
        (200, None, 409, "invoice_voided"),
        (409, "payment_captured", 201, None),
    }
    await assert_balanced(database)


WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query ~ $1"


async def until_waiting(connection, statement):
    async with asyncio.timeout(10):
        while not await connection.fetchval(WAITING, statement):
            await asyncio.sleep(0.005)


async def printed_and_held(two, engines, people, invoice):
    """Return a customer with a hold on a printed sale, its payment and its code."""
    one, other, _ = two
    customer_id = people.several(1)[0]
    assert (await one.app.cash_back(customer_id, coins=500)).status == 201
    assert (await one.store.print(1, invoice, **SALE)).status == 201
    held = await other.store.pay(customer_id, coins=100, invoice_number=invoice)
    return customer_id, held.json["payment_id"], code_of(engines[1])


@asynccontextmanager
async def locked(database, invoice):
    """Keep the coins of an invoice from being changed for as long as this lasts."""
    async with connection_to(database) as blocker, blocker.transaction():
        query = "select from invoice_payment where invoice_key = $1 for update"
        await blocker.execute(query, invoice.replace("-", "").upper())
        yield


@pytest.mark.parametrize("how", ["held", "at once", "confirmed"])
async def test_a_payment_that_comes_after_a_void_is_refused_though_it_was_read_before(
    two, engines, people, database, how
):
    one, other, connection = two
    invoice = f"late-{how.replace(' ', '-')}"
    customer_id, payment_id, code = await printed_and_held(two, engines, people, invoice)
    body = {"coins": 200, "invoice_number": invoice}
    if how == "at once":
        body["qr"] = (await other.app.qr(customer_id)).json["qr"]
    if how == "confirmed":
        payment = other.store.confirm(customer_id, payment_id, code)
    else:
        payment = other.store.pay(customer_id, **body)
    async with locked(database, invoice):
        void = asyncio.create_task(one.store.request("DELETE", f"/v1/stores/1/invoices/{invoice}"))
        await until_waiting(connection, "insert into invoice_payment")
        paying = asyncio.create_task(payment)
        await until_waiting(connection, "pay_invoice")
    assert (await void).status == 200
    refused = await paying
    assert (refused.status, refused.code) == (409, "invoice_voided")
    confirmed = await other.store.confirm(customer_id, payment_id, code)
    assert confirmed.code == "invoice_voided"
    assert await one.store.coins(customer_id) == 500
    await assert_balanced(database)


async def test_a_void_that_comes_after_a_code_is_refused_though_it_was_read_before(
    two, engines, people, database
):
    one, other, connection = two
    customer_id, payment_id, code = await printed_and_held(two, engines, people, "early")
    async with locked(database, "early"):
        confirm = asyncio.create_task(other.store.confirm(customer_id, payment_id, code))
        await until_waiting(connection, "pay_invoice")
        void = asyncio.create_task(one.store.request("DELETE", "/v1/stores/1/invoices/early"))
        await until_waiting(connection, "insert into invoice_payment")
    assert (await confirm).json["status"] == "succeeded"
    refused = await void
    assert (refused.status, refused.code) == (409, "payment_captured")
    assert (await one.store.invoice(1, "early")).json["status"] == "unclaimed"
    assert await one.store.coins(customer_id) == 400
    await assert_balanced(database)

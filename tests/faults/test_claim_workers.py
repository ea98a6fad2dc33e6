"""What two engines claim, free, void and pay at the same instant happens once (INV-5, 6, 8)."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from harness import People, assert_balanced

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

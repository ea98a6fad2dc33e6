"""Coins on an invoice never exceed its amount, and none are paid on a voided one (INV-5, INV-8)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from harness import assert_balanced, connection_to

from engine.codes import Refusal
from engine.http.spanish import OF_DETAIL
from engine.ledger.vocabulary import PAID_IN_FULL, REFUSALS

IN_SPANISH = {"Accept-Language": "es-CO"}


@pytest.fixture
async def payers(api, people):
    """Return two customers with 5000 coins each."""
    customers = people.several(2)
    for customer_id in customers:
        assert (await api.app.cash_back(customer_id, coins=5000)).status == 201
    return customers


@pytest.fixture
def number():
    """Return an invoice number that no other test has."""
    return f"IC-{uuid4().hex[:12]}"


def last_code(engine):
    """Return the code that was sent last."""
    words = [word.strip(".") for word in engine.outbox()[-1]["text"].split()]
    return next(word for word in reversed(words) if word.isdigit() and len(word) >= 4)


async def paid_by_code(api, engine, customer_id, **body):
    """Pay with the code that is sent; return the payment."""
    held = await api.store.pay(customer_id, **body)
    assert held.status == 201, held
    paid = await api.store.confirm(customer_id, held.json["payment_id"], last_code(engine))
    assert paid.json["status"] == "succeeded"
    return paid.json


async def paid_by_qr(api, _engine, customer_id, **body):
    """Pay at once; return the payment."""
    qr = (await api.app.qr(customer_id)).json["qr"]
    paid = await api.store.pay(customer_id, qr=qr, **body)
    assert (paid.status, paid.json["status"]) == (201, "succeeded")
    return paid.json


async def coins_of(api, customer_id):
    """Return (available, held) coins."""
    wallets = (await api.store.wallets(customer_id)).json["wallets"]
    coins = next(one for one in wallets if one["asset"] == "coins")
    return coins["balance"], coins["held"]


async def void(api, number):
    return await api.store.request("DELETE", f"/v1/stores/1/invoices/{number}")


def left_of(reply):
    assert (reply.status, reply.code) == (409, "exceeds_invoice")
    return reply.json["left"]


# The amount of an invoice.


async def test_of_typed_amounts_the_smallest_caps_while_coins_pay(api, payers, number, database):
    one, other = payers
    assert (
        await api.store.pay(one, coins=400, amount=100_000, invoice_number=number)
    ).status == 201
    smaller = {"amount": 50_000, "invoice_number": number}
    assert left_of(await api.store.pay(other, coins=101, **smaller)) == 100
    assert (
        left_of(await api.store.pay(other, coins=601, amount=100_000, invoice_number=number)) == 600
    )
    assert (await api.store.pay(other, coins=99, **smaller)).status == 201
    for more in ({"amount": 900_000}, {"amount": 50_000}, {}):
        assert left_of(await api.store.pay(one, coins=2, invoice_number=number, **more)) == 1
    assert (await api.store.pay(one, coins=1, invoice_number=number)).status == 201
    await assert_balanced(database)


async def test_an_unknown_amount_is_capped_by_the_first_that_is_typed(api, payers, number):
    for coins in (300, 300):
        held = await api.store.pay(payers[0], coins=coins, invoice_number=number)
        assert held.status == 201
    bill = {"amount": 100_000, "invoice_number": number}
    assert left_of(await api.store.pay(payers[1], coins=401, **bill)) == 400
    assert (await api.store.pay(payers[1], coins=400, **bill)).status == 201
    assert left_of(await api.store.pay(payers[0], coins=1, invoice_number=number)) == 0


async def test_left_is_never_below_zero_and_then_the_invoice_is_paid_in_full(
    api, payers, number, database
):
    one, other = payers
    assert (
        await api.store.pay(one, coins=800, amount=100_000, invoice_number=number)
    ).status == 201
    less = await api.store.pay(other, coins=201, amount=100_000, invoice_number=number)
    assert left_of(less) == 200
    assert less.json["detail"] == REFUSALS[Refusal.EXCEEDS_INVOICE].advice
    key, smaller = str(uuid4()), {"coins": 1, "amount": 50_000, "invoice_number": number}
    for headers, said in (({}, PAID_IN_FULL), (IN_SPANISH, OF_DETAIL[PAID_IN_FULL])):
        refused = await api.store.request(
            "POST",
            f"/v1/customers/{other}/payments",
            smaller | {"document_checked": True},
            idempotency=key,
            headers=headers,
        )
        assert left_of(refused) == 0
        assert refused.json["detail"] == said
    await assert_balanced(database)


async def test_while_no_coins_pay_another_typed_amount_replaces_the_first(api, payers, number):
    one, other = payers
    mistake = await api.store.pay(one, coins=10, amount=1_000, invoice_number=number)
    bill = {"amount": 100_000, "invoice_number": number}
    assert left_of(await api.store.pay(other, coins=1000, **bill)) == 0
    assert (await api.store.void(one, mistake.json["payment_id"])).status == 200
    assert (await api.store.pay(other, coins=1000, **bill)).status == 201


async def test_the_printed_amount_caps_what_a_larger_typed_one_began(
    api, payers, number, engine, database
):
    one, other = payers
    paid = await paid_by_code(api, engine, one, coins=400, amount=100_000, invoice_number=number)
    assert (await api.store.print(1, number, amount=50_000)).status == 201
    assert left_of(await api.store.pay(other, coins=101, invoice_number=number)) == 100
    assert (await api.store.pay(other, coins=100, invoice_number=number.lower())).status == 201
    assert left_of(await api.store.pay(one, coins=1, invoice_number=number)) == 0
    assert (await api.store.reverse(one, paid["payment_id"])).status == 201
    assert left_of(await api.store.pay(one, coins=401, invoice_number=number)) == 400
    await assert_balanced(database)


async def test_more_than_the_printed_amount_may_be_paid_already(api, payers, number, database):
    one, other = payers
    assert (
        await api.store.pay(one, coins=800, amount=100_000, invoice_number=number)
    ).status == 201
    assert (await api.store.print(1, number, amount=50_000)).status == 201
    refused = await api.store.pay(other, coins=1, amount=50_000, invoice_number=number)
    assert left_of(refused) == 0
    assert refused.json["detail"] == PAID_IN_FULL
    await assert_balanced(database)


async def test_the_printed_amount_replaces_a_smaller_typed_one(
    api, payers, number, engine, database
):
    one, other = payers
    await paid_by_qr(api, engine, one, coins=300, amount=50_000, invoice_number=number)
    assert (await api.store.print(1, number, amount=100_000)).status == 201
    assert left_of(await api.store.pay(other, coins=701, invoice_number=number)) == 700
    assert (await api.store.pay(other, coins=700, invoice_number=number)).status == 201
    await assert_balanced(database)


# Voided sales.


async def test_a_hold_whose_sale_is_voided_is_refused_and_released(
    api, payers, number, engine, database
):
    one = payers[0]
    await api.store.print(1, number, amount=100_000)
    held = await api.store.pay(one, coins=700, invoice_number=number)
    payment_id, code = held.json["payment_id"], last_code(engine)
    assert (await void(api, number)).json["status"] == "voided"
    assert await coins_of(api, one) == (4300, 700)
    wrong = await api.store.confirm(one, payment_id, f"{(int(code) + 1) % 10_000:04}")
    assert wrong.code == "code_invalid"
    refused = await api.store.confirm(one, payment_id, code, "with a key")
    assert (refused.status, refused.code) == (409, "invoice_voided")
    assert await coins_of(api, one) == (5000, 0)
    retried = await api.store.confirm(one, payment_id, code, "with a key")
    assert (retried.code, retried.replayed) == ("invoice_voided", True)
    for again in (
        await api.store.confirm(one, payment_id, code),
        await api.store.resend(one, payment_id),
    ):
        assert (again.status, again.code) == (409, "invoice_voided")
    assert (await api.store.payment(one, payment_id)).json["status"] == "voided"
    assert (await api.store.void(one, payment_id)).json["status"] == "voided"
    types = [row["type"] for row in (await api.store.transactions(one)).json["transactions"]]
    assert types[:2] == ["release", "hold"]
    await assert_balanced(database)


@pytest.mark.parametrize("how", ["void", "guess"])
async def test_a_hold_whose_sale_is_voided_may_end_otherwise(
    api, payers, number, engine, database, how
):
    one = payers[0]
    await api.store.print(1, number, amount=100_000)
    payment_id = (await api.store.pay(one, coins=700, invoice_number=number)).json["payment_id"]
    wrong = f"{(int(last_code(engine)) + 1) % 10_000:04}"
    assert (await void(api, number)).status == 200
    if how == "void":
        assert (await api.store.void(one, payment_id)).status == 200
    else:
        replies = [await api.store.confirm(one, payment_id, wrong) for _ in range(3)]
        assert [reply.code for reply in replies] == ["code_invalid"] * 3
    assert await coins_of(api, one) == (5000, 0)
    await assert_balanced(database)


@pytest.mark.parametrize("pay", [paid_by_code, paid_by_qr])
async def test_a_sale_on_which_coins_are_paid_is_not_voided_before_they_go_back(
    api, payers, number, engine, database, pay
):
    one = payers[0]
    await api.store.print(1, number, amount=100_000)
    paid = await pay(api, engine, one, coins=700, invoice_number=number)
    refused = await void(api, number)
    assert (refused.status, refused.code) == (409, "payment_captured")
    assert "Reverse the payment first" in refused.json["detail"]
    told = await api.store.request("DELETE", f"/v1/stores/1/invoices/{number}", headers=IN_SPANISH)
    assert told.json["detail"] == OF_DETAIL[refused.json["detail"]]
    assert (await api.store.invoice(1, number)).json["status"] == "unclaimed"
    assert (await api.store.reverse(one, paid["payment_id"])).status == 201
    assert (await void(api, number)).json["status"] == "voided"
    assert await coins_of(api, one) == (5000, 0)
    await assert_balanced(database)


async def test_of_held_and_paid_coins_the_paid_ones_keep_a_sale_from_its_void(
    api, payers, number, engine, database
):
    one, other = payers
    await api.store.print(1, number, amount=100_000)
    held = await api.store.pay(one, coins=300, invoice_number=number)
    code = last_code(engine)
    paid = await paid_by_qr(api, engine, other, coins=300, invoice_number=number)
    assert (await void(api, number)).code == "payment_captured"
    await api.store.reverse(other, paid["payment_id"])
    assert (await void(api, number)).status == 200
    refused = await api.store.confirm(one, held.json["payment_id"], code)
    assert refused.code == "invoice_voided"
    await assert_balanced(database)


async def test_nothing_is_paid_on_a_voided_sale(api, payers, number, database):
    await api.store.print(1, number, amount=100_000)
    held = await api.store.pay(payers[0], coins=300, invoice_number=number)
    assert (await void(api, number)).status == 200
    qr = (await api.app.qr(payers[1])).json["qr"]
    for body in ({}, {"qr": qr}, {"amount": 100_000}):
        reply = await api.store.pay(payers[1], coins=10, invoice_number=number, **body)
        assert (reply.status, reply.code) == (409, "invoice_voided")
    async with connection_to(database) as connection:
        kept = await connection.fetchrow(
            "select coins, paid, voided from invoice_payment where invoice_key = $1",
            number.replace("-", "").upper(),
        )
    assert tuple(kept) == (300, 0, True)
    assert (await api.store.void(payers[0], held.json["payment_id"])).status == 200
    await assert_balanced(database)

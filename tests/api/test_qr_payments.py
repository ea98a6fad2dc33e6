"""Coins are paid at once by the QR of the app, once; promotions cost coins (COI-6, RED-6)."""

from __future__ import annotations

import asyncio
import re
import time
from uuid import UUID, uuid4

import pytest
from harness import connection_to, until

from engine.people.qr import LIFETIME_S, make_qr

CODE = re.compile(r"es (\d{4})\.")
FRESH_S = 7


async def give(api, customer_id, coins):
    reply = await api.store.accumulate(customer_id, amount=coins * 10_000, currency="COP")
    assert reply.status == 201


async def qr_of(api, customer_id):
    return (await api.app.qr(customer_id)).json["qr"]


async def wallet_of(api, customer_id):
    wallets = (await api.store.wallets(customer_id)).json["wallets"]
    coins = next(one for one in wallets if one["asset"] == "coins")
    return coins["balance"], coins["held"]


def codes_sent(engine, person):
    return [line for line in engine.outbox() if line["to"] == person["phone"]]


@pytest.fixture
async def payer(api, people):
    """Return a customer with 1000 coins."""
    person = people.complete()
    await give(api, person["customer_id"], 1000)
    return person


@pytest.fixture
def customer_id(payer):
    return payer["customer_id"]


# By the QR.


async def test_a_qr_pays_at_once_without_a_code(api, engine, payer):
    customer_id = payer["customer_id"]
    qr = await qr_of(api, customer_id)
    reply = await api.store.pay(customer_id, coins=400, qr=qr, invoice_number="Q-1", amount=40_000)
    assert (reply.status, reply.json["status"]) == (201, "succeeded")
    told = reply.json
    assert (told["coins"], told["balance"], told["held"]) == (400, 600, 0)
    assert (told["store_id"], told["brand_id"], told["customer_id"]) == (1, 1, customer_id)
    assert UUID(told["payment_id"]) == UUID(told["transaction_id"])
    assert not {"sent_to", "tries_left", "expires_at", "item"} & set(told)
    assert await wallet_of(api, customer_id) == (600, 0)
    assert codes_sent(engine, payer) == []
    rows = (await api.store.transactions(customer_id, asset="coins")).json["transactions"]
    assert (rows[0]["type"], rows[0]["amount"], rows[0]["held_amount"]) == ("payment", -400, 0)
    assert rows[0]["payment_id"] == told["payment_id"]
    assert rows[0]["bill_amount"] == 40_000


async def test_what_a_scanner_types_in_small_letters_is_read(api, customer_id):
    qr = await qr_of(api, customer_id)
    reply = await api.store.pay(customer_id, coins=1, qr=f" {qr.lower()} ")
    assert (reply.status, reply.json["status"]) == (201, "succeeded")


async def test_a_qr_pays_once(api, customer_id):
    qr = await qr_of(api, customer_id)
    assert (await api.store.pay(customer_id, coins=100, qr=qr)).status == 201
    for shown in (qr, qr.lower()):
        again = await api.store.pay(customer_id, coins=100, qr=shown)
        assert (again.status, again.code) == (409, "qr_invalid")
    assert await wallet_of(api, customer_id) == (900, 0)


async def test_one_qr_at_many_tills_at_once_pays_once(api, customer_id):
    qr = await qr_of(api, customer_id)
    replies = await asyncio.gather(
        *(api.store.pay(customer_id, coins=100, qr=qr) for _ in range(12))
    )
    assert sorted(reply.status for reply in replies) == [201, *[409] * 11]
    assert {reply.code for reply in replies} == {None, "qr_invalid"}
    assert await wallet_of(api, customer_id) == (900, 0)


async def test_a_refused_payment_leaves_the_qr_unused(api, customer_id):
    qr = await qr_of(api, customer_id)
    refused = await api.store.pay(customer_id, coins=1001, qr=qr)
    assert (refused.code, refused.json["available"]) == ("insufficient_coins", 1000)
    assert (await api.store.pay(customer_id, coins=1000, qr=qr)).status == 201


async def test_a_qr_that_is_not_this_customers_or_not_valid_now_pays_nothing(
    api, secret, people, customer_id
):
    raw, now_s = UUID(customer_id).bytes, int(time.time())
    other = people.complete()["customer_id"]
    good = make_qr(secret, raw, now_s)
    shown = {
        "another customer's": await qr_of(api, other),
        "expired": make_qr(secret, raw, now_s - LIFETIME_S - 1),
        "of yesterday": make_qr(secret, raw, now_s - 86_400),
        "of the future": make_qr(secret, raw, now_s + 3600),
        "forged": make_qr(bytes(32), raw, now_s),
        "changed": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "too short": good[:-1],
        "no QR": "ñ",
    }
    for about, qr in shown.items():
        reply = await api.store.pay(customer_id, coins=1, qr=qr)
        assert (reply.status, reply.code) == (409, "qr_invalid"), about
    assert await wallet_of(api, customer_id) == (1000, 0)
    assert (await api.store.pay(other, coins=1, qr=good)).code == "insufficient_coins"
    assert (await api.store.pay(customer_id, coins=1, qr=good)).status == 201


async def test_a_retry_is_told_the_recorded_payment_while_the_qr_lives(api, customer_id):
    qr = await qr_of(api, customer_id)
    first = await api.store.pay(customer_id, "pay", coins=400, qr=qr)
    again = await api.store.pay(customer_id, "pay", coins=400, qr=qr)
    assert (again.status, again.json) == (201, first.json)
    assert (first.replayed, again.replayed) == (False, True)
    assert await wallet_of(api, customer_id) == (600, 0)
    newer = await api.store.pay(customer_id, "pay", coins=400, qr="X" * 39)
    assert (newer.status, newer.code) == (422, "idempotency_key_reused")


async def test_a_retry_is_told_the_recorded_payment_after_the_qr_has_expired(
    api, secret, customer_id
):
    made_s = int(time.time()) - LIFETIME_S + FRESH_S
    qr = make_qr(secret, UUID(customer_id).bytes, made_s)
    first = await api.store.pay(customer_id, "pay", coins=400, qr=qr)
    assert first.status == 201

    await until(lambda: time.time() > made_s + LIFETIME_S + 1)
    again = await api.store.pay(customer_id, "pay", coins=400, qr=qr)
    assert (again.status, again.json, again.replayed) == (201, first.json, True)
    late = await api.store.pay(customer_id, "another", coins=400, qr=qr)
    assert (late.status, late.code) == (409, "qr_invalid")
    assert await wallet_of(api, customer_id) == (600, 0)


async def test_a_retried_refusal_of_a_qr_stays_one(api, customer_id):
    refused = [await api.store.pay(customer_id, "bad", coins=1, qr="X" * 39) for _ in range(2)]
    assert [(one.code, one.replayed) for one in refused] == [
        ("qr_invalid", False),
        ("qr_invalid", True),
    ]
    stored = await api.store.transactions(customer_id, asset="coins")
    assert all(row["type"] != "payment" for row in stored.json["transactions"])


async def test_a_payment_by_qr_is_read_and_neither_confirmed_nor_voided(api, customer_id):
    qr = await qr_of(api, customer_id)
    paid = (await api.store.pay(customer_id, coins=400, qr=qr)).json
    payment_id = paid["payment_id"]
    read = await api.store.payment(customer_id, payment_id)
    assert (read.status, read.json) == (200, paid)
    recorded = await api.store.transaction(customer_id, payment_id)
    assert (recorded.status, recorded.json) == (200, paid)
    for reply in (
        await api.store.confirm(customer_id, payment_id, "0000"),
        await api.store.resend(customer_id, payment_id),
        await api.store.void(customer_id, payment_id),
    ):
        assert (reply.status, reply.code) == (409, "payment_captured")
    assert (await api.other_store.payment(customer_id, payment_id)).code == "payment_not_found"
    assert await wallet_of(api, customer_id) == (600, 0)


async def test_a_refused_payment_by_qr_is_no_payment(api, customer_id, database):
    await api.store.pay(customer_id, "bad", coins=1, qr="X" * 39)
    async with connection_to(database) as connection:
        payment_id = await connection.fetchval(
            "select transaction_id from journal where customer_id = $1 and kind = 12 "
            "and refusal = 6 and reference = transaction_id",
            UUID(customer_id),
        )
    for reply in (
        await api.store.payment(customer_id, str(payment_id)),
        await api.store.void(customer_id, str(payment_id)),
    ):
        assert (reply.status, reply.code) == (404, "payment_not_found")
    recorded = await api.store.transaction(customer_id, str(payment_id))
    assert (recorded.status, recorded.code) == (409, "qr_invalid")


# What comes before the QR.


async def test_the_document_is_checked_for_a_qr_too(api, customer_id):
    qr = await qr_of(api, customer_id)
    reply = await api.store.pay(customer_id, coins=1, qr=qr, document_checked=False)
    assert (reply.status, reply.code) == (400, "document_not_checked")
    assert (await api.store.pay(customer_id, coins=1, qr=qr)).status == 201


async def test_a_blocked_customer_pays_nothing_by_qr(api, customer_id):
    qr = await qr_of(api, customer_id)
    await api.network.block(customer_id, "a test")
    for shown in (qr, "X" * 39):
        reply = await api.store.pay(customer_id, coins=10**6, qr=shown)
        assert (reply.status, reply.code) == (409, "customer_blocked")
    await api.network.unblock(customer_id, "a test")
    assert (await api.store.pay(customer_id, coins=1, qr=qr)).status == 201


async def test_an_incomplete_profile_pays_nothing_by_qr(api, people):
    customer_id = people.incomplete()["customer_id"]
    await give(api, customer_id, 100)
    for qr in (await qr_of(api, customer_id), "X" * 39):
        reply = await api.store.pay(customer_id, coins=101, qr=qr)
        assert (reply.status, reply.code) == (409, "profile_incomplete")
        assert reply.json["missing_fields"]


async def test_a_store_that_takes_no_coins_takes_none_by_qr(api, demo, customer_id):
    store = next(one for one in demo["stores"] if not one["accepts_coins"])
    qr = await qr_of(api, customer_id)
    for shown in (qr, "X" * 39):
        reply = await api.network.pay(customer_id, coins=1, qr=shown, store_id=store["store_id"])
        assert (reply.status, reply.code) == (409, "coins_not_accepted")
    assert (await api.store.pay(customer_id, coins=1, qr=qr)).status == 201


async def test_an_unknown_customer_pays_nothing_by_qr(api, secret):
    nobody = uuid4()
    qr = make_qr(secret, nobody.bytes, int(time.time()))
    reply = await api.store.pay(str(nobody), coins=1, qr=qr)
    assert (reply.status, reply.code) == (404, "customer_not_found")


# Promotions that cost coins.


@pytest.fixture
def promote(api):
    """Give what makes a promotion of brand 1 that costs 300 coins."""

    async def promote(**facts):
        reply = await api.brand.request(
            "POST", "/v1/brands/1/promotions", {"name": "Termo", "coins": 300} | facts
        )
        assert reply.status == 201, reply.json
        return reply.json["promotion_id"]

    return promote


def item(promotion_id):
    return {"kind": "promotion", "promotion_id": promotion_id, "name": "Termo", "coins": 300}


async def test_a_promotion_is_paid_for_by_qr(api, customer_id, promote):
    promotion_id = await promote()
    qr = await qr_of(api, customer_id)
    reply = await api.store.pay(customer_id, "p", promotion_id=promotion_id, qr=qr)
    assert (reply.status, reply.json["status"]) == (201, "succeeded")
    assert (reply.json["coins"], reply.json["balance"]) == (300, 700)
    assert reply.json["item"] == item(promotion_id)
    again = await api.store.pay(customer_id, "p", promotion_id=promotion_id, qr=qr)
    assert (again.json, again.replayed) == (reply.json, True)
    payment_id = reply.json["payment_id"]
    assert (await api.store.payment(customer_id, payment_id)).json == reply.json
    assert (await api.store.transaction(customer_id, payment_id)).json == reply.json


async def test_a_promotion_is_paid_for_by_a_code(api, engine, payer, promote):
    customer_id, promotion_id = payer["customer_id"], await promote()
    held = await api.store.pay(customer_id, promotion_id=promotion_id, coins=300)
    assert (held.status, held.json["status"]) == (201, "requires_code")
    assert (held.json["coins"], held.json["item"]) == (300, item(promotion_id))
    payment_id = held.json["payment_id"]
    assert (await api.store.payment(customer_id, payment_id)).json == held.json
    again = await api.store.resend(customer_id, payment_id)
    assert again.json["item"] == item(promotion_id)
    code = CODE.search(codes_sent(engine, payer)[-1]["text"])[1]
    paid = await api.store.confirm(customer_id, payment_id, code, "confirm")
    assert (paid.status, paid.json["item"]) == (200, item(promotion_id))
    retried = await api.store.confirm(customer_id, payment_id, code, "confirm")
    read = await api.store.payment(customer_id, payment_id)
    recorded = await api.store.transaction(customer_id, paid.json["transaction_id"])
    assert retried.json == read.json == recorded.json == paid.json
    assert await wallet_of(api, customer_id) == (700, 0)


async def test_a_voided_payment_tells_its_promotion(api, customer_id, promote):
    promotion_id = await promote()
    held = await api.store.pay(customer_id, promotion_id=promotion_id)
    voided = await api.store.void(customer_id, held.json["payment_id"])
    assert (voided.json["status"], voided.json["item"]) == ("voided", item(promotion_id))
    read = await api.store.payment(customer_id, held.json["payment_id"])
    assert read.json == voided.json
    assert await wallet_of(api, customer_id) == (1000, 0)


async def test_a_promotion_costs_its_price(api, customer_id, promote):
    promotion_id = await promote()
    for body in ({"coins": 299}, {"coins": 301}, {"amount": 29_999}):
        reply = await api.store.pay(customer_id, promotion_id=promotion_id, **body)
        assert (reply.status, reply.code) == (400, "invalid_request")
    nothing = await api.store.pay(customer_id)
    assert (nothing.status, nothing.code) == (400, "invalid_request")
    poor = await api.store.pay(customer_id, promotion_id=await promote(coins=1001))
    assert (poor.code, poor.json["available"], poor.json["required"]) == (
        *("insufficient_coins", 1000),
        1001,
    )
    assert await wallet_of(api, customer_id) == (1000, 0)


async def test_what_costs_no_coins_is_not_paid_for_with_them(api, customer_id, promote):
    for facts in ({"coins": 0, "points": 7}, {"coins": 0}):
        reply = await api.store.pay(customer_id, promotion_id=await promote(**facts))
        assert (reply.status, reply.code) == (400, "invalid_request")


async def test_a_promotion_is_of_its_brand(api, demo, customer_id, promote):
    promotion_id = await promote()
    foreign = next(
        one["store_id"] for one in demo["stores"] if one["brand_id"] != 1 and one["accepts_coins"]
    )
    for reply in (
        await api.other_store.pay(customer_id, promotion_id=promotion_id),
        await api.network.pay(customer_id, promotion_id=promotion_id, store_id=foreign),
        await api.store.pay(customer_id, promotion_id=2**31 - 1),
    ):
        assert (reply.status, reply.code) == (404, "promotion_not_found")


async def test_a_promotion_is_paid_for_while_it_is_on_offer_to_its_segment(
    api, people, customer_id, promote
):
    outside = await promote(segment={"cities": ["Nowhere"]})
    over = await promote(ends_at="2020-01-01T00:00:00Z")
    hidden = await promote(available=False)
    for promotion_id in (outside, over, hidden):
        for more in ({}, {"qr": await qr_of(api, customer_id)}):
            reply = await api.store.pay(customer_id, promotion_id=promotion_id, **more)
            assert (reply.status, reply.code) == (409, "not_available")
    bad = await api.store.pay(customer_id, promotion_id=outside, qr="X" * 39)
    assert bad.code == "qr_invalid"
    poor = people.complete()["customer_id"]
    assert (await api.store.pay(poor, promotion_id=outside)).code == "insufficient_coins"
    assert await wallet_of(api, customer_id) == (1000, 0)


async def test_a_retry_is_told_the_price_that_was_paid(api, customer_id, promote):
    promotion_id = await promote()
    path = f"/v1/brands/1/promotions/{promotion_id}"
    asked = {"promotion_id": promotion_id, "amount": 30_000}
    first = await api.store.pay(customer_id, "p", **asked)
    said = await api.store.pay(customer_id, "q", promotion_id=promotion_id, coins=300)
    assert (first.status, said.status) == (201, 201)
    await api.brand.request("PATCH", path, {"coins": 301})
    assert (await api.store.pay(customer_id, "p", **asked)).json == first.json
    again = await api.store.pay(customer_id, "q", promotion_id=promotion_id, coins=300)
    assert (again.json, again.replayed) == (said.json, True)
    await api.brand.request("DELETE", path)
    assert (await api.store.pay(customer_id, "p", **asked)).json == first.json
    gone = await api.store.pay(customer_id, promotion_id=promotion_id)
    assert (gone.status, gone.code) == (409, "not_available")
    assert await wallet_of(api, customer_id) == (400, 600)


async def units_of(database, promotion_id):
    async with connection_to(database) as connection:
        query = "select count(*) from item_unit where item_id = $1"
        return await connection.fetchval(query, promotion_id)


async def offer_of(api, customer_id, promotion_id):
    offers = (await api.store.offers(customer_id, store_id=1)).json["promotions"]
    return next(one for one in offers if one["promotion_id"] == promotion_id)


async def test_the_last_unit_is_paid_for_once_and_held_while_a_code_is_waited_for(
    api, engine, people, payer, promote, database
):
    promotion_id = await promote(stock=1)
    other = people.complete()["customer_id"]
    await give(api, other, 1000)
    asked = {"promotion_id": promotion_id}
    held = (await api.store.pay(payer["customer_id"], **asked)).json
    by_qr = await api.store.pay(other, qr=await qr_of(api, other), **asked)
    by_code = await api.store.pay(other, **asked)
    assert [by_qr.code, by_code.code] == ["out_of_stock"] * 2
    assert (await offer_of(api, other, promotion_id))["reason"] == "out_of_stock"
    code = CODE.search(codes_sent(engine, payer)[-1]["text"])[1]
    paid = await api.store.confirm(payer["customer_id"], held["payment_id"], code)
    assert paid.json["status"] == "succeeded"
    assert (await api.store.pay(other, **asked)).code == "out_of_stock"
    # What is given back is there again: of a payment by a code, and of one by a QR.
    await reverse(api, payer["customer_id"], held["payment_id"], "back")
    assert await units_of(database, promotion_id) == 0
    by_qr = await api.store.pay(other, qr=await qr_of(api, other), **asked)
    assert by_qr.status == 201
    assert await units_of(database, promotion_id) == 1
    await reverse(api, other, by_qr.json["payment_id"], "back too")
    assert await units_of(database, promotion_id) == 0


@pytest.mark.parametrize("how", ["voided", "guessed"])
async def test_a_payment_that_is_given_up_gives_its_unit_and_turn_back(
    api, customer_id, promote, database, how
):
    promotion_id = await promote(stock=1, customer_limit=1)
    asked = {"promotion_id": promotion_id}
    payment_id = (await api.store.pay(customer_id, **asked)).json["payment_id"]
    assert (await api.store.pay(customer_id, **asked)).code == "out_of_stock"
    if how == "voided":
        assert (await api.store.void(customer_id, payment_id)).status == 200
    for guess in ("0000", "0001", "0002", "0003") if how == "guessed" else ():
        await api.store.confirm(customer_id, payment_id, guess)
    assert await units_of(database, promotion_id) == 0
    assert (await api.store.pay(customer_id, **asked)).status == 201


async def test_a_customer_pays_for_a_promotion_as_often_as_its_limit_says(
    api, customer_id, promote
):
    promotion_id = await promote(customer_limit=2)
    asked = {"promotion_id": promotion_id}
    first = await api.store.pay(customer_id, "one", qr=await qr_of(api, customer_id), **asked)
    assert (first.status, (await api.store.pay(customer_id, **asked)).status) == (201, 201)
    assert (await api.store.pay(customer_id, **asked)).code == "limit_reached"
    assert (await offer_of(api, customer_id, promotion_id))["reason"] == "limit_reached"


# Payments that were reversed.


async def reverse(api, customer_id, transaction_id, key):
    return await api.brand.request(
        "POST",
        f"/v1/customers/{customer_id}/reversals",
        {"transaction_id": transaction_id, "reason": "Case 4711"},
        idempotency=key,
    )


async def test_a_reversed_payment_tells_so(api, engine, payer):
    customer_id = payer["customer_id"]
    by_qr = (await api.store.pay(customer_id, coins=100, qr=await qr_of(api, customer_id))).json
    held = (await api.store.pay(customer_id, coins=200)).json
    open_still = await reverse(api, customer_id, held["payment_id"], "open")
    assert open_still.code == "not_reversible"
    assert (await api.store.payment(customer_id, held["payment_id"])).json == held
    code = CODE.search(codes_sent(engine, payer)[-1]["text"])[1]
    paid = (await api.store.confirm(customer_id, held["payment_id"], code)).json
    assert await wallet_of(api, customer_id) == (700, 0)
    for number, payment in enumerate((by_qr, paid)):
        payment_id = payment["payment_id"]
        reply = await reverse(api, customer_id, payment_id, f"r{number}")
        assert reply.status == 201, reply.json
        once_more = await reverse(api, customer_id, payment_id, f"again{number}")
        assert once_more.code == "already_reversed"
        told = (await api.store.payment(customer_id, payment_id)).json
        assert (told["status"], told["coins"]) == ("reversed", payment["coins"])
        assert (told["store_id"], told["payment_id"]) == (1, payment_id)
        voided = await api.store.void(customer_id, payment_id)
        assert (voided.status, voided.code) == (409, "payment_captured")
    again = await api.store.confirm(customer_id, held["payment_id"], code)
    assert (again.status, again.json, again.replayed) == (200, paid, True)
    assert await wallet_of(api, customer_id) == (1000, 0)

"""Coins are held, authorised by a code, and paid, or they come back (COI-3…COI-7)."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from harness import until

CODE = re.compile(r"es (\d{4})\.")


async def give(api, customer_id, coins):
    reply = await api.store.accumulate(customer_id, amount=coins * 10_000, currency="COP")
    assert reply.status == 201


def codes_sent(engine, person_to):
    return [CODE.search(line["text"])[1] for line in engine.outbox() if line["to"] == person_to]


def wrong(code):
    return f"{(int(code) + 1) % 10_000:04}"


@pytest.fixture
async def payer(api, people):
    """Return a customer with 1000 coins."""
    person = people.complete()
    await give(api, person["customer_id"], 1000)
    return person


@pytest.fixture
async def held(api, engine, payer):
    """Return (customer, the payment of 400 coins as answered, its code)."""
    reply = await api.store.pay(payer["customer_id"], coins=400)
    assert reply.status == 201
    return payer["customer_id"], reply.json, codes_sent(engine, payer["phone"])[-1]


async def wallet_of(api, customer_id):
    wallets = (await api.store.wallets(customer_id)).json["wallets"]
    coins = next(one for one in wallets if one["asset"] == "coins")
    return coins["balance"], coins["held"]


async def test_a_payment_holds_the_coins_and_sends_a_code(api, engine, payer):
    customer_id = payer["customer_id"]
    reply = await api.store.pay(customer_id, coins=400, invoice_number="B-1", amount=40_000)
    assert reply.status == 201
    payment = reply.json
    assert UUID(payment["payment_id"])
    assert payment["status"] == "requires_code"
    assert (payment["coins"], payment["balance"], payment["tries_left"]) == (400, 600, 3)
    assert payment["sent_to"] == "*" * (len(payer["phone"]) - 4) + payer["phone"][-4:]
    recorded = datetime.fromisoformat(payment["recorded_at"])
    expires = datetime.fromisoformat(payment["expires_at"])
    assert timedelta(0) < expires - recorded <= timedelta(seconds=301)
    assert await wallet_of(api, customer_id) == (600, 400)
    line = engine.outbox()[-1]
    assert (line["channel"], line["to"]) == ("sms", payer["phone"])
    assert CODE.search(line["text"])
    assert "400 coins" in line["text"]


async def test_the_right_code_pays(api, held):
    customer_id, payment, code = held
    reply = await api.store.confirm(customer_id, payment["payment_id"], code)
    assert (reply.status, reply.json["status"]) == (200, "succeeded")
    assert reply.json["payment_id"] == payment["payment_id"]
    assert (reply.json["coins"], reply.json["balance"]) == (400, 600)
    assert await wallet_of(api, customer_id) == (600, 0)


async def test_confirming_again_is_told_the_same(api, held):
    customer_id, payment, code = held
    first = await api.store.confirm(customer_id, payment["payment_id"], code, "confirm")
    same_key = await api.store.confirm(customer_id, payment["payment_id"], code, "confirm")
    no_key = await api.store.confirm(customer_id, payment["payment_id"], code)
    assert (first.status, same_key.status, no_key.status) == (200, 200, 200)
    assert first.json == same_key.json == no_key.json
    assert [one.replayed for one in (first, same_key, no_key)] == [False, True, True]
    assert await wallet_of(api, customer_id) == (600, 0)


async def test_only_the_code_that_paid_is_told_that_it_did(api, held):
    customer_id, payment, code = held
    payment_id = payment["payment_id"]
    typo = await api.store.confirm(customer_id, payment_id, wrong(code), "typo")
    assert (await api.store.confirm(customer_id, payment_id, code, "right")).status == 200
    for key in (None, "another"):
        reply = await api.store.confirm(customer_id, payment_id, wrong(code), key)
        assert (reply.status, reply.code) == (409, "payment_captured")
        assert reply.json["detail"] == "The payment is done already, with another code."
        assert not reply.replayed
        again = await api.store.confirm(customer_id, payment_id, code, key)
        assert (again.status, again.replayed) == (200, True)
    retried = await api.store.confirm(customer_id, payment_id, wrong(code), "typo")
    assert (retried.status, retried.code, retried.replayed) == (409, "code_invalid", True)
    assert retried.json["tries_left"] == typo.json["tries_left"] == 2
    for key, other in (("right", wrong(code)), ("typo", code)):
        reply = await api.store.confirm(customer_id, payment_id, other, key)
        assert (reply.status, reply.code) == (422, "idempotency_key_reused")
    assert await wallet_of(api, customer_id) == (600, 0)


async def test_what_was_done_under_a_key_is_told_again_when_the_payment_is_over(api, held):
    customer_id, payment, _ = held
    payment_id = payment["payment_id"]
    resent = await api.store.resend(customer_id, payment_id, "k")
    voided = await api.store.void(customer_id, payment_id, "k")
    for call, first in ((api.store.resend, resent), (api.store.void, voided)):
        again = await call(customer_id, payment_id, "k")
        assert (again.status, again.json, again.replayed) == (200, first.json, True)


async def test_confirming_many_times_at_once_pays_once(api, held):
    customer_id, payment, code = held
    replies = await asyncio.gather(
        *(api.store.confirm(customer_id, payment["payment_id"], code) for _ in range(20))
    )
    assert {reply.status for reply in replies} == {200}
    assert all(reply.json == replies[0].json for reply in replies)
    assert await wallet_of(api, customer_id) == (600, 0)


async def test_wrong_codes_are_counted_and_the_last_gives_the_coins_back(api, held):
    customer_id, payment, code = held
    payment_id = payment["payment_id"]
    for tries_left in (2, 1, 0):
        assert await wallet_of(api, customer_id) == (600, 400)
        reply = await api.store.confirm(customer_id, payment_id, wrong(code))
        assert (reply.status, reply.code) == (409, "code_invalid")
        assert reply.json["tries_left"] == tries_left
    assert await wallet_of(api, customer_id) == (1000, 0)
    for typed in (code, wrong(code)):
        reply = await api.store.confirm(customer_id, payment_id, typed)
        assert (reply.status, reply.code) == (409, "code_exhausted")
    assert await wallet_of(api, customer_id) == (1000, 0)
    assert (await api.store.payment(customer_id, payment_id)).json["status"] == "failed"


async def test_a_retried_wrong_code_counts_once_under_its_key(api, held):
    customer_id, payment, code = held
    replies = [
        await api.store.confirm(customer_id, payment["payment_id"], wrong(code), "typed once")
        for _ in range(5)
    ]
    assert {(reply.status, reply.code, reply.json["tries_left"]) for reply in replies} == {
        (409, "code_invalid", 2)
    }
    assert [reply.replayed for reply in replies] == [False, True, True, True, True]
    right = await api.store.confirm(customer_id, payment["payment_id"], code)
    assert right.status == 200


async def test_parallel_guesses_are_evaluated_three_times_at_most(api, held):
    customer_id, payment, code = held
    guesses = [f"{(int(code) + 1 + n) % 10_000:04}" for n in range(40)]
    replies = await asyncio.gather(
        *(api.store.confirm(customer_id, payment["payment_id"], guess) for guess in guesses)
    )
    assert Counter(reply.code for reply in replies) == {"code_invalid": 3, "code_exhausted": 37}
    assert await wallet_of(api, customer_id) == (1000, 0)


async def test_resending_changes_the_code_and_not_the_tries(api, engine, payer):
    customer_id = payer["customer_id"]
    payment = (await api.store.pay(customer_id, coins=400)).json
    payment_id = payment["payment_id"]
    first = codes_sent(engine, payer["phone"])[-1]
    await api.store.confirm(customer_id, payment_id, wrong(first))
    again = await api.store.resend(customer_id, payment_id)
    assert (again.status, again.json["status"]) == (200, "requires_code")
    assert again.json["tries_left"] == 2
    for name in ("payment_id", "coins", "sent_to", "expires_at"):
        assert again.json[name] == payment[name]
    codes = codes_sent(engine, payer["phone"])
    assert len(codes) == 2
    if codes[1] != codes[0]:  # one in ten thousand is the same
        refused = await api.store.confirm(customer_id, payment_id, codes[0])
        assert (refused.code, refused.json["tries_left"]) == ("code_invalid", 1)
    assert (await api.store.confirm(customer_id, payment_id, codes[1])).status == 200


async def test_a_code_is_resent_three_times_at_most(api, engine, payer):
    customer_id = payer["customer_id"]
    payment_id = (await api.store.pay(customer_id, coins=400)).json["payment_id"]
    for _ in range(3):
        assert (await api.store.resend(customer_id, payment_id)).status == 200
    reply = await api.store.resend(customer_id, payment_id)
    assert (reply.status, reply.code) == (409, "limit_reached")
    assert reply.json["detail"] == "The code was sent again as often as is allowed."
    codes = codes_sent(engine, payer["phone"])
    assert len(codes) == 4
    assert (await api.store.confirm(customer_id, payment_id, codes[-1])).status == 200


async def test_a_retried_resend_sends_once_under_its_key(api, engine, payer):
    customer_id = payer["customer_id"]
    payment_id = (await api.store.pay(customer_id, coins=400)).json["payment_id"]
    replies = [await api.store.resend(customer_id, payment_id, "again") for _ in range(3)]
    assert all(reply.json == replies[0].json for reply in replies)
    assert len(codes_sent(engine, payer["phone"])) == 2


async def test_void_gives_the_coins_back_and_again_is_told_the_same(api, held):
    customer_id, payment, code = held
    first = await api.store.void(customer_id, payment["payment_id"])
    assert (first.status, first.json["status"]) == (200, "voided")
    assert (first.json["coins"], first.json["balance"]) == (400, 1000)
    again = await api.store.void(customer_id, payment["payment_id"])
    assert (again.status, again.json) == (200, first.json)
    assert await wallet_of(api, customer_id) == (1000, 0)
    late = await api.store.confirm(customer_id, payment["payment_id"], code)
    assert (late.status, late.code) == (409, "payment_expired")
    assert (await api.store.resend(customer_id, payment["payment_id"])).code == "payment_expired"


async def test_what_is_paid_is_not_voided(api, held):
    customer_id, payment, code = held
    await api.store.confirm(customer_id, payment["payment_id"], code)
    for call in (api.store.void, api.store.resend):
        reply = await call(customer_id, payment["payment_id"])
        assert (reply.status, reply.code) == (409, "payment_captured")
        assert reply.json["detail"] == "The coins are paid already."
    assert await wallet_of(api, customer_id) == (600, 0)


async def test_void_and_confirm_at_once_do_one_of_them(api, held):
    customer_id, payment, code = held
    replies = await asyncio.gather(
        *(api.store.confirm(customer_id, payment["payment_id"], code) for _ in range(3)),
        *(api.store.void(customer_id, payment["payment_id"]) for _ in range(3)),
    )
    wallet = await wallet_of(api, customer_id)
    paid = {reply.status for reply in replies[:3]} == {200}
    assert wallet == ((600, 0) if paid else (1000, 0))
    assert {reply.code for reply in replies[3:]} == {"payment_captured" if paid else None}
    if not paid:
        assert {reply.code for reply in replies[:3]} == {"payment_expired"}


async def test_a_retried_payment_holds_once_and_sends_one_code(api, engine, payer):
    customer_id = payer["customer_id"]
    first = await api.store.pay(customer_id, "pay", coins=400)
    again = await api.store.pay(customer_id, "pay", coins=400)
    assert (again.status, again.json) == (201, first.json)
    assert again.replayed
    assert await wallet_of(api, customer_id) == (600, 400)
    assert len(codes_sent(engine, payer["phone"])) == 1


async def test_a_payment_stands_as_it_is_when_it_is_read(api, held):
    customer_id, payment, code = held
    payment_id = payment["payment_id"]
    read = await api.store.payment(customer_id, payment_id)
    assert (read.status, read.json) == (200, payment)
    await api.store.confirm(customer_id, payment_id, wrong(code))
    read = await api.store.payment(customer_id, payment_id)
    assert (read.json["status"], read.json["tries_left"]) == ("requires_code", 2)
    done = await api.store.confirm(customer_id, payment_id, code)
    read = await api.store.payment(customer_id, payment_id)
    assert read.json == done.json


async def test_several_payments_may_be_open_at_once(api, engine, payer):
    customer_id = payer["customer_id"]
    payments = [(await api.store.pay(customer_id, coins=300)).json for _ in range(3)]
    codes = codes_sent(engine, payer["phone"])
    assert await wallet_of(api, customer_id) == (100, 900)
    reply = await api.store.confirm(customer_id, payments[1]["payment_id"], codes[1])
    assert reply.json["status"] == "succeeded"
    await api.store.void(customer_id, payments[0]["payment_id"])
    assert await wallet_of(api, customer_id) == (400, 300)


# Refusals, in the order of their precedence.


async def test_an_incomplete_profile_pays_nothing(api, people):
    person = people.incomplete()
    await give(api, person["customer_id"], 100)
    reply = await api.store.pay(person["customer_id"], coins=101)
    assert (reply.status, reply.code) == (409, "profile_incomplete")
    customer = (await api.store.customer(person["customer_id"])).json
    assert reply.json["missing_fields"] == customer["missing_fields"] != []


async def test_more_coins_than_there_are_is_told_with_what_is(api, payer, engine):
    reply = await api.store.pay(payer["customer_id"], coins=1001)
    assert (reply.status, reply.code) == (409, "insufficient_coins")
    assert reply.json["available"] == 1000
    assert codes_sent(engine, payer["phone"]) == []
    held = await api.store.pay(payer["customer_id"], coins=1000)
    assert held.status == 201
    reply = await api.store.pay(payer["customer_id"], coins=1)
    assert reply.json["available"] == 0


async def test_a_store_that_takes_no_coins_says_so(api, demo, payer):
    store = next(one for one in demo["stores"] if not one["accepts_coins"])
    body = {"store_id": store["store_id"]}
    reply = await api.network.pay(payer["customer_id"], coins=400, **body)
    assert (reply.status, reply.code) == (409, "coins_not_accepted")
    # Missing coins are told first.
    reply = await api.network.pay(payer["customer_id"], coins=4000, **body)
    assert reply.code == "insufficient_coins"
    # And not accepting them is told before what is wrong with the QR.
    reply = await api.network.pay(payer["customer_id"], coins=400, qr="X" * 39, **body)
    assert reply.code == "coins_not_accepted"


async def test_an_unknown_qr_is_refused_and_holds_nothing(api, payer):
    reply = await api.store.pay(payer["customer_id"], coins=400, qr="X" * 39)
    assert (reply.status, reply.code) == (409, "qr_invalid")
    assert await wallet_of(api, payer["customer_id"]) == (1000, 0)


async def test_a_refused_payment_stays_refused_when_coins_have_come(api, engine, payer):
    customer_id = payer["customer_id"]
    refused = await api.store.pay(customer_id, "declined", coins=1500)
    await give(api, customer_id, 1000)
    again = await api.store.pay(customer_id, "declined", coins=1500)
    assert (refused.code, again.code) == ("insufficient_coins", "insufficient_coins")
    assert again.json["available"] == 1000
    assert (refused.replayed, again.replayed) == (False, True)
    assert codes_sent(engine, payer["phone"]) == []


async def test_the_document_has_to_be_checked(api, payer):
    reply = await api.store.pay(payer["customer_id"], coins=400, document_checked=False)
    assert (reply.status, reply.code) == (400, "document_not_checked")
    reply = await api.store.request(
        "POST", f"/v1/customers/{payer['customer_id']}/payments", {"coins": 1}, idempotency="k"
    )
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_an_unknown_customer_pays_nothing(api):
    reply = await api.store.pay(str(uuid4()), coins=1)
    assert (reply.status, reply.code) == (404, "customer_not_found")


async def test_a_payment_of_another_store_or_customer_does_not_exist(api, people, held):
    customer_id, payment, code = held
    payment_id = payment["payment_id"]
    other = people.complete()["customer_id"]
    replies = [
        await api.other_store.confirm(customer_id, payment_id, code),
        await api.other_store.resend(customer_id, payment_id),
        await api.other_store.void(customer_id, payment_id),
        await api.other_store.payment(customer_id, payment_id),
        await api.store.confirm(other, payment_id, code),
        await api.store.confirm(customer_id, str(uuid4()), code),
        await api.store.void(customer_id, "nonsense"),
    ]
    assert {(reply.status, reply.code) for reply in replies} == {(404, "payment_not_found")}
    assert (await api.brand.payment(customer_id, payment_id)).status == 200
    assert (await api.store.confirm(customer_id, payment_id, code)).status == 200


async def test_what_is_no_payment_cannot_be_confirmed(api, payer):
    customer_id = payer["customer_id"]
    sale = (await api.store.accumulate(customer_id, amount=100, currency="COP")).json
    refused = await api.store.pay(customer_id, "no hold", coins=10**6)
    assert refused.status == 409
    reply = await api.store.confirm(customer_id, sale["transaction_id"], "0000")
    assert (reply.status, reply.code) == (404, "payment_not_found")


@pytest.mark.parametrize("code", ["", "12", "1234567", "abcd", "１２３４", 1234, None, "12 4"])
async def test_what_cannot_be_a_code_costs_no_try(api, held, code):
    customer_id, payment, _ = held
    path = f"/v1/customers/{customer_id}/payments/{payment['payment_id']}/confirm"
    reply = await api.store.request("POST", path, {"code": code})
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert (await api.store.payment(customer_id, payment["payment_id"])).json["tries_left"] == 3


async def test_the_code_is_in_no_log_and_no_answer(api, engine, payer):
    reply = await api.store.pay(payer["customer_id"], coins=7)
    code = codes_sent(engine, payer["phone"])[-1]
    logged = [{k: v for k, v in line.items() if k != "timestamp"} for line in engine.logs]
    assert payer["phone"] not in str(logged)
    assert not re.search(rf"\b{code}\b", str([line.get("text") for line in logged]))
    told = {
        name: value
        for name, value in reply.json.items()
        if name not in ("recorded_at", "expires_at")
    }
    assert code not in {str(value) for value in told.values()}


# A hold that nobody confirms in time. A second engine, for its codes live for a second only.


@pytest.fixture(scope="module")
def hasty(loaded_network, database, tmp_path_factory):
    """Give an engine whose codes live for one second."""
    folder = tmp_path_factory.mktemp("hasty")
    engine = loaded_network.engine(database, folder, "--code-lifetime-s", "1")
    try:
        yield engine.start()
    finally:
        engine.stop()


async def test_the_coins_come_back_when_the_time_of_the_code_is_up(hasty, api, payer):
    from harness import clients_of

    customer_id = payer["customer_id"]
    async with clients_of(hasty) as clients:
        store = clients.store
        payment = (await store.pay(customer_id, coins=400)).json
        assert await wallet_of(clients, customer_id) == (600, 400)

        async def returned():
            return await wallet_of(clients, customer_id) == (1000, 0)

        await until(returned)  # nothing was posted: reading says what the next posting would find
        code = CODE.search(hasty.outbox()[-1]["text"])[1]
        assert (await store.payment(customer_id, payment["payment_id"])).json["status"] == "expired"
        late = await store.confirm(customer_id, payment["payment_id"], code)
        assert (late.status, late.code) == (409, "payment_expired")
        assert (await store.resend(customer_id, payment["payment_id"])).code == "payment_expired"
        assert await wallet_of(clients, customer_id) == (1000, 0)
        # The release stands in the books, once.
        rows = (await store.transactions(customer_id, asset="coins")).json["transactions"]
        assert [row["type"] for row in rows][:2] == ["release", "hold"]
        spent = await store.pay(customer_id, coins=1000)
        assert spent.status == 201

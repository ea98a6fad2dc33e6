"""Nobody goes through the phones of a country with the key of one till (CUS-2)."""

from __future__ import annotations

from itertools import count
from uuid import uuid4

import pytest

MISSES = 5
phones = (f"+57310{number:07}" for number in count(1_000_000))


@pytest.fixture(scope="module")
def engine_flags():
    return ("--misses-an-hour-max", str(MISSES), "--cashier-misses-an-hour-max", "2")


@pytest.fixture
async def till(api):
    """Return a client with a key of its own, which has missed nobody yet."""
    body = {"role": "store", "store_id": 1, "name": "guesses"}
    made = (await api.network.request("POST", "/v1/keys", body)).json
    yield api.with_key(made["key"])
    await api.network.request("DELETE", f"/v1/keys/{made['key_id']}")


def refused(reply):
    assert (reply.status, reply.code) == (429, "too_many_guesses")
    assert 1 <= int(reply.headers["Retry-After"]) <= 3600
    assert reply.headers["Retry-After"] in reply.json["detail"]
    return True


async def test_after_so_many_misses_even_who_is_there_is_not_told(till, people):
    there = people.complete()
    for _ in range(MISSES):
        assert (await till.lookup(phone=next(phones))).status == 404
    refused(await till.lookup(phone=next(phones)))
    refused(await till.lookup(phone=there["phone"]))
    # What names no person by something that can be guessed goes on.
    assert (await till.wallets(there["customer_id"])).status == 200
    sale = await till.accumulate(there["customer_id"], amount=5_400_000, currency="COP")
    assert sale.status == 201


async def test_a_text_that_may_be_much_is_one_miss_and_several_matches_are_none(till, people):
    there = people.complete()
    for _ in range(2 * MISSES):
        assert (await till.lookup(text=there["phone"])).status == 200
    for _ in range(MISSES):
        # Cédula, NIT, passport and phones of three countries: one question.
        assert (await till.lookup(text=next(phones)[3:])).status == 404
    refused(await till.lookup(text=next(phones)[3:]))


async def test_customers_who_are_there_are_found_without_end(till, people):
    there = people.complete()
    for _ in range(4 * MISSES):
        assert (await till.lookup(phone=there["phone"])).status == 200


async def test_registrations_and_changes_that_meet_somebody_count_and_others_do_not(till, people):
    there = people.complete()

    async def register(email):
        document = {"type": "PA", "number": uuid4().hex[:9].upper()}
        return await till.register(document=document, email=email)

    for _ in range(2 * MISSES):
        assert (await register(f"{uuid4().hex}@example.com")).status == 201
    own = (await register(f"{uuid4().hex}@example.com")).json["customer_id"]
    for number in range(MISSES):
        if number % 2:
            reply = await register(there["email"])
        else:
            body = {"phone": there["phone"]}
            reply = await till.request("PATCH", f"/v1/customers/{own}", body)
        assert (reply.status, reply.code) == (409, "customer_exists")
    refused(await register(there["email"]))


async def test_what_cannot_be_read_was_no_guess(till):
    for _ in range(2 * MISSES):
        assert (await till.lookup(phone="12")).status == 400
    assert (await till.lookup(phone=next(phones))).status == 404


async def test_an_upload_counts_each_person_that_it_names_and_nobody_finds(till, people):
    there = people.complete()

    def item(phone):
        sale = {"amount": 100_000, "currency": "COP"}
        return {"idempotency_key": str(uuid4()), "phone": phone} | sale

    for _ in range(3):
        reply = await till.upload([item(there["phone"])] * 10)
        assert [one["status"] for one in reply.json["results"]] == [201] * 10
    reply = await till.upload([item(next(phones)) for _ in range(MISSES)])
    assert [one["code"] for one in reply.json["results"]] == ["customer_not_found"] * MISSES
    refused(await till.upload([item(there["phone"])]))


async def test_the_cashiers_of_a_store_have_one_smaller_purse(api):
    for _ in range(2):
        assert (await api.cashier.lookup(phone=next(phones))).status == 404
    refused(await api.cashier.lookup(phone=next(phones)))


async def test_the_network_and_the_app_ask_for_everybody(api):
    for client in (api.network, api.app):
        for _ in range(2 * MISSES):
            assert (await client.lookup(phone=next(phones))).status == 404

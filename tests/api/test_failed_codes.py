"""Wrong codes are capped per cashier, store and brand, beyond the tries of a payment (COI-6)."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from itertools import count

import pytest
from harness import clients_of, connection_to, until

CASHIER_MAX, STORE_MAX, BRAND_MAX = 4, 6, 9
CAPS = (
    *("--failed-codes-of-cashier-max", str(CASHIER_MAX)),
    *("--failed-codes-of-store-max", str(STORE_MAX)),
    *("--failed-codes-of-brand-max", str(BRAND_MAX)),
)
CODE = re.compile(r"es (\d+)\.")
PASSWORD = "una clave larga"
numbers = count(1)


@pytest.fixture(scope="module")
def engine_flags():
    return CAPS


@pytest.fixture(scope="module")
def brands(demo):
    """Return by brand its stores that take coins, each brand given once."""
    stores = {}
    for store in demo["stores"]:
        if store["accepts_coins"] and store["brand_id"] != 1:
            stores.setdefault(store["brand_id"], []).append(store["store_id"])
    return iter(sorted(stores.items(), key=lambda item: -len(item[1])))


@pytest.fixture
def stores(brands):
    """Return the stores of a brand of the test's own."""
    return next(brands)[1]


@pytest.fixture
def hold(api, people, engine):
    """Give what starts a payment of a new customer; it returns (customer, payment, right code)."""

    async def hold(store_id=None, client=None):
        person = people.complete()
        customer_id = person["customer_id"]
        sale = await api.store.accumulate(customer_id, amount=5_400_000, currency="COP")
        assert sale.status == 201
        place = {} if store_id is None else {"store_id": store_id}
        reply = await (client or api.network).pay(customer_id, coins=10, **place)
        assert reply.status == 201, reply
        sent = [line["text"] for line in engine.outbox() if line["to"] == person["phone"]]
        return customer_id, reply.json["payment_id"], CODE.search(sent[-1])[1]

    return hold


def wrong(code, by=1):
    return f"{(int(code) + by) % 10_000:04}"


async def fail(client, held, number):
    """Type so many wrong codes."""
    for n in range(number):
        reply = await client.confirm(held[0], held[1], wrong(held[2], n + 1))
        assert (reply.status, reply.code) == (409, "code_invalid"), reply


async def fill(client, hold, store_id, number):
    """Type so many wrong codes at a store, two at each payment."""
    for done in range(0, number, 2):
        await fail(client, await hold(store_id), min(2, number - done))


def refused(reply):
    assert (reply.status, reply.code) == (429, "too_many_failed_codes"), reply
    assert 3500 < int(reply.headers["Retry-After"]) <= 3600
    assert reply.headers["Retry-After"] in reply.json["detail"]
    return True


async def refusals(api, place):
    told = (await api.anonymous.request("GET", "/metrics")).json.decode()
    found = re.search(rf'leal_failed_codes_refused_total\{{reason="{place}"\}} (\d+)', told)
    return int(found[1])


async def postings(database, customer_id):
    async with connection_to(database) as connection:
        return await connection.fetchval(
            "select count(*) from journal where customer_id = $1", customer_id
        )


async def test_a_store_that_has_its_wrong_codes_takes_no_more(
    api, engine, hold, stores, people, database
):
    first, second, *_ = stores
    waiting = await hold(first)
    before = await refusals(api, "store")
    await fill(api.network, hold, first, STORE_MAX)
    rows = await postings(database, waiting[0])
    for code in (waiting[2], wrong(waiting[2])):
        refused(await api.network.confirm(waiting[0], waiting[1], code))
    customer_id = waiting[0]
    refused(await api.network.pay(customer_id, coins=10, store_id=first))
    assert await postings(database, customer_id) == rows
    assert await refusals(api, "store") == before + 3
    (line,) = [line for line in engine.events("too_many_failed_codes") if line["store_id"] == first]
    assert (line["place"], line["cashier_id"]) == ("store", 0)
    # Its payment can be given up, what is paid by a QR goes on, and so does another store.
    qr = (await api.app.qr(customer_id)).json["qr"]
    paid = await api.network.pay(customer_id, coins=10, store_id=first, qr=qr)
    assert (paid.status, paid.json["status"]) == (201, "succeeded")
    assert (await api.network.payment(customer_id, waiting[1])).json["tries_left"] == 3
    assert (await api.network.void(customer_id, waiting[1])).status == 200
    elsewhere = await hold(second)
    assert (await api.network.confirm(*elsewhere)).status == 200


async def test_what_is_done_is_told_again_where_no_codes_are_taken(api, hold, stores):
    place = stores[0]
    done, failed, open_still = await hold(place), await hold(place), await hold(place)
    paid = await api.network.confirm(*done, "right")
    asked = {"coins": 10, "store_id": place}
    held = await api.network.pay(done[0], "held", **asked)
    typo = await api.network.confirm(failed[0], failed[1], wrong(failed[2]), "typo")
    await fail(api.network, failed, 2)
    await fill(api.network, hold, place, STORE_MAX - 3)
    refused(await api.network.confirm(*open_still))
    for key in ("right", None):
        again = await api.network.confirm(*done, key)
        assert (again.status, again.json, again.replayed) == (200, paid.json, True)
    again = await api.network.confirm(failed[0], failed[1], wrong(failed[2]), "typo")
    assert (again.code, again.json["tries_left"], again.replayed) == ("code_invalid", 2, True)
    assert typo.json["tries_left"] == 2
    assert (await api.network.confirm(*failed)).code == "code_exhausted"
    again = await api.network.pay(done[0], "held", **asked)
    assert (again.status, again.json, again.replayed) == (201, held.json, True)
    refused(await api.network.pay(done[0], "another", **asked))


async def test_a_brand_has_a_cap_over_all_its_stores(api, hold, stores):
    first, second, third, *_ = stores
    waiting = await hold(third)
    await fill(api.network, hold, first, STORE_MAX - 1)
    await fill(api.network, hold, second, BRAND_MAX - STORE_MAX + 1)
    refused(await api.network.confirm(*waiting))
    refused(await api.network.pay(waiting[0], coins=10, store_id=third))
    assert await refusals(api, "brand") >= 2


async def test_a_cashier_has_a_cap_and_another_goes_on(api, hold, stores, demo, database):
    place = stores[0]
    brand_id = next(one["brand_id"] for one in demo["stores"] if one["store_id"] == place)

    async def cashier():
        body = {"user": f"cashier.{next(numbers)}", "password": PASSWORD, "name": "Ana"}
        path = f"/v1/brands/{brand_id}/cashiers"
        made = await api.network.request("POST", path, body)
        assert made.status == 201
        sign_in = {"store_id": place, "user": body["user"], "password": PASSWORD}
        session = await api.anonymous.request("POST", "/v1/sessions", sign_in)
        return api.with_key(session.json["token"]), made.json["cashier_id"], sign_in

    one, cashier_id, sign_in = await cashier()
    other, _, _ = await cashier()
    for _ in range(CASHIER_MAX // 2):
        await fail(one, await hold(client=one), 2)
    held = await hold(client=other)
    refused(await one.confirm(*held))
    refused(await one.pay(held[0], coins=10))
    # Whoever signs in anew is the same cashier.
    anew = await api.anonymous.request("POST", "/v1/sessions", sign_in)
    refused(await api.with_key(anew.json["token"]).confirm(*held))
    assert (await other.confirm(*held)).status == 200
    assert await refusals(api, "cashier") >= 3
    async with connection_to(database) as connection:
        rows = await connection.fetch(
            "select cashier_id, store_id from failed_code where brand_id = $1", brand_id
        )
    assert [tuple(row) for row in rows] == [(cashier_id, place)] * CASHIER_MAX


async def test_of_parallel_guesses_no_more_are_evaluated_than_the_cap(api, hold, stores, database):
    """Each at another payment, so that no payment's own tries hold them up."""
    place = stores[0]
    payments = [await hold(place) for _ in range(12)]
    replies = await asyncio.gather(
        *(
            api.network.confirm(held[0], held[1], wrong(held[2], n))
            for held in payments
            for n in (1, 2, 3)
        )
    )
    codes = Counter(reply.code for reply in replies)
    assert codes["code_invalid"] == STORE_MAX
    assert codes.keys() <= {"code_invalid", "code_exhausted", "too_many_failed_codes"}
    async with connection_to(database) as connection:
        counted = await connection.fetchval(
            "select count(*) from failed_code where store_id = $1", place
        )
        evaluated = await connection.fetchval(
            "select count(*) from journal where store_id = $1 and kind = 4", place
        )
    assert counted == evaluated == STORE_MAX


async def test_right_codes_at_once_are_no_wrong_ones(api, hold, stores):
    payments = [await hold(stores[0]) for _ in range(3 * STORE_MAX)]
    replies = await asyncio.gather(*(api.network.confirm(*held) for held in payments))
    assert {reply.status for reply in replies} == {200}


async def test_a_wrong_code_is_counted_once_however_often_it_is_retried(
    api, hold, stores, database
):
    held = await hold(stores[0])
    for _ in range(STORE_MAX + 1):
        reply = await api.network.confirm(held[0], held[1], wrong(held[2]), "one")
        assert (reply.status, reply.code) == (409, "code_invalid")
    async with connection_to(database) as connection:
        rows = await connection.fetch("select * from failed_code where store_id = $1", stores[0])
    assert [row["cashier_id"] for row in rows] == [0]
    assert (await api.network.confirm(*held)).status == 200


# The window. Another engine, in whose window a single wrong code is one too many.


@pytest.fixture(scope="module")
def brisk_database(loaded_network):
    return loaded_network.new_database()


@pytest.fixture(scope="module")
def brisk(loaded_network, brisk_database, tmp_path_factory):
    engine = loaded_network.engine(
        *(brisk_database, tmp_path_factory.mktemp("brisk")),
        *("--failed-codes-of-store-max", "1", "--failed-codes-window-s", "2"),
    )
    try:
        yield engine.start()
    finally:
        engine.stop()


async def test_codes_are_taken_again_after_the_window_and_old_ones_forgotten(brisk, brisk_database):
    customers = iter(one for one in brisk.demo["customers"] if one["profile_complete"])
    async with clients_of(brisk) as clients:

        async def hold():
            customer_id = next(customers)["customer_id"]
            await clients.store.accumulate(customer_id, amount=5_400_000, currency="COP")
            paid = await clients.store.pay(customer_id, coins=10)
            assert paid.status == 201
            return customer_id, paid.json["payment_id"], CODE.search(brisk.outbox()[-1]["text"])[1]

        one, other = await hold(), await hold()
        for held in (one, other):
            await fail(clients.store, held, 1)
            full = await clients.store.confirm(*held)
            assert (full.status, full.code) == (429, "too_many_failed_codes")
            assert full.headers["Retry-After"] in ("1", "2")

            async def taken(held=held):
                reply = await clients.store.confirm(*held)
                assert reply.status in (200, 429)
                return reply.status == 200

            await until(taken)
        last = await hold()
        await fail(clients.store, last, 1)
        assert (await clients.store.confirm(*last)).status == 429
    async with connection_to(brisk_database) as connection:
        kept = await connection.fetchval("select count(*) from failed_code")
        typed = await connection.fetchval(
            "select count(*) from journal where kind = 4 and refusal = 11"
        )
    assert (kept, typed) == (1, 3)

"""Strangers who fail pause strangers: a till that is known goes on signing in (USR-8)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count

import aiohttp
import pytest
from harness import Api, connection_to

CASHIERS = "/v1/brands/1/cashiers"
PASSWORD = "una clave larga"
WRONG = "otra clave larga"
USER_MAX, ADDRESS_MAX, STORE_MAX = 5, 10, 24
users = (f"user.{number}" for number in count(1))
addresses = (f"127.0.0.{number}" for number in count(10))


@pytest.fixture(scope="module")
def engine_flags():
    """Let a store take fewer failures than three addresses, and an attempt come by a proxy."""
    return ("--sign-in-failures-of-store-max", str(STORE_MAX), "--trusted-proxies", "127.0.0.2")


@pytest.fixture(autouse=True)
async def fresh(database):
    """Let no test pause the store of the next one."""
    async with connection_to(database) as connection:
        await connection.execute("delete from sign_in_place")


@asynccontextmanager
async def client_from(engine, address):
    """Give a client without a key whose connections come from an address of this machine."""
    connector = aiohttp.TCPConnector(limit=0, local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Api(session, engine.url, None)


@pytest.fixture
async def client(engine):
    """Give a client from an address of the test's own."""
    async with client_from(engine, next(addresses)) as client:
        yield client


async def make(api, **more):
    body = {"user": next(users), "password": PASSWORD, "name": "Ana Pérez", "store_id": 1} | more
    reply = await api.brand.request("POST", CASHIERS, body)
    assert reply.status == 201
    return reply.json


@pytest.fixture
async def cashier(api):
    return await make(api)


async def sign_in(client, user, password=PASSWORD, device=None, store_id=1, **more):
    body = {"store_id": store_id, "user": user, "password": password}
    if device is not None:
        body["device"] = device
    return await client.request("POST", "/v1/sessions", body, **more)


async def device_of(client, cashier, **more):
    reply = await sign_in(client, cashier["user"], **more)
    assert reply.status == 201
    return reply.json["device"]


async def fail(client, user, times, **more):
    """Send wrong passwords, each of which is evaluated."""
    for _ in range(times):
        reply = await sign_in(client, user, WRONG, **more)
        assert (reply.status, reply.code) == (401, "sign_in_failed")


@pytest.fixture
def exhaust(database):
    """Fail until there is a pause, and let it last for an hour."""

    async def exhaust(client, user, **more):
        await fail(client, user, USER_MAX, **more)
        async with connection_to(database) as connection:
            await connection.execute(
                "update sign_in_try set paused_until = now() + interval '1 hour'"
                " where paused_until is not null"
            )

    return exhaust


def paused(reply):
    assert (reply.status, reply.code) == (429, "too_many_attempts")
    return int(reply.headers["Retry-After"])


async def test_a_strangers_failures_do_not_pause_a_known_device(
    engine, api, client, cashier, exhaust
):
    device = await device_of(client, cashier)
    async with client_from(engine, next(addresses)) as stranger:
        await exhaust(stranger, cashier["user"])
        paused(await sign_in(stranger, cashier["user"]))
        paused(await sign_in(client, cashier["user"]))
        reply = await sign_in(client, cashier["user"], device=device)
        assert (reply.status, reply.json["device"]) == (201, device)
        paused(await sign_in(stranger, cashier["user"]))


async def test_a_known_device_has_its_own_count(client, cashier, exhaust):
    device = await device_of(client, cashier)
    await exhaust(client, cashier["user"], device=device)
    paused(await sign_in(client, cashier["user"], device=device))
    assert (await sign_in(client, cashier["user"])).status == 201, "strangers have theirs"


async def test_a_device_signs_nobody_in_by_itself(client, cashier):
    device = await device_of(client, cashier)
    for password in ("", WRONG, device):
        reply = await sign_in(client, cashier["user"], password, device)
        assert (reply.status, reply.code) == (401, "sign_in_failed")
    reply = await client.request(
        "GET", "/v1/sessions/current", headers={"Authorization": f"Bearer {device}"}
    )
    assert (reply.status, reply.code) == (401, "unauthorized")


async def test_a_device_is_known_for_who_signed_in_there_at_that_store(
    api, demo, client, cashier, exhaust
):
    other = next(s for s in demo["stores"] if s["brand_id"] == 1 and s["store_id"] != 1)
    colleague = await make(api, store_id=None)
    device = await device_of(client, cashier)
    await exhaust(client, colleague["user"], device=device)
    paused(await sign_in(client, colleague["user"], device=device))
    visitor = await make(api, store_id=None)
    assert await device_of(client, visitor, device=device) == device, "one till, several cashiers"
    await exhaust(client, visitor["user"], store_id=other["store_id"], device=device)
    paused(await sign_in(client, visitor["user"], store_id=other["store_id"], device=device))
    assert await device_of(client, visitor, device=device) == device
    assert await device_of(client, cashier, device=device) == device


@pytest.mark.parametrize("change", ["cut", "longer", "other", "nothing", "letters", "bits"])
async def test_what_is_no_token_of_ours_is_a_strangers(client, cashier, change, exhaust):
    device = await device_of(client, cashier)
    sent = {
        "cut": device[:-1],
        "longer": device + "AAAA",
        "other": device.removeprefix("ld_"),
        "nothing": " ",
        "letters": "ld_ñandú",
        "bits": device[:10] + ("A" if device[10] != "A" else "B") + device[11:],
    }[change]
    await exhaust(client, cashier["user"], device=sent)
    paused(await sign_in(client, cashier["user"], device=sent))


async def test_a_new_password_by_the_administrator_forgets_the_devices(
    api, client, cashier, exhaust
):
    device = await device_of(client, cashier)
    path = f"{CASHIERS}/{cashier['cashier_id']}/password"
    assert (await api.brand.request("POST", path, {"password": "clave nueva"})).status == 200
    await exhaust(client, cashier["user"], device=device)
    paused(await sign_in(client, cashier["user"], "clave nueva", device=device))
    paused(await sign_in(client, cashier["user"], "clave nueva"))


async def test_of_many_devices_the_oldest_are_forgotten(database, client, cashier, exhaust):
    device = await device_of(client, cashier)
    of_cashier = "from sign_in_device where cashier_id = $1"
    async with connection_to(database) as connection:
        await connection.execute(
            "insert into sign_in_device (device_id, cashier_id, store_id, used_at)"
            " select decode(lpad(n::text, 32, '0'), 'hex'), $1, 1, now() + n * interval '1 s'"
            " from generate_series(1, 60) n",
            cashier["cashier_id"],
        )
        await device_of(client, cashier)
        count_of = f"select count(*) {of_cashier}"
        assert await connection.fetchval(count_of, cashier["cashier_id"]) == 50
        oldest = await connection.fetchval(
            f"select min(used_at) > now() {of_cashier}", cashier["cashier_id"]
        )
    assert oldest
    await exhaust(client, cashier["user"], device=device)
    paused(await sign_in(client, cashier["user"], device=device))


async def test_one_password_tried_on_many_users_pauses_the_address(engine, api, client):
    cashiers = [await make(api) for _ in range(3)]
    known = await device_of(client, cashiers[0])
    for number in range(ADDRESS_MAX):
        user = cashiers[number]["user"] if number < 3 else next(users)
        await fail(client, user, 1)
    for user in (cashiers[1]["user"], next(users)):
        assert 100 < paused(await sign_in(client, user)) <= 180
    assert (await sign_in(client, cashiers[0]["user"], device=known)).status == 201
    async with client_from(engine, next(addresses)) as elsewhere:
        assert (await sign_in(elsewhere, cashiers[1]["user"])).status == 201


async def test_a_good_sign_in_is_no_failure_of_its_address(client, cashier):
    for _ in range(ADDRESS_MAX + 2):
        assert (await sign_in(client, cashier["user"])).status == 201
    for _ in range(ADDRESS_MAX):
        await fail(client, next(users), 1)
    paused(await sign_in(client, cashier["user"]))


async def test_a_user_who_mistypes_several_times_counts_once_for_the_address(client, cashier):
    for _ in range(ADDRESS_MAX - 1):
        await fail(client, next(users), 3)
    assert (await sign_in(client, cashier["user"])).status == 201
    await fail(client, next(users), 1)
    paused(await sign_in(client, cashier["user"]))


async def test_an_address_gets_one_more_try_after_a_while(engine, database, client):
    for _ in range(ADDRESS_MAX):
        await fail(client, next(users), 1)
    # Another engine has not seen the pause, and has none in memory: as this one, when it is over.
    async with connection_to(database) as connection:
        await connection.execute("update sign_in_place set open_at = open_at - interval '181 s'")
    async with client_from(engine, next(addresses)) as elsewhere:
        await fail(elsewhere, next(users), 1)
    await fail(client, next(users), 1)
    paused(await sign_in(client, next(users)))


async def test_failures_from_many_addresses_pause_the_store_for_strangers(
    engine, api, demo, client, cashier
):
    device = await device_of(client, cashier)
    roaming = await make(api, store_id=None)
    other = next(s for s in demo["stores"] if s["brand_id"] == 1 and s["store_id"] != 1)
    left = STORE_MAX
    while left:
        async with client_from(engine, next(addresses)) as stranger:
            times = min(left, ADDRESS_MAX)
            for _ in range(times):
                await fail(stranger, next(users), 1)
            left -= times
    async with client_from(engine, next(addresses)) as stranger:
        assert 0 < paused(await sign_in(stranger, roaming["user"])) <= 1800 / STORE_MAX
        assert (await sign_in(client, cashier["user"], device=device)).status == 201
        reply = await sign_in(stranger, roaming["user"], store_id=other["store_id"])
        assert reply.status == 201


async def test_behind_a_trusted_proxy_the_address_is_the_clients(engine, cashier):
    async with client_from(engine, "127.0.0.2") as proxy:
        thief, honest = ({"X-Forwarded-For": f"203.0.113.{n}"} for n in (7, 8))
        for _ in range(ADDRESS_MAX):
            await fail(proxy, next(users), 1, headers=thief)
        paused(await sign_in(proxy, cashier["user"], headers=thief))
        forged = {"X-Forwarded-For": "203.0.113.9, 203.0.113.7"}
        paused(await sign_in(proxy, cashier["user"], headers=forged))
        assert (await sign_in(proxy, cashier["user"], headers=honest)).status == 201


async def test_no_client_chooses_the_address_that_it_is_counted_by(client):
    for number in range(ADDRESS_MAX):
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        await fail(client, next(users), 1, headers=headers)
    paused(await sign_in(client, next(users), headers={"X-Forwarded-For": "203.0.113.99"}))


async def test_neither_devices_nor_addresses_are_readable_in_the_tables(database, client, cashier):
    device = await device_of(client, cashier)
    await fail(client, next(users), 1)
    async with connection_to(database) as connection:
        dump = await connection.fetchval(
            "select (select string_agg(d::text, '') from sign_in_device d)"
            " || (select string_agg(p::text, '') from sign_in_place p)"
        )
    assert device not in dump
    assert "127.0.0" not in dump

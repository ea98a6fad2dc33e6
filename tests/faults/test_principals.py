"""Keys and sessions on two workers: who is let out at one is refused at the other soon after."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from itertools import count

import pytest
from harness import clients_of, connection_to

CASHIERS = "/v1/brands/1/cashiers"
CURRENT = "/v1/sessions/current"
PASSWORD = "una clave larga"
users = (f"user.{number}" for number in count(1))


@pytest.fixture(scope="module")
def engines(loaded_network, database, tmp_path_factory):
    """Give two running engines; at the second nobody may wait to sign in."""
    engines = [
        loaded_network.engine(database, tmp_path_factory.mktemp("worker"), *flags)
        for flags in (("--sign-ins-waiting-max", "500"), ("--sign-ins-waiting-max", "0"))
    ]
    try:
        yield [engine.start() for engine in engines]
    finally:
        for engine in engines:
            engine.stop()


@pytest.fixture
async def two(engines):
    """Give clients of two engines."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(clients_of(engine)) for engine in engines]


@pytest.fixture
async def cashier(two):
    """Return a cashier of the test's own."""
    body = {"user": next(users), "password": PASSWORD, "name": "Ana Pérez", "store_id": 1}
    return (await two[0].brand.request("POST", CASHIERS, body)).json


async def sign_in(clients, user, password=PASSWORD):
    body = {"store_id": 1, "user": user, "password": password}
    return await clients.anonymous.request("POST", "/v1/sessions", body)


async def refused_soon(client, path):
    """Return once a key or a token is refused, which takes at most five seconds."""
    async with asyncio.timeout(5):
        while (reply := await client.request("GET", path)).status == 200:
            await asyncio.sleep(0.02)
    assert (reply.status, reply.code) == (401, "unauthorized")


@pytest.mark.parametrize("change", ["signed out", "disabled", "reset"])
async def test_a_session_ended_on_one_is_refused_on_the_other(two, cashier, change):
    one, other = two
    token = (await sign_in(one, cashier["user"])).json["token"]
    here, there = one.with_key(token), other.with_key(token)
    assert (await there.request("GET", CURRENT)).json == (await here.request("GET", CURRENT)).json
    path = f"{CASHIERS}/{cashier['cashier_id']}"
    reply = await {
        "signed out": lambda: here.request("DELETE", CURRENT),
        "disabled": lambda: one.brand.request("DELETE", path),
        "reset": lambda: one.brand.request("POST", path + "/password", {"password": "una nueva"}),
    }[change]()
    assert reply.status == 200
    await refused_soon(there, CURRENT)
    await refused_soon(here, CURRENT)


async def test_a_key_made_and_revoked_on_one_is_so_on_the_other(two):
    one, other = two
    body = {"role": "store", "store_id": 1, "name": "a test"}
    made = (await one.brand.request("POST", "/v1/keys", body)).json
    there = other.with_key(made["key"])
    async with asyncio.timeout(5):
        while (await there.request("GET", "/v1/brands")).status == 401:
            await asyncio.sleep(0.02)
    assert (await one.brand.request("DELETE", f"/v1/keys/{made['key_id']}")).status == 200
    await refused_soon(there, "/v1/brands")


async def test_guesses_on_both_at_once_are_counted_together(two, cashier, database):
    replies = await asyncio.gather(
        *(sign_in(two[n % 2], cashier["user"], f"clave número {n}") for n in range(200))
    )
    codes = Counter(reply.code for reply in replies)
    assert set(codes) <= {"sign_in_failed", "too_many_attempts", "too_many_sign_ins"}
    # While two hundred are sent, a pause of a second or two may end: then one more is let in.
    assert 5 <= codes["sign_in_failed"] <= 9
    async with connection_to(database) as connection:
        counted = await connection.fetchval("select max(failures) from sign_in_try")
    assert counted == codes["sign_in_failed"], "each was counted before it was looked at"


async def test_where_nobody_may_wait_the_others_are_told_so_and_not_counted(two, cashier):
    replies = await asyncio.gather(*(sign_in(two[1], cashier["user"]) for _ in range(30)))
    statuses = Counter(reply.status for reply in replies)
    assert set(statuses) == {201, 429}
    refused = [reply for reply in replies if reply.status == 429]
    assert {reply.code for reply in refused} == {"too_many_sign_ins"}
    assert {reply.headers["Retry-After"] for reply in refused} == {"1"}
    assert (await sign_in(two[0], cashier["user"])).status == 201

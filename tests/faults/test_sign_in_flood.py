"""A flood of sign-ins by strangers: known tills notice nothing, honest strangers get in (USR-8).

Three clients at three addresses send 32 sign-ins of unknown users a second in all, many more than
can be hashed. Once the limits of failures are so high that they play no part, so that the queues
alone decide; once they are the usual ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from statistics import median
from time import perf_counter

import aiohttp
import pytest
from harness import Api, clients_of

PASSWORD = "una clave larga"
FLOOD_A_SECOND = 32
FLOODERS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
UNLIMITED = tuple(f"--sign-in-failures-of-{place}-max=99999" for place in ("address", "store"))
TIMES = 6
users = (f"user.{number}" for number in count(1))
addresses = (f"127.0.0.{number}" for number in count(20))


@pytest.fixture(scope="module", params=[UNLIMITED, ()], ids=["queues alone", "limits too"])
def engine_flags(request):
    return request.param


@asynccontextmanager
async def client_from(engine, address):
    """Give a client without a key whose connections come from an address of this machine."""
    connector = aiohttp.TCPConnector(limit=0, local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Api(session, engine.url, None)


async def sign_in(client, user, device=None):
    body = {"store_id": 1, "user": user, "password": PASSWORD, "device": device}
    started = perf_counter()
    reply = await client.request("POST", "/v1/sessions", body)
    return reply, perf_counter() - started


@pytest.fixture
async def cashier(engine):
    """Return the user of a cashier of the test's own."""
    async with clients_of(engine) as api:
        body = {"user": next(users), "password": PASSWORD, "name": "Ana Pérez", "store_id": 1}
        reply = await api.brand.request("POST", "/v1/brands/1/cashiers", body)
        assert reply.status == 201
    return body["user"]


@asynccontextmanager
async def flood(engine):
    """Flood while it is open; give the codes of the answers, and whether each says Retry-After."""
    codes, hints, pending = Counter(), set(), set()

    async def one(client):
        reply, _ = await sign_in(client, next(users))
        codes[reply.code] += 1
        if reply.status == 429:
            hints.add(int(reply.headers["Retry-After"]) > 0)

    async def flooder(client):
        while True:
            task = asyncio.create_task(one(client))
            pending.add(task)
            task.add_done_callback(pending.discard)
            await asyncio.sleep(len(FLOODERS) / FLOOD_A_SECOND)

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client_from(engine, a)) for a in FLOODERS]
        flooders = [asyncio.create_task(flooder(client)) for client in clients]
        await asyncio.sleep(3)
        try:
            yield codes, hints
        finally:
            for task in flooders:
                task.cancel()
            await asyncio.gather(*flooders, return_exceptions=True)
            await asyncio.gather(*pending)


async def test_a_known_till_and_an_honest_stranger_sign_in_during_a_flood(engine, cashier):
    async with client_from(engine, next(addresses)) as till:
        first, _ = await sign_in(till, cashier)
        device = first.json["device"]
        usual = [(await sign_in(till, cashier, device))[1] for _ in range(TIMES)]
        known, honest = [], []
        async with flood(engine) as (codes, hints):
            for _ in range(TIMES):
                reply, seconds = await sign_in(till, cashier, device)
                assert reply.status == 201
                known.append(seconds)
                async with client_from(engine, next(addresses)) as newcomer:
                    reply, seconds = await sign_in(newcomer, cashier)
                assert reply.status == 201
                honest.append(seconds)
    assert codes["too_many_sign_ins"] + codes["too_many_attempts"] > TIMES
    assert hints == {True}
    # A turn under way is not interrupted, and it shares the cores with its neighbour.
    assert median(known) < 4 * median(usual) + 0.2
    assert median(honest) < 3 + 12 * median(usual)

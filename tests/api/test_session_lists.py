"""Sessions are listed and ended by who may, end when they are idle, and are not too many."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from harness import clients_of, connection_to

CASHIERS = "/v1/brands/1/cashiers"
SESSIONS = "/v1/sessions"
CURRENT = "/v1/sessions/current"
PASSWORD = "una clave larga"
SESSIONS_MAX = 3
users = (f"user.{number}" for number in count(1))


@pytest.fixture(scope="module")
def engine_flags():
    return ("--session-recheck-ms", "300", "--sessions-of-cashier-max", str(SESSIONS_MAX))


async def make(client, path=CASHIERS):
    body = {"user": next(users), "password": PASSWORD, "name": "Ana Pérez"}
    reply = await client.request("POST", path, body)
    assert reply.status == 201
    return reply.json


@pytest.fixture
async def cashier(api):
    return await make(api.brand)


@pytest.fixture
async def other_brand(api):
    """Return a client with a key of brand 2."""
    body = {"role": "brand", "brand_id": 2, "name": "another brand"}
    return api.with_key((await api.network.request("POST", "/v1/keys", body)).json["key"])


async def sign_in(api, cashier, store_id=1):
    body = {"store_id": store_id, "user": cashier["user"], "password": PASSWORD}
    reply = await api.anonymous.request("POST", SESSIONS, body)
    assert reply.status == 201
    return api.with_key(reply.json["token"])


def id_of(client):
    return client.key.split("_")[1]


async def ids(client):
    reply = await client.request("GET", SESSIONS)
    assert reply.status == 200
    return {one["session_id"] for one in reply.json["sessions"]}


async def goes_on(client):
    return (await client.request("GET", CURRENT)).status == 200


async def refused_soon(client):
    async with asyncio.timeout(5):
        while await goes_on(client):
            await asyncio.sleep(0.02)


async def test_a_cashier_sees_their_own_sessions_and_which_one_asks(api, cashier):
    one, two = await sign_in(api, cashier), await sign_in(api, cashier)
    await sign_in(api, await make(api.brand))
    listed = (await one.request("GET", SESSIONS)).json
    assert listed["next_cursor"] is None
    assert {s["session_id"]: s["current"] for s in listed["sessions"]} == {
        id_of(one): True,
        id_of(two): False,
    }
    assert {s["user"] for s in listed["sessions"]} == {cashier["user"]}


async def test_an_administrator_sees_those_of_the_brand_and_the_network_all(
    api, other_brand, cashier
):
    theirs = await make(other_brand, "/v1/brands/2/cashiers")
    mine, foreign = await sign_in(api, cashier), await sign_in(api, theirs, 2)
    assert id_of(mine) in await ids(api.brand)
    assert id_of(foreign) not in await ids(api.brand)
    assert await ids(other_brand) == {id_of(foreign)}
    assert {id_of(mine), id_of(foreign)} <= await ids(api.network)
    shown = (await other_brand.request("GET", SESSIONS)).json["sessions"][0]
    facts = {name: shown[name] for name in ("cashier_id", "brand_id", "store_id", "user", "name")}
    assert facts == {
        "cashier_id": theirs["cashier_id"],
        "brand_id": 2,
        "store_id": 2,
        "user": theirs["user"],
        "name": "Ana Pérez",
    }
    assert shown["current"] is False
    assert shown["created_at"] < shown["expires_at"]


async def test_the_list_has_pages(api, cashier):
    for _ in range(2):
        await sign_in(api, cashier)
    whole = (await api.brand.request("GET", SESSIONS)).json["sessions"]
    seen, cursor = [], None
    while cursor is not None or not seen:
        params = {"limit": 1} | ({} if cursor is None else {"cursor": cursor})
        page = (await api.brand.request("GET", SESSIONS, params=params)).json
        assert len(page["sessions"]) == 1
        seen += page["sessions"]
        cursor = page["next_cursor"]
    assert [s["session_id"] for s in seen] == [s["session_id"] for s in whole]
    for params in ({"cursor": "ñ"}, {"limit": "0"}):
        reply = await api.brand.request("GET", SESSIONS, params=params)
        assert (reply.status, reply.code) == (400, "invalid_request")


@pytest.mark.parametrize("who", ["brand", "network", "cashier"])
async def test_a_session_is_ended_by_who_may(api, cashier, who):
    ended, other = await sign_in(api, cashier), await sign_in(api, cashier)
    assert await goes_on(ended)
    client = other if who == "cashier" else getattr(api, who)
    for _ in range(2):
        reply = await client.request("DELETE", f"{SESSIONS}/{id_of(ended)}")
        assert (reply.status, reply.json["session_id"]) == (200, id_of(ended))
    assert not await goes_on(ended), "at this worker at once"
    assert await goes_on(other)
    assert id_of(ended) not in await ids(api.brand)


async def test_a_session_of_others_is_out_of_reach(api, other_brand, cashier):
    client = await sign_in(api, cashier)
    colleague = await sign_in(api, await make(api.brand))
    for one in (other_brand, colleague):
        reply = await one.request("DELETE", f"{SESSIONS}/{id_of(client)}")
        assert (reply.status, reply.code) == (404, "session_not_found")
    for session_id in ("0", "A-B", "%00", "x" * 200):
        reply = await api.brand.request("DELETE", f"{SESSIONS}/{session_id}")
        assert (reply.status, reply.code) == (404, "session_not_found")
    assert await goes_on(client)


async def test_all_sessions_of_a_cashier_are_ended_at_once(api, cashier):
    clients = [await sign_in(api, cashier) for _ in range(2)]
    colleague = await sign_in(api, await make(api.brand))
    path = f"{CASHIERS}/{cashier['cashier_id']}/sessions"
    for number in (2, 0):
        reply = await api.brand.request("DELETE", path)
        assert (reply.status, reply.json) == (200, {"ended": number})
    for client in clients:
        await refused_soon(client)
    assert await goes_on(colleague)
    assert await goes_on(await sign_in(api, cashier)), "the password is the same"


async def test_who_ended_sessions_is_recorded(api, database, cashier):
    client = await sign_in(api, cashier)
    await api.brand.request("DELETE", f"{SESSIONS}/{id_of(client)}")
    await api.brand.request("DELETE", f"{CASHIERS}/{cashier['cashier_id']}/sessions")
    async with connection_to(database) as connection:
        rows = await connection.fetch(
            "select action, subject from change order by change_id desc limit 2"
        )
    assert [tuple(row) for row in rows] == [
        ("sessions ended", str(cashier["cashier_id"])),
        ("session ended", id_of(client)),
    ]


async def test_one_session_too_many_ends_the_oldest(api, cashier):
    clients = [await sign_in(api, cashier) for _ in range(SESSIONS_MAX + 1)]
    await refused_soon(clients[0])
    assert await ids(clients[-1]) == {id_of(client) for client in clients[1:]}
    for client in clients[1:]:
        assert await goes_on(client)


async def test_of_many_sign_ins_at_once_no_more_sessions_are_left(api, cashier):
    clients = await asyncio.gather(*(sign_in(api, cashier) for _ in range(3 * SESSIONS_MAX)))
    await asyncio.sleep(0.4)  # longer than the engine remembers a session without asking
    alive = [client for client in clients if await goes_on(client)]
    assert len(alive) == SESSIONS_MAX


async def test_a_session_without_a_request_for_hours_ends(api, database, cashier):
    idle, used = await sign_in(api, cashier), await sign_in(api, cashier)
    update = "update session set used_at = now() - interval '{}' where session_id = $1"
    async with connection_to(database) as connection:
        await connection.execute(update.format("4 hours 6 minutes"), id_of(idle))
        await connection.execute(update.format("3 hours 59 minutes"), id_of(used))
        await refused_soon(idle)
        assert await goes_on(used)
        assert await ids(api.brand) >= {id_of(used)}
        assert id_of(idle) not in await ids(api.brand)
        fresh = await connection.fetchval(
            "select used_at > now() - interval '1 minute' from session where session_id = $1",
            id_of(used),
        )
    assert fresh, "it was used"


@pytest.fixture(scope="module")
def short(loaded_network, tmp_path_factory):
    """Give an engine whose sessions are idle soon, on a database of its own."""
    dsn = loaded_network.new_database()
    flags = ("--session-idle-s", "3", "--session-recheck-ms", "200")
    engine = loaded_network.engine(dsn, tmp_path_factory.mktemp("short"), *flags)
    try:
        yield engine.start()
    finally:
        engine.stop()


async def test_requests_keep_a_session_and_an_open_stream_does_not(short):
    async with clients_of(short) as api:
        cashier = await make(api.brand)
        used, watching = await sign_in(api, cashier), await sign_in(api, cashier)
        async with watching.follow(1) as stream:
            ended = asyncio.create_task(stream.next(20))
            for _ in range(12):
                await asyncio.sleep(0.5)
                assert await goes_on(used)
            assert await ended is None
        assert not await goes_on(watching)

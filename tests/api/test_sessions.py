"""Cashiers sign in at their store, work there as its key does, and sign out (USR-1)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from itertools import count, groupby
from statistics import median
from uuid import uuid4

import pytest
from argon2 import PasswordHasher
from harness import connection_to

SALE = {"amount": 5_400_000, "currency": "COP"}
PASSWORD = "una clave larga"
FAILURES_MAX = 5
CASHIERS = "/v1/brands/1/cashiers"
CURRENT = "/v1/sessions/current"
users = (f"user.{number}" for number in count(1))


@pytest.fixture(scope="module")
def engine_flags():
    """Let everybody wait for their turn, and the one address of all tests fail often."""
    places = (
        "--sign-in-failures-of-address-max",
        "9999",
        "--sign-in-failures-of-store-max",
        "9999",
    )
    return ("--sign-ins-waiting-max", "500", "--session-recheck-ms", "500", *places)


@pytest.fixture
async def cashier(api):
    """Return a cashier of the test's own, at store 1."""
    body = {"user": next(users), "password": PASSWORD, "name": "Ana Pérez", "store_id": 1}
    reply = await api.brand.request("POST", CASHIERS, body)
    assert reply.status == 201
    return reply.json


def path_of(cashier):
    return f"{CASHIERS}/{cashier['cashier_id']}"


async def sign_in(client, user, password=PASSWORD, store_id=1):
    body = {"store_id": store_id, "user": user, "password": password}
    return await client.request("POST", "/v1/sessions", body)


async def signed_in(api, cashier, store_id=1):
    reply = await sign_in(api.anonymous, cashier["user"], store_id=store_id)
    assert reply.status == 201
    return api.with_key(reply.json["token"])


async def refused_soon(client):
    """Return once a session is refused, which takes at most five seconds."""
    async with asyncio.timeout(5):
        while (reply := await client.request("GET", CURRENT)).status == 200:
            await asyncio.sleep(0.02)
    assert (reply.status, reply.code) == (401, "unauthorized")


async def set_pause(database, interval):
    """Let every pause there is end after `interval`."""
    async with connection_to(database) as connection:
        await connection.execute(
            f"update sign_in_try set paused_until = now() + interval '{interval}'"
        )


async def pause_of_last_try(database):
    """Return how many seconds the newest pause was meant to last."""
    async with connection_to(database) as connection:
        return await connection.fetchval(
            "select extract(epoch from paused_until - tried_at)::integer from sign_in_try"
            " order by tried_at desc limit 1"
        )


async def test_a_user_and_a_password_give_a_token_that_says_who(api, demo, cashier):
    reply = await sign_in(api.anonymous, cashier["user"].upper())
    token, device = reply.json.pop("token"), reply.json.pop("device")
    assert (reply.status, token[:3], device[:3]) == (201, "ls_", "ld_")
    expires_at = datetime.fromisoformat(reply.json["expires_at"])
    lifetime = expires_at - datetime.now(expires_at.tzinfo)
    assert timedelta(hours=11.9) < lifetime <= timedelta(hours=12)
    store = next(one for one in demo["stores"] if one["store_id"] == 1)
    assert reply.json == {
        "expires_at": reply.json["expires_at"],
        "cashier_id": cashier["cashier_id"],
        "name": "Ana Pérez",
        "user": cashier["user"],
        "store_id": 1,
        "brand_id": 1,
        "store_name": store["name"],
        "currency": "COP",
    }
    current = await api.with_key(token).request("GET", CURRENT)
    assert (current.status, current.json) == (200, reply.json)


async def test_the_demo_network_has_a_cashier_who_can_sign_in(api, demo):
    who = demo["cashier"]
    assert who["store_id"] == demo["keys"]["store"]["store_id"]
    reply = await sign_in(api.anonymous, who["user"], who["password"], who["store_id"])
    assert reply.status == 201


async def test_only_a_hash_of_the_token_is_stored(api, database, cashier):
    token = (await sign_in(api.anonymous, cashier["user"])).json["token"]
    _, session_id, secret = token.split("_")
    async with connection_to(database) as connection:
        row = await connection.fetchrow("select * from session where session_id = $1", session_id)
        dump = await connection.fetchval("select string_agg(s::text, '') from session s")
    assert row["cashier_id"] == cashier["cashier_id"]
    assert secret not in dump


async def test_a_cashier_does_what_the_stores_key_does(api, cashier, customer_id):
    client = await signed_in(api, cashier)
    key = str(uuid4())
    sale = await client.accumulate(customer_id, key, **SALE)
    assert (sale.status, sale.json["store_id"], sale.json["brand_id"]) == (201, 1, 1)
    retried = await api.store.accumulate(customer_id, key, **SALE)
    assert (retried.json, retried.replayed) == (sale.json, True), "one name space of keys"
    assert (await client.points(customer_id, 1)) == 54
    elsewhere = await client.accumulate(customer_id, **SALE, store_id=2)
    assert (elsewhere.status, elsewhere.code) == (404, "store_not_found")
    shown = await client.customer(customer_id)
    assert shown.json["document"]["number"].startswith("*")


async def test_a_cashier_without_a_store_works_at_any_of_the_brand(api, demo):
    body = {"user": next(users), "password": PASSWORD, "name": "Supernumeraria"}
    cashier = (await api.brand.request("POST", CASHIERS, body)).json
    other = next(s for s in demo["stores"] if s["brand_id"] == 1 and s["store_id"] != 1)
    for store_id in (1, other["store_id"]):
        client = await signed_in(api, cashier, store_id)
        assert (await client.request("GET", CURRENT)).json["store_id"] == store_id
    reply = await sign_in(api.anonymous, cashier["user"], store_id=2)
    assert (reply.status, reply.code) == (401, "sign_in_failed")


async def test_whatever_is_wrong_is_told_in_the_same_words(api, demo, cashier):
    other = next(s for s in demo["stores"] if s["brand_id"] == 1 and s["store_id"] != 1)
    disabled = {"user": next(users), "password": PASSWORD, "name": "Se fue"}
    made = await api.brand.request("POST", CASHIERS, disabled)
    await api.brand.request("DELETE", path_of(made.json))
    replies = [
        await sign_in(api.anonymous, next(users)),
        await sign_in(api.anonymous, cashier["user"], "otra clave larga"),
        await sign_in(api.anonymous, cashier["user"], store_id=other["store_id"]),
        await sign_in(api.anonymous, cashier["user"], store_id=2),
        await sign_in(api.anonymous, cashier["user"], store_id=999_999),
        await sign_in(api.anonymous, disabled["user"]),
    ]
    for reply in replies:
        assert (reply.status, reply.code) == (401, "sign_in_failed")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        reply.json.pop("request_id")
        assert reply.json == replies[0].json


@pytest.mark.parametrize("typed", ["", "corta", " ", "p" * 128])
async def test_a_password_that_nobody_could_have_is_a_wrong_one(api, cashier, typed):
    reply = await sign_in(api.anonymous, cashier["user"], typed)
    assert (reply.status, reply.code) == (401, "sign_in_failed")


async def test_a_user_that_nobody_could_have_is_an_unknown_one(api, cashier):
    for user in ("x", "ñandú", "un usuario", "<b>"):
        reply = await sign_in(api.anonymous, user)
        assert (reply.status, reply.code) == (401, "sign_in_failed")


async def test_spaces_around_the_user_mean_nothing(api, database, cashier):
    user = cashier["user"]
    assert (await sign_in(api.anonymous, f"  {user} ")).status == 201
    for typed in (user, f" {user}", f"{user} "):
        await sign_in(api.anonymous, typed, "otra clave larga")
    async with connection_to(database) as connection:
        failures = await connection.fetch("select failures from sign_in_try where failures = 3")
    assert len(failures) == 1, "they are counted together"


async def test_a_body_that_is_none_is_told_so(api):
    for body in (
        {},
        {"store_id": 1, "user": "x\x00y", "password": PASSWORD},
        {"store_id": 1, "user": "x", "password": "p" * 129},
        {"store_id": 1, "user": " \t", "password": PASSWORD},
        {"store_id": True},
    ):
        reply = await api.anonymous.request("POST", "/v1/sessions", body)
        assert (reply.status, reply.code) == (400, "invalid_request")
    declared = {"Content-Type": "application/json"}
    reply = await api.anonymous.request("POST", "/v1/sessions", b"{", headers=declared)
    assert (reply.status, reply.code) == (400, "malformed_json")


@pytest.mark.parametrize(
    "declared",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
async def test_what_any_web_page_can_make_a_browser_send_signs_nobody_in(
    api, database, cashier, declared
):
    body = {"store_id": 1, "user": cashier["user"], "password": "otra clave larga"}
    headers = {"Content-Type": declared, "Accept-Language": "es"}
    async with connection_to(database) as connection:
        before = await connection.fetchval("select sum(failures) from sign_in_try")
        reply = await api.anonymous.request("POST", "/v1/sessions", body, headers=headers)
        assert (reply.status, reply.code) == (415, "unsupported_media_type")
        assert "application/json" in reply.json["detail"]
        assert await connection.fetchval("select sum(failures) from sign_in_try") == before


@pytest.mark.parametrize("declared", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_declared_in_any_spelling(api, cashier, declared):
    body = {"store_id": 1, "user": cashier["user"], "password": PASSWORD}
    headers = {"Content-Type": declared}
    reply = await api.anonymous.request("POST", "/v1/sessions", body, headers=headers)
    assert reply.status == 201


@pytest.mark.parametrize("exists", [True, False])
async def test_after_five_wrong_tries_each_further_one_waits_twice_as_long(
    api, database, cashier, exists
):
    user = cashier["user"] if exists else next(users)
    for _ in range(FAILURES_MAX):
        reply = await sign_in(api.anonymous, user, "otra clave larga")
        assert (reply.status, reply.code) == (401, "sign_in_failed")
    pauses = []
    for _ in range(4):
        pauses.append(await pause_of_last_try(database))
        await set_pause(database, "1 hour")
        reply = await sign_in(api.anonymous, user)
        assert (reply.status, reply.code) == (429, "too_many_attempts")
        assert 3500 < int(reply.headers["Retry-After"]) <= 3600
        await set_pause(database, "0 s")
        reply = await sign_in(api.anonymous, user, "otra clave larga")
        assert (reply.status, reply.code) == (401, "sign_in_failed")
    assert pauses == [1, 2, 4, 8], "the same for users who do not exist"


async def test_a_good_sign_in_forgives(api, database, cashier):
    for _ in range(FAILURES_MAX):
        await sign_in(api.anonymous, cashier["user"], "otra clave larga")
    await set_pause(database, "0 s")
    await signed_in(api, cashier)
    for _ in range(FAILURES_MAX - 1):
        reply = await sign_in(api.anonymous, cashier["user"], "otra clave larga")
        assert reply.status == 401
    await signed_in(api, cashier)


async def test_the_pause_has_a_longest(api, database, cashier):
    await sign_in(api.anonymous, cashier["user"], "otra clave larga")
    async with connection_to(database) as connection:
        await connection.execute("update sign_in_try set failures = 2000000")
    await sign_in(api.anonymous, cashier["user"], "otra clave larga")
    assert await pause_of_last_try(database) == 900


async def test_of_two_hundred_guesses_at_once_five_are_evaluated(api, cashier):
    replies = await asyncio.gather(
        *(sign_in(api.anonymous, cashier["user"], f"clave número {n}") for n in range(200))
    )
    codes = Counter(reply.code for reply in replies)
    assert set(codes) == {"sign_in_failed", "too_many_attempts"}
    # While two hundred are sent, a pause of a second or two may end: then one more is let in.
    assert FAILURES_MAX <= codes["sign_in_failed"] <= FAILURES_MAX + 4


async def test_during_a_pause_the_right_password_is_answered_like_a_wrong_one(
    api, database, cashier
):
    for _ in range(FAILURES_MAX):
        await sign_in(api.anonymous, cashier["user"], "otra clave larga")
    await set_pause(database, "1 hour")
    right = await sign_in(api.anonymous, cashier["user"])
    wrong = await sign_in(api.anonymous, cashier["user"], "otra clave larga")
    assert (right.code, wrong.code) == ("too_many_attempts", "too_many_attempts")
    new = {"password": "clave nueva y larga"}
    await api.brand.request("POST", path_of(cashier) + "/password", new)
    reply = await sign_in(api.anonymous, cashier["user"], new["password"])
    assert reply.status == 201, "a reset ends the pause"


async def test_a_day_old_try_is_forgotten(api, database, cashier):
    async with connection_to(database) as connection:
        await sign_in(api.anonymous, next(users), "otra clave larga")
        await connection.execute("update sign_in_try set tried_at = now() - interval '25 hours'")
        await signed_in(api, cashier)
        assert await connection.fetchval("select count(*) from sign_in_try") == 0


async def test_other_requests_are_answered_while_passwords_are_hashed(api):
    order = []

    async def note(name, request):
        await request
        order.append(name)

    signing_in = asyncio.gather(
        *(note("sign-in", sign_in(api.anonymous, next(users))) for _ in range(6))
    )
    while not signing_in.done():
        await note("other", api.store.request("GET", "/v1/customers/no-uuid"))
    between = [len(list(run)) for name, run in groupby(order) if name == "other"]
    # A loop that hashed by itself would answer one or two each time it turns.
    assert median(between) > 20


async def test_who_signs_out_is_refused_at_once(api, cashier):
    client = await signed_in(api, cashier)
    other = await signed_in(api, cashier)
    assert (await client.request("GET", CURRENT)).status == 200
    ended = await client.request("DELETE", CURRENT)
    assert (ended.status, ended.json["cashier_id"]) == (200, cashier["cashier_id"])
    for method in ("GET", "DELETE"):
        reply = await client.request(method, CURRENT)
        assert (reply.status, reply.code) == (401, "unauthorized")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert (await other.request("GET", CURRENT)).status == 200, "the other session goes on"


@pytest.mark.parametrize("change", ["disabled", "deleted", "reset", "moved"])
async def test_who_may_not_work_any_more_is_refused_soon(api, demo, cashier, change):
    client = await signed_in(api, cashier)
    assert (await client.request("GET", CURRENT)).status == 200
    other = next(s for s in demo["stores"] if s["brand_id"] == 1 and s["store_id"] != 1)
    path = path_of(cashier)
    reply = await {
        "disabled": lambda: api.brand.request("PATCH", path, {"disabled": True}),
        "deleted": lambda: api.brand.request("DELETE", path),
        "reset": lambda: api.brand.request("POST", path + "/password", {"password": "nueva clave"}),
        "moved": lambda: api.brand.request("PATCH", path, {"store_id": other["store_id"]}),
    }[change]()
    assert reply.status == 200
    await refused_soon(client)


async def test_what_changes_nothing_of_their_work_leaves_the_session(api, cashier):
    client = await signed_in(api, cashier)
    for body in ({"name": "Ana María"}, {"store_id": None}, {"store_id": 1}, {"disabled": False}):
        assert (await api.brand.request("PATCH", path_of(cashier), body)).status == 200
    await asyncio.sleep(0.6)  # longer than the engine remembers a session without asking
    reply = await client.request("GET", CURRENT)
    assert (reply.status, reply.json["name"]) == (200, "Ana María")


async def test_a_session_that_is_over_is_refused(api, database, cashier):
    client = await signed_in(api, cashier)
    assert (await client.request("GET", CURRENT)).status == 200
    async with connection_to(database) as connection:
        await connection.execute(
            "update session set expires_at = now() where cashier_id = $1", cashier["cashier_id"]
        )
    await refused_soon(client)


async def test_where_a_store_is_retired_nobody_works_any_more(api):
    store = await api.brand.request("POST", "/v1/stores", {"name": "Quiosco", "city": "Cali"})
    store_id = store.json["store_id"]
    body = {"user": next(users), "password": PASSWORD, "name": "Ana Pérez", "store_id": store_id}
    cashier = (await api.brand.request("POST", CASHIERS, body)).json
    client = await signed_in(api, cashier, store_id)
    assert (await client.request("GET", CURRENT)).status == 200
    await api.brand.request("DELETE", f"/v1/stores/{store_id}")
    await refused_soon(client)
    reply = await sign_in(api.anonymous, cashier["user"], store_id=store_id)
    assert (reply.status, reply.code) == (401, "sign_in_failed")


async def test_sign_ins_are_counted_among_the_requests(api, cashier):
    await signed_in(api, cashier)
    told = (await api.anonymous.request("GET", "/metrics")).json.decode()
    assert 'route="/v1/sessions",status="201"' in told


async def test_a_token_is_not_good_with_another_secret(api, cashier):
    client = await signed_in(api, cashier)
    begin, _, secret = client.key.rpartition("_")
    for key in (f"{begin}_{'a' * len(secret)}", begin, f"{client.key}a", f"lk_{client.key[3:]}"):
        reply = await api.with_key(key).request("GET", CURRENT)
        assert (reply.status, reply.code) == (401, "unauthorized")


async def test_a_cashier_does_not_administer(api, cashier):
    client = await signed_in(api, cashier)
    for method, path in (("GET", CASHIERS), ("POST", path_of(cashier) + "/password")):
        reply = await client.request(method, path, {"password": PASSWORD})
        assert (reply.status, reply.code) == (403, "forbidden")


async def test_a_password_by_older_parameters_is_kept_by_newer_ones(api, database, cashier):
    older = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    select = "select password_hash from cashier where cashier_id = $1"
    async with connection_to(database) as connection:
        await connection.execute(
            "update cashier set password_hash = $2 where cashier_id = $1",
            *(cashier["cashier_id"], older),
        )
        await signed_in(api, cashier)
        kept = await connection.fetchval(select, cashier["cashier_id"])
        assert "m=65536,t=3,p=4" in kept
        await signed_in(api, cashier)
        assert await connection.fetchval(select, cashier["cashier_id"]) == kept


async def test_sessions_of_long_ago_are_deleted_when_their_cashier_signs_in(api, database, cashier):
    count_of = "select count(*) from session where cashier_id = $1"
    for _ in range(3):
        await signed_in(api, cashier)
    async with connection_to(database) as connection:
        await connection.execute(
            "update session set expires_at = now() - interval '31 days' where cashier_id = $1",
            cashier["cashier_id"],
        )
        await signed_in(api, cashier)
        assert await connection.fetchval(count_of, cashier["cashier_id"]) == 1


async def test_neither_password_nor_token_is_in_the_logs(api, engine, cashier):
    client = await signed_in(api, cashier)
    await sign_in(api.anonymous, cashier["user"], "x" * 200)
    logged = f"{engine.logs}{engine.other_lines}"
    assert PASSWORD not in logged
    assert client.key.split("_")[2] not in logged
    assert cashier["user"] not in logged

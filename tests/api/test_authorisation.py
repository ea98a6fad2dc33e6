"""Who may call what. The table has a row for every route: a new route without one fails here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from harness import connection_to

from engine.api.routes import ROUTES
from engine.people.keys import Role, make_key
from engine.postgres.sql import queries

CATALOGUE = queries("catalogue")
CUSTOMER = "/v1/customers/{customer_id}"
PAYMENT = CUSTOMER + "/payments/{payment_id}"
SALE = {"amount": 100_000, "currency": "COP"}


@dataclass(frozen=True)
class Row:
    """What a route is called with, and what each role gets of it.

    `own` is about something of brand 1; `foreign` about the same thing asked for by another
    brand's store. A status of the roles not named is 403.
    """

    own: dict[str, int]
    body: Any = None
    foreign: tuple[int, str] | None = None


CASHIERS = {"network", "brand", "store"}
EVERYONE = CASHIERS | {"app"}


def all_of(roles: set[str], status: int) -> dict[str, int]:
    return dict.fromkeys(roles, status)


TABLE: dict[tuple[str, str], Row] = {
    ("POST", CUSTOMER + "/accumulations"): Row(
        all_of(CASHIERS, 201), SALE | {"store_id": 1}, (404, "store_not_found")
    ),
    ("POST", "/v1/customers/lookup"): Row(all_of(EVERYONE, 404), {"email": "none@example.com"}),
    ("POST", CUSTOMER + "/redemptions"): Row(
        all_of(CASHIERS, 201), {"reward_id": 1, "store_id": 1}, (404, "reward_not_found")
    ),
    ("POST", CUSTOMER + "/payments"): Row(
        all_of(CASHIERS, 409),
        {"coins": 10**9, "document_checked": True, "store_id": 1},
        (404, "store_not_found"),
    ),
    ("POST", PAYMENT + "/confirm"): Row(
        all_of(CASHIERS, 409), {"code": "00000"}, (404, "payment_not_found")
    ),
    ("POST", PAYMENT + "/resend"): Row(all_of(CASHIERS, 200), None, (404, "payment_not_found")),
    ("POST", PAYMENT + "/void"): Row(all_of(CASHIERS, 200), None, (404, "payment_not_found")),
    ("GET", PAYMENT): Row(all_of(CASHIERS, 200), None, (404, "payment_not_found")),
    ("GET", CUSTOMER + "/wallets"): Row(all_of(EVERYONE, 200)),
    ("GET", CUSTOMER + "/transactions"): Row(all_of(EVERYONE, 200)),
    ("GET", CUSTOMER + "/transactions/{transaction_id}"): Row(
        all_of(EVERYONE, 200), None, (404, "transaction_not_found")
    ),
    ("POST", "/v1/customers"): Row(all_of(EVERYONE, 400), {"email": "x"}),
    ("GET", CUSTOMER): Row(all_of(EVERYONE, 200)),
}

BY_NAME = {f"{route.method} {route.path}": route for route in ROUTES}


def test_every_route_has_its_row_in_the_table():
    assert {(route.method, route.path) for route in ROUTES} == set(TABLE)


def test_no_route_is_open_to_a_role_that_does_not_exist():
    for route in ROUTES:
        assert route.roles <= frozenset(Role)
        assert {role.value for role in route.roles} == set(TABLE[route.method, route.path].own)


@pytest.fixture
async def thing(api, people):
    """Return what brand 1 has: a customer with coins, a sale, and an open payment."""
    customer_id = people.complete()["customer_id"]
    sale = await api.store.accumulate(customer_id, amount=10_000_000, currency="COP")
    payment = await api.store.pay(customer_id, coins=1)
    return {
        "customer_id": customer_id,
        "transaction_id": sale.json["transaction_id"],
        "payment_id": payment.json["payment_id"],
    }


async def call(client, route, thing, body):
    return await client.request(
        route.method, route.path.format(**thing), body, idempotency=str(uuid4())
    )


@pytest.mark.parametrize("role", sorted(role.value for role in Role))
@pytest.mark.parametrize("name", BY_NAME)
async def test_each_role_gets_what_the_table_says(api, thing, name, role):
    route = BY_NAME[name]
    row = TABLE[route.method, route.path]
    reply = await call(getattr(api, role), route, thing, row.body)
    assert reply.status == row.own.get(role, 403)
    if role not in row.own:
        assert reply.code == "forbidden"


@pytest.mark.parametrize("name", BY_NAME)
async def test_another_brands_store_is_told_that_there_is_nothing(api, thing, name):
    route = BY_NAME[name]
    row = TABLE[route.method, route.path]
    reply = await call(api.other_store, route, thing, row.body)
    if row.foreign is None:
        assert reply.status == row.own["store"]
    else:
        assert (reply.status, reply.code) == row.foreign


@pytest.mark.parametrize(
    "name", [name for name in BY_NAME if "/wallets" in name or "actions" in name]
)
async def test_another_brands_store_sees_no_number_of_it(api, thing, name):
    reply = await call(api.other_store, BY_NAME[name], thing, SALE)
    if "wallets" in reply.json:
        assert {w.get("brand_id") for w in reply.json["wallets"]} <= {None, 2}
    if "transactions" in reply.json:
        assert reply.json["transactions"] == []


BAD_KEYS = {
    "no header": None,
    "an empty header": "",
    "no scheme": "{key}",
    "another scheme": "Basic {key}",
    "an empty key": "Bearer ",
    "garbage": "Bearer garbage",
    "an unknown key": "Bearer lk_aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "a wrong secret": "Bearer {key_id}_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "half a key": "Bearer {key_id}",
    "a key with more": "Bearer {key}x",
    "two keys": "Bearer {key} {key}",
    "a very long key": "Bearer lk_{long}",
    "letters from elsewhere": "Bearer {key_id}_ñandú",
}


@pytest.mark.parametrize("name", BY_NAME)
async def test_without_a_valid_key_nothing_is_told(api, thing, name):
    route = BY_NAME[name]
    key = api.store.key
    parts = {"key": key, "key_id": key.rpartition("_")[0], "long": "x" * 3000}
    for about, header in BAD_KEYS.items():
        reply = await api.anonymous.request(
            route.method,
            route.path.format(**thing),
            TABLE[route.method, route.path].body,
            idempotency=str(uuid4()),
            headers={} if header is None else {"Authorization": header.format(**parts)},
        )
        assert (reply.status, reply.code) == (401, "unauthorized"), about
        assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_a_revoked_key_is_refused_within_five_seconds(api, database, thing):
    new = make_key()
    client = api.with_key(new.key)
    async with connection_to(database) as connection:
        await connection.execute(
            *(CATALOGUE["insert_key"], new.key_id, new.secret_hash, "network", None, None),
            *("test", datetime.now(UTC), None),
        )
        await connection.execute(CATALOGUE["touch"])
        async with asyncio.timeout(5):
            while (await client.customer(thing["customer_id"])).status == 401:
                await asyncio.sleep(0.02)
        assert (await client.customer(thing["customer_id"])).status == 200
        assert await connection.fetchval(CATALOGUE["revoke_key"], new.key_id, datetime.now(UTC))
        await connection.execute(CATALOGUE["touch"])
        async with asyncio.timeout(5):
            while (await client.customer(thing["customer_id"])).status == 200:
                await asyncio.sleep(0.02)
    for route in ROUTES:
        reply = await call(client, route, thing, TABLE[route.method, route.path].body)
        assert (reply.status, reply.code) == (401, "unauthorized")


async def test_a_store_key_works_at_its_own_store_only(api, demo, customer_id):
    same_brand = next(
        (one for one in demo["stores"] if one["brand_id"] == 1 and one["store_id"] != 1), None
    )
    assert same_brand is not None
    for store_id in (same_brand["store_id"], 2, 999_999):
        reply = await api.store.accumulate(customer_id, **SALE, store_id=store_id)
        assert (reply.status, reply.code) == (404, "store_not_found")
    reply = await api.brand.accumulate(customer_id, **SALE, store_id=same_brand["store_id"])
    assert reply.json["store_id"] == same_brand["store_id"]
    reply = await api.brand.accumulate(customer_id, **SALE, store_id=2)
    assert (reply.status, reply.code) == (404, "store_not_found")


async def test_a_payment_of_another_store_of_the_brand_is_out_of_a_store_keys_reach(
    api, demo, people
):
    sibling = next(
        one
        for one in demo["stores"]
        if one["brand_id"] == 1 and one["store_id"] != 1 and one["accepts_coins"]
    )
    customer_id = people.complete()["customer_id"]
    await api.store.accumulate(customer_id, amount=10_000_000, currency="COP")
    payment = await api.brand.pay(customer_id, coins=1, store_id=sibling["store_id"])
    assert payment.status == 201
    for reply in (
        await api.store.payment(customer_id, payment.json["payment_id"]),
        await api.store.void(customer_id, payment.json["payment_id"]),
    ):
        assert (reply.status, reply.code) == (404, "payment_not_found")
    assert (await api.brand.void(customer_id, payment.json["payment_id"])).status == 200


async def test_a_problem_of_the_key_comes_before_a_problem_of_the_body(api, customer_id):
    path = f"/v1/customers/{customer_id}/accumulations"
    assert (await api.anonymous.request("POST", path, b"{")).status == 401
    assert (await api.app.request("POST", path, b"{")).status == 403

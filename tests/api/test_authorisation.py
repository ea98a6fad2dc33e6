"""Who may call what. The table has a row for every route: a new route without one fails here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from harness import connection_to

from engine.api.routes import ROUTES
from engine.people.keys import Role, insert_key, revoke_key
from engine.postgres.sql import queries

CATALOGUE = queries("catalogue")
CUSTOMER = "/v1/customers/{customer_id}"
PAYMENT = CUSTOMER + "/payments/{payment_id}"
BRAND = "/v1/brands/{brand_id}"
REWARD = BRAND + "/rewards/{reward_id}"
PROMOTION = BRAND + "/promotions/{promotion_id}"
GIFT = BRAND + "/gifts/{gift_id}"
CASHIER = BRAND + "/cashiers/{cashier_id}"
KEY = "/v1/keys/{key_id}"
STORE = "/v1/stores/{store_id}"
FORBIDDEN = (403, "forbidden")
SALE = {"amount": 100_000, "currency": "COP"}
BYGONE_PROGRAMME = {
    "points": 1,
    "points_amount": 1,
    "points_validity_days": 1,
    "effective_from": "2020-01-01T00:00:00Z",
}
BYGONE_INVOICE = {"amount": 100, "currency": "COP", "issued_at": "2020-01-01T00:00:00Z"}


@dataclass(frozen=True)
class Row:
    """What a route is called with, and what each role gets of it.

    `own` is about something of brand 1; `foreign` about the same thing asked for by another
    brand's store. A status of the roles not named is 403. `path` names something else than the
    thing that the other calls are about.
    """

    own: dict[str, int]
    body: Any = None
    foreign: tuple[int, str] | None = None
    path: dict[str, Any] = field(default_factory=dict)


ADMINISTRATORS = {"network", "brand"}
CASHIERS = {"network", "brand", "store", "cashier"}
EVERYONE = CASHIERS | {"app"}
ONLINE = {"network", "app"}


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
    ("POST", CUSTOMER + "/conversions"): Row(
        all_of(ONLINE, 201),
        {"partner_id": 1, "partner_points": 1, "reference": "{customer_id}"},
        FORBIDDEN,
    ),
    ("POST", CUSTOMER + "/cashbacks"): Row(
        all_of(ONLINE, 201), {"store_id": 1, "coins": 1, "order": "{customer_id}"}, FORBIDDEN
    ),
    ("POST", CUSTOMER + "/donations"): Row(
        all_of(ONLINE, 201), {"organisation_id": 1, "coins": 1}, FORBIDDEN
    ),
    ("POST", CUSTOMER + "/reversals"): Row(
        all_of(CASHIERS, 201),
        {"transaction_id": "{transaction_id}", "reason": "a test"},
        (404, "transaction_not_found"),
    ),
    ("GET", CUSTOMER + "/wallets"): Row(all_of(EVERYONE, 200)),
    ("GET", CUSTOMER + "/transactions"): Row(all_of(EVERYONE, 200)),
    ("GET", CUSTOMER + "/statement"): Row(all_of(EVERYONE, 200)),
    ("GET", CUSTOMER + "/transactions/{transaction_id}"): Row(
        all_of(EVERYONE, 200), None, (404, "transaction_not_found")
    ),
    ("POST", "/v1/customers"): Row(all_of(EVERYONE, 400), {"email": "x"}),
    ("GET", CUSTOMER): Row(all_of(EVERYONE, 200)),
    ("GET", "/v1/brands"): Row(all_of(EVERYONE, 200)),
    ("POST", "/v1/brands"): Row({"network": 400}, {"name": ""}, FORBIDDEN),
    ("GET", BRAND): Row(all_of(EVERYONE, 200), None, (404, "brand_not_found")),
    ("PATCH", BRAND): Row(all_of(ADMINISTRATORS, 200), {"name": "Café Brumalta"}, FORBIDDEN),
    ("DELETE", BRAND): Row({"network": 404}, None, FORBIDDEN, {"brand_id": 999_999}),
    ("GET", BRAND + "/programme"): Row(all_of(EVERYONE, 200), None, (404, "brand_not_found")),
    ("POST", BRAND + "/programme"): Row(all_of(ADMINISTRATORS, 400), BYGONE_PROGRAMME, FORBIDDEN),
    ("DELETE", BRAND + "/programme/{version}"): Row(all_of(ADMINISTRATORS, 409), None, FORBIDDEN),
    ("GET", BRAND + "/fund"): Row(all_of(ADMINISTRATORS, 200), None, FORBIDDEN),
    ("PATCH", BRAND + "/fund"): Row({"network": 200}, {"prepaid": False}, FORBIDDEN),
    ("POST", BRAND + "/fund/deposits"): Row({"network": 400}, {"coins": 0}, FORBIDDEN),
    ("GET", "/v1/stores"): Row(all_of(EVERYONE, 200)),
    ("POST", "/v1/stores"): Row(all_of(ADMINISTRATORS, 400), {"name": ""}, FORBIDDEN),
    ("GET", STORE): Row(all_of(EVERYONE, 200), None, (404, "store_not_found")),
    ("PATCH", STORE): Row(all_of(ADMINISTRATORS, 200), {}, FORBIDDEN),
    ("DELETE", STORE): Row(all_of(ADMINISTRATORS, 404), None, FORBIDDEN, {"store_id": 999_999}),
    ("POST", "/v1/transactions"): Row(all_of(CASHIERS, 200), [{"type": "redemption"}]),
    ("GET", STORE + "/invoices"): Row(all_of(CASHIERS, 200), None, (404, "store_not_found")),
    ("GET", STORE + "/invoices/stream"): Row(
        all_of(CASHIERS, 404), None, (404, "store_not_found"), {"store_id": 999_999}
    ),
    ("PUT", STORE + "/invoices/{number}"): Row(
        all_of(CASHIERS, 400), BYGONE_INVOICE, (404, "store_not_found"), {"number": "F-1"}
    ),
    ("GET", STORE + "/invoices/{number}"): Row(
        all_of(CASHIERS, 404), None, (404, "store_not_found"), {"number": "F-1"}
    ),
    ("DELETE", STORE + "/invoices/{number}"): Row(
        all_of(CASHIERS, 404), None, (404, "store_not_found"), {"number": "F-1"}
    ),
    ("GET", CUSTOMER + "/offers"): Row(
        all_of({"store", "cashier"}, 200) | all_of({"network", "brand", "app"}, 400)
    ),
    ("GET", BRAND + "/rewards"): Row(all_of(EVERYONE, 200), None, (404, "brand_not_found")),
    ("POST", BRAND + "/rewards"): Row(all_of(ADMINISTRATORS, 400), {"name": ""}, FORBIDDEN),
    ("GET", REWARD): Row(all_of(EVERYONE, 200), None, (404, "brand_not_found")),
    ("PATCH", REWARD): Row(all_of(ADMINISTRATORS, 200), {}, FORBIDDEN),
    ("DELETE", REWARD): Row(all_of(ADMINISTRATORS, 404), None, FORBIDDEN, {"reward_id": 999_999}),
    ("GET", BRAND + "/promotions"): Row(all_of(EVERYONE, 200), None, (404, "brand_not_found")),
    ("POST", BRAND + "/promotions"): Row(all_of(ADMINISTRATORS, 400), {"name": ""}, FORBIDDEN),
    ("GET", PROMOTION): Row(all_of(EVERYONE, 200), None, (404, "brand_not_found")),
    ("PATCH", PROMOTION): Row(all_of(ADMINISTRATORS, 200), {}, FORBIDDEN),
    ("DELETE", PROMOTION): Row(
        all_of(ADMINISTRATORS, 404), None, FORBIDDEN, {"promotion_id": 999_999}
    ),
    ("GET", BRAND + "/gifts"): Row(all_of(EVERYONE, 200), None, (404, "brand_not_found")),
    ("POST", BRAND + "/gifts"): Row(all_of(ADMINISTRATORS, 400), {"name": ""}, FORBIDDEN),
    ("GET", GIFT): Row(all_of(EVERYONE, 200), None, (404, "brand_not_found")),
    ("PATCH", GIFT): Row(all_of(ADMINISTRATORS, 200), {}, FORBIDDEN),
    ("DELETE", GIFT): Row(all_of(ADMINISTRATORS, 404), None, FORBIDDEN, {"gift_id": 999_999}),
    ("GET", "/v1/partners"): Row(all_of(EVERYONE, 200)),
    ("POST", "/v1/partners"): Row({"network": 400}, {"name": ""}, FORBIDDEN),
    ("GET", "/v1/partners/{partner_id}"): Row(all_of(EVERYONE, 200)),
    ("PATCH", "/v1/partners/{partner_id}"): Row({"network": 400}, {"name": ""}, FORBIDDEN),
    ("DELETE", "/v1/partners/{partner_id}"): Row(
        {"network": 404}, None, FORBIDDEN, {"partner_id": 999_999}
    ),
    ("GET", "/v1/organisations"): Row(all_of(EVERYONE, 200)),
    ("POST", "/v1/organisations"): Row({"network": 400}, {"name": ""}, FORBIDDEN),
    ("GET", "/v1/organisations/{organisation_id}"): Row(all_of(EVERYONE, 200)),
    ("PATCH", "/v1/organisations/{organisation_id}"): Row(
        {"network": 400}, {"name": ""}, FORBIDDEN
    ),
    ("DELETE", "/v1/organisations/{organisation_id}"): Row(
        {"network": 404}, None, FORBIDDEN, {"organisation_id": 999_999}
    ),
    ("PATCH", CUSTOMER): Row(all_of(EVERYONE, 200), {"city": "Cali"}),
    ("POST", CUSTOMER + "/block"): Row({"network": 200}, {"reason": "a test"}, (403, "forbidden")),
    ("POST", CUSTOMER + "/unblock"): Row(
        {"network": 200}, {"reason": "a test"}, (403, "forbidden")
    ),
    ("POST", CUSTOMER + "/qr"): Row({"app": 200}, None, (403, "forbidden")),
    ("GET", BRAND + "/cashiers"): Row(all_of(ADMINISTRATORS, 200), None, FORBIDDEN),
    ("POST", BRAND + "/cashiers"): Row(all_of(ADMINISTRATORS, 400), {"user": "x"}, FORBIDDEN),
    ("GET", CASHIER): Row(all_of(ADMINISTRATORS, 200), None, FORBIDDEN),
    ("PATCH", CASHIER): Row(all_of(ADMINISTRATORS, 200), {}, FORBIDDEN),
    ("DELETE", CASHIER): Row(all_of(ADMINISTRATORS, 404), None, FORBIDDEN, {"cashier_id": 9999}),
    ("POST", CASHIER + "/password"): Row(
        all_of(ADMINISTRATORS, 400), {"password": "short"}, FORBIDDEN
    ),
    ("GET", "/v1/settlements"): Row(all_of(ADMINISTRATORS, 200), None, FORBIDDEN),
    ("GET", BRAND + "/liability"): Row(all_of(ADMINISTRATORS, 200), None, FORBIDDEN),
    ("GET", "/v1/trial-balance"): Row({"network": 200}, None, FORBIDDEN),
    ("DELETE", CASHIER + "/sessions"): Row(
        all_of(ADMINISTRATORS, 404), None, FORBIDDEN, {"cashier_id": 9999}
    ),
    ("GET", "/v1/sessions"): Row(all_of(ADMINISTRATORS | {"cashier"}, 200), None, FORBIDDEN),
    ("DELETE", "/v1/sessions/{session_id}"): Row(
        all_of(ADMINISTRATORS | {"cashier"}, 404), None, FORBIDDEN, {"session_id": "none"}
    ),
    ("GET", "/v1/sessions/current"): Row({"cashier": 200}, None, FORBIDDEN),
    ("DELETE", "/v1/sessions/current"): Row({"cashier": 200}, None, FORBIDDEN),
    ("GET", "/v1/keys"): Row(all_of(ADMINISTRATORS, 200), None, FORBIDDEN),
    ("POST", "/v1/keys"): Row(all_of(ADMINISTRATORS, 400), {"role": "store"}, FORBIDDEN),
    ("GET", KEY): Row(all_of(ADMINISTRATORS, 200), None, FORBIDDEN),
    ("DELETE", KEY): Row(all_of(ADMINISTRATORS, 404), None, FORBIDDEN, {"key_id": "none"}),
    ("POST", KEY + "/rotate"): Row(
        all_of(ADMINISTRATORS, 404), None, FORBIDDEN, {"key_id": "none"}
    ),
}

BY_NAME = {f"{route.method} {route.path}": route for route in ROUTES}


def test_every_route_has_its_row_in_the_table():
    assert {(route.method, route.path) for route in ROUTES} == set(TABLE)


def test_no_route_is_open_to_a_role_that_does_not_exist():
    for route in ROUTES:
        assert route.roles <= frozenset(Role)
        assert {role.value for role in route.roles} == set(TABLE[route.method, route.path].own)


@pytest.fixture
async def thing(api, people, demo):
    """Return what brand 1 has: a customer with coins, a sale, and an open payment."""
    customer_id = people.complete()["customer_id"]
    sale = await api.store.accumulate(customer_id, amount=10_000_000, currency="COP")
    payment = await api.store.pay(customer_id, coins=1)
    return {
        "customer_id": customer_id,
        "transaction_id": sale.json["transaction_id"],
        "payment_id": payment.json["payment_id"],
        "brand_id": 1,
        "store_id": 1,
        "partner_id": 1,
        "organisation_id": 1,
        "reward_id": 1,
        "promotion_id": demo["promotions"][0]["promotion_id"],
        "gift_id": demo["gifts"][0]["gift_id"],
        "cashier_id": 1,
        "key_id": api.store.key.split("_")[1],
        "version": 1,
    }


async def call(client, route, thing, body):
    names = thing | TABLE[route.method, route.path].path
    if isinstance(body, dict):
        body = {
            name: value.format(**names) if isinstance(value, str) else value
            for name, value in body.items()
        }
    return await client.request(
        route.method, route.path.format(**names), body, idempotency=str(uuid4())
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
    "an unknown session": "Bearer ls_aaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
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
            route.path.format(**(thing | TABLE[route.method, route.path].path)),
            TABLE[route.method, route.path].body,
            idempotency=str(uuid4()),
            headers={} if header is None else {"Authorization": header.format(**parts)},
        )
        assert (reply.status, reply.code) == (401, "unauthorized"), about
        assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_a_revoked_key_is_refused_within_five_seconds(api, database, thing):
    async with connection_to(database) as connection:
        now = datetime.now(UTC)
        facts = {"role": Role.NETWORK, "brand_id": None, "store_id": None, "name": "test"}
        new, _ = await insert_key(connection, **facts, at=now)
        client = api.with_key(new.key)
        await connection.execute(CATALOGUE["touch"])
        async with asyncio.timeout(5):
            while (await client.customer(thing["customer_id"])).status == 401:
                await asyncio.sleep(0.02)
        assert (await client.customer(thing["customer_id"])).status == 200
        assert await revoke_key(connection, new.key_id, datetime.now(UTC))
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

"""A brand's administrator makes cashiers, changes and disables them, and resets their passwords."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from itertools import count

import orjson
import pytest
from harness import connection_to

CASHIERS = "/v1/brands/1/cashiers"
PASSWORD = "una clave larga"
users = (f"user.{number}" for number in count(1))


@pytest.fixture(scope="module")
def engine_flags():
    places = (
        "--sign-in-failures-of-address-max",
        "9999",
        "--sign-in-failures-of-store-max",
        "9999",
    )
    return ("--passwords-hashing-max", "1", "--sign-ins-waiting-max", "1", *places)


async def make(client, path=CASHIERS, **more):
    body = {"user": next(users), "password": PASSWORD, "name": "Ana Pérez"} | more
    return await client.request("POST", path, body)


@pytest.fixture
async def cashier(api):
    """Return a cashier of the test's own."""
    return (await make(api.brand, store_id=1)).json


@pytest.fixture
async def other_brand(api):
    """Return a client with a key of brand 2."""
    body = {"role": "brand", "brand_id": 2, "name": "another brand"}
    return api.with_key((await api.network.request("POST", "/v1/keys", body)).json["key"])


def path_of(cashier):
    return f"{CASHIERS}/{cashier['cashier_id']}"


async def signs_in(api, cashier, password=PASSWORD):
    body = {"store_id": 1, "user": cashier["user"], "password": password}
    return (await api.anonymous.request("POST", "/v1/sessions", body)).status == 201


async def test_a_cashier_is_made_and_read_without_the_password(api):
    made = await make(api.brand, user="Ana.Perez", store_id=1)
    assert made.status == 201
    created_at = datetime.fromisoformat(made.json["created_at"])
    assert made.json == {
        "cashier_id": made.json["cashier_id"],
        "brand_id": 1,
        "store_id": 1,
        "user": "ana.perez",
        "name": "Ana Pérez",
        "disabled": False,
        "password_set_at": made.json["created_at"],
        "created_at": made.json["created_at"],
    }
    assert created_at.tzinfo is not None
    for client in (api.brand, api.network):
        reply = await client.request("GET", path_of(made.json))
        assert (reply.status, reply.json) == (200, made.json)


async def test_a_user_name_is_one_cashiers_of_its_brand(api, other_brand, cashier):
    for user in (cashier["user"], cashier["user"].upper()):
        reply = await make(api.brand, user=user)
        assert (reply.status, reply.code) == (409, "cashier_exists")
    reply = await make(other_brand, "/v1/brands/2/cashiers", user=cashier["user"])
    assert reply.status == 201, "another brand may have the same"


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "short"},
        {"password": "x" * 129},
        {"user": "ana maria"},
        {"user": "a"},
        {"user": "usuario.largo", "password": "Usuario.Largo"},
        {"password": "12345678"},
        {"password": "qwertyuiop"},
        {"password": "Leal2026"},
        {"name": ""},
        {"name": "<b>"},
        {"store_id": "1"},
        {"role": "network"},
    ],
    ids=str,
)
async def test_what_cannot_be_a_cashier_is_refused(api, wrong):
    reply = await make(api.brand, **wrong)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert "Usuario" not in reply.json["detail"]


async def test_a_password_of_the_brands_or_the_stores_words_is_refused(api, demo, cashier):
    brand, store = demo["brands"][0], demo["stores"][0]
    assert brand["brand_id"] == store["brand_id"] == 1
    names = (brand["name"], store["name"], store["city"], "Ana Pérez")
    weak = [f"{name.replace(' ', '')}2026" for name in names]
    for password in weak:
        for reply in (
            await make(api.brand, password=password),
            await api.brand.request("POST", path_of(cashier) + "/password", {"password": password}),
        ):
            assert (reply.status, reply.code) == (400, "invalid_request"), password
            assert "use others" in reply.json["detail"]
    body = {"user": next(users), "password": weak[0], "name": "Ana"}
    told = await api.brand.request("POST", CASHIERS, body, headers={"Accept-Language": "es"})
    assert "Usa otras" in told.json["detail"]
    assert await signs_in(api, cashier)


async def test_the_store_is_one_of_the_brand(api, cashier):
    for client in (api.brand, api.network):
        for store_id in (2, 999_999):
            reply = await make(client, store_id=store_id)
            assert (reply.status, reply.code) == (404, "store_not_found")
            reply = await client.request("PATCH", path_of(cashier), {"store_id": store_id})
            assert (reply.status, reply.code) == (404, "store_not_found")


async def test_the_list_has_pages(api, cashier):
    for _ in range(2):
        await make(api.brand)
    whole = (await api.brand.request("GET", CASHIERS)).json
    assert whole["next_cursor"] is None
    ids = [one["cashier_id"] for one in whole["cashiers"]]
    assert ids == sorted(set(ids))
    assert cashier in whole["cashiers"]
    seen, cursor = [], "0"
    while cursor is not None:
        params = {"limit": 2, "cursor": cursor}
        page = (await api.network.request("GET", CASHIERS, params=params)).json
        seen += page["cashiers"]
        cursor = page["next_cursor"]
    assert seen == whole["cashiers"]


async def test_another_brands_cashiers_are_out_of_reach(api, other_brand, cashier):
    for method, path, body in (
        ("GET", CASHIERS, None),
        ("POST", CASHIERS, {"user": "x.y", "password": PASSWORD, "name": "x"}),
        ("GET", path_of(cashier), None),
        ("PATCH", path_of(cashier), {"disabled": True}),
        ("DELETE", path_of(cashier), None),
        ("POST", path_of(cashier) + "/password", {"password": PASSWORD}),
    ):
        reply = await other_brand.request(method, path, body)
        assert (reply.status, reply.code) == (404, "brand_not_found")
    path = f"/v1/brands/2/cashiers/{cashier['cashier_id']}"
    for client in (other_brand, api.network):
        for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
            reply = await client.request(method, path, body)
            assert (reply.status, reply.code) == (404, "cashier_not_found")
        reply = await client.request("POST", path + "/password", {"password": "otra clave"})
        assert (reply.status, reply.code) == (404, "cashier_not_found")
    assert await signs_in(api, cashier)


@pytest.mark.parametrize("cashier_id", ["0", "999999", "x", "1x", "-1", "2147483648", "9" * 30])
async def test_what_is_no_cashier_is_not_found(api, cashier_id):
    path = f"{CASHIERS}/{cashier_id}"
    for method in ("GET", "PATCH", "DELETE"):
        reply = await api.brand.request(method, path, {})
        assert (reply.status, reply.code) == (404, "cashier_not_found")
    reply = await api.brand.request("POST", f"{path}/password", {"password": PASSWORD})
    assert (reply.status, reply.code) == (404, "cashier_not_found")


async def test_strangers_who_sign_in_keep_no_administrator_waiting(api, cashier):
    refused = Counter()
    done = asyncio.Event()

    async def stranger():
        while not done.is_set():
            body = {"store_id": 1, "user": next(users), "password": PASSWORD}
            refused[(await api.anonymous.request("POST", "/v1/sessions", body)).code] += 1

    strangers = [asyncio.create_task(stranger()) for _ in range(12)]
    try:
        for _ in range(3):
            assert (await make(api.brand)).status == 201
            reply = await api.brand.request(
                "POST", path_of(cashier) + "/password", {"password": "otra clave larga"}
            )
            assert reply.status == 200
    finally:
        done.set()
        await asyncio.gather(*strangers)
    assert refused["too_many_sign_ins"] > 0
    assert set(refused) <= {"too_many_sign_ins", "sign_in_failed"}


async def test_a_cashier_is_changed_field_by_field(api, cashier):
    expected = cashier
    for body in ({"name": "Ana María"}, {"store_id": None}, {}, {"store_id": 1, "disabled": True}):
        expected = expected | body
        reply = await api.brand.request("PATCH", path_of(cashier), body)
        assert (reply.status, reply.json) == (200, expected)
        assert (await api.brand.request("GET", path_of(cashier))).json == expected


async def test_a_user_name_or_a_password_is_not_changed_in_passing(api, cashier):
    for body in ({"user": "another"}, {"password": "otra clave"}, {"name": None}):
        reply = await api.brand.request("PATCH", path_of(cashier), body)
        assert (reply.status, reply.code) == (400, "invalid_request")


async def test_who_is_disabled_signs_in_no_more_until_they_are_enabled(api, cashier):
    assert await signs_in(api, cashier)
    for _ in range(2):
        gone = await api.brand.request("DELETE", path_of(cashier))
        assert (gone.status, gone.json) == (200, cashier | {"disabled": True})
    assert not await signs_in(api, cashier)
    back = await api.brand.request("PATCH", path_of(cashier), {"disabled": False})
    assert back.json == cashier
    assert await signs_in(api, cashier)


async def test_a_reset_password_takes_the_place_of_the_old_one(api, cashier):
    path = path_of(cashier) + "/password"
    reply = await api.brand.request("POST", path, {"password": "otra clave larga"})
    assert reply.status == 200
    assert reply.json == cashier | {"password_set_at": reply.json["password_set_at"]}
    assert reply.json["password_set_at"] > cashier["password_set_at"]
    assert not await signs_in(api, cashier)
    assert await signs_in(api, cashier, "otra clave larga")
    reply = await api.brand.request("POST", path, {"password": cashier["user"].upper()})
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_a_change_is_recorded_without_secrets_and_names(api, database):
    cashier = (await make(api.brand, name="Nombre Propio", store_id=1)).json
    path = path_of(cashier)
    await api.brand.request("PATCH", path, {"name": "Otro Nombre", "store_id": None})
    await api.network.request("POST", path + "/password", {"password": "otra clave larga"})
    await api.brand.request("DELETE", path)
    async with connection_to(database) as connection:
        rows = await connection.fetch(
            "select * from change where subject = $1 order by change_id", str(cashier["cashier_id"])
        )
    by_brand, by_network = (
        f"key:{client.key.split('_')[1]}" for client in (api.brand, api.network)
    )
    assert [(row["principal"], row["action"]) for row in rows] == [
        (by_brand, "cashier created"),
        (by_brand, "cashier changed"),
        (by_network, "password reset"),
        (by_brand, "cashier disabled"),
    ]
    contents = [row["content"] and orjson.loads(row["content"]) for row in rows]
    assert contents == [
        {"brand_id": 1, "store_id": 1},
        {"store_id": None},
        None,
        {"disabled": True},
    ]


async def test_what_is_refused_is_not_recorded(api, database, cashier):
    count_of = "select count(*) from change"
    async with connection_to(database) as connection:
        before = await connection.fetchval(count_of)
        await make(api.brand, user=cashier["user"])
        await api.brand.request("PATCH", f"{CASHIERS}/999999", {"name": "x"})
        assert await connection.fetchval(count_of) == before

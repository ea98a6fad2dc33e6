"""Brands: who sees which, and what retiring one does (USR-2)."""

from __future__ import annotations

import orjson
import pytest
from harness import connection_to

CURRENCIES = {"CO": "COP", "SV": "USD", "GT": "GTQ", "PA": "USD"}


async def create(api, **body):
    return await api.network.request(
        "POST", "/v1/brands", {"name": "Café Nuevo", "country": "CO"} | body
    )


def ids(reply):
    return [brand["brand_id"] for brand in reply.json["brands"]]


@pytest.mark.parametrize("country", CURRENCIES)
async def test_a_new_brand_has_its_countrys_currency_and_no_programme(api, country):
    made = await create(api, name="Almacén Ñandú", country=country)
    assert made.status == 201
    assert made.json == {
        "brand_id": made.json["brand_id"],
        "name": "Almacén Ñandú",
        "country": country,
        "currency": CURRENCIES[country],
        "retired": False,
        "programme": None,
    }
    read = await api.network.request("GET", f"/v1/brands/{made.json['brand_id']}")
    assert (read.status, read.json) == (200, made.json)


async def test_ids_are_numbers_that_go_on(api):
    numbers = [(await create(api)).json["brand_id"] for _ in range(3)]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


async def test_a_brand_tells_the_programme_in_force(api, demo):
    brand = (await api.store.request("GET", "/v1/brands/1")).json
    said = demo["brands"][0]
    for name in ("points", "points_amount", "points_validity_days", "coins", "issuer", "receiver"):
        assert brand["programme"][name] == said[name]


async def test_the_network_and_the_app_see_all_and_a_brand_itself(api, demo):
    everybody = [brand["brand_id"] for brand in demo["brands"]]
    for client in (api.network, api.app):
        assert set(everybody) <= set(ids(await client.request("GET", "/v1/brands")))
    for client in (api.brand, api.store):
        assert ids(await client.request("GET", "/v1/brands")) == [1]
    assert ids(await api.other_store.request("GET", "/v1/brands")) == [2]


async def test_the_list_comes_in_pages(api):
    whole = await api.network.request("GET", "/v1/brands?limit=1000")
    assert whole.json["next_cursor"] is None
    seen, cursor = [], "0"
    while cursor is not None:
        page = await api.network.request("GET", f"/v1/brands?limit=7&cursor={cursor}")
        assert len(page.json["brands"]) <= 7
        seen += page.json["brands"]
        cursor = page.json["next_cursor"]
    assert seen == whole.json["brands"]
    for query in ("limit=0", "limit=x", "cursor=x"):
        reply = await api.network.request("GET", f"/v1/brands?{query}")
        assert (reply.status, reply.code) == (400, "invalid_request")


async def test_a_brand_changes_its_own_name_and_no_other(api):
    before = (await api.brand.request("GET", "/v1/brands/1")).json
    for client, name in ((api.brand, "Café Otro"), (api.network, before["name"])):
        reply = await client.request("PATCH", "/v1/brands/1", {"name": name})
        assert (reply.status, reply.json) == (200, before | {"name": name})
    reply = await api.brand.request("PATCH", "/v1/brands/2", {"name": "Mine"})
    assert (reply.status, reply.code) == (404, "brand_not_found")
    assert (await api.network.request("GET", "/v1/brands/2")).json["name"] != "Mine"


@pytest.mark.parametrize(
    "body", [{}, {"country": "SV"}, {"name": ""}, {"name": None}, {"name": "a\nb"}, {"name": "<b>"}]
)
async def test_a_change_that_cannot_be_is_refused(api, body):
    reply = await api.network.request("PATCH", "/v1/brands/1", body)
    assert (reply.status, reply.code) == (400, "invalid_request")


@pytest.mark.parametrize("country", ["co", "MX", "", None])
async def test_there_are_no_brands_of_other_countries(api, country):
    reply = await create(api, country=country)
    assert (reply.status, reply.code) == (400, "invalid_request")


@pytest.mark.parametrize("brand_id", ["999999", "0", "-1", "x", "1.0", "99999999999999999999", "١"])
async def test_what_is_no_brand_is_told_so(api, brand_id):
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        reply = await api.network.request(method, f"/v1/brands/{brand_id}", body)
        assert (reply.status, reply.code) == (404, "brand_not_found")


async def test_a_retired_brand_can_be_read_and_not_changed(api):
    brand_id = (await create(api, name="Fugaz")).json["brand_id"]
    path = f"/v1/brands/{brand_id}"
    store = await api.network.request(
        "POST", "/v1/stores", {"name": "Centro", "city": "Cali", "brand_id": brand_id}
    )
    retired = await api.network.request("DELETE", path)
    assert (retired.status, retired.json["retired"]) == (200, True)
    assert await again(api, path) == (200, retired.json)
    assert (await api.network.request("GET", path)).json == retired.json
    assert (
        retired.json in (await api.network.request("GET", "/v1/brands?limit=1000")).json["brands"]
    )
    read = await api.network.request("GET", f"/v1/stores/{store.json['store_id']}")
    assert read.json == store.json | {"retired": True}
    programme = {"points": 1, "points_amount": 1000, "points_validity_days": 30}
    for method, place, body in (
        ("PATCH", path, {"name": "Back"}),
        ("POST", path + "/programme", programme),
        ("POST", "/v1/stores", {"name": "Norte", "city": "Cali", "brand_id": brand_id}),
        ("PATCH", f"/v1/stores/{store.json['store_id']}", {"city": "Buga"}),
    ):
        reply = await api.network.request(method, place, body)
        assert (reply.status, reply.code) == (409, "retired")


async def again(api, path):
    reply = await api.network.request("DELETE", path)
    return reply.status, reply.json


async def test_the_app_shows_no_retired_brand(api):
    brand_id = (await create(api)).json["brand_id"]
    assert brand_id in ids(await api.app.request("GET", "/v1/brands?limit=1000"))
    await api.network.request("DELETE", f"/v1/brands/{brand_id}")
    assert brand_id not in ids(await api.app.request("GET", "/v1/brands?limit=1000"))
    reply = await api.app.request("GET", f"/v1/brands/{brand_id}")
    assert (reply.status, reply.code) == (404, "brand_not_found")


async def test_every_change_is_recorded_with_who_made_it(api, database):
    brand_id = (await create(api, name="Contada")).json["brand_id"]
    await api.network.request("PATCH", f"/v1/brands/{brand_id}", {"name": "Recontada"})
    await api.network.request("PATCH", f"/v1/brands/{brand_id}", {"name": ""})
    await api.network.request("DELETE", f"/v1/brands/{brand_id}")
    await api.network.request("DELETE", f"/v1/brands/{brand_id}")
    async with connection_to(database) as connection:
        rows = await connection.fetch(
            "select * from change where action like 'brand %' and subject = $1 order by change_id",
            str(brand_id),
        )
    assert [row["action"] for row in rows] == ["brand created", "brand changed", "brand retired"]
    assert {row["principal"] for row in rows} == {f"key:{api.network.key.split('_')[1]}"}
    contents = [row["content"] and orjson.loads(row["content"]) for row in rows]
    assert contents == [{"name": "Contada", "country": "CO"}, {"name": "Recontada"}, None]

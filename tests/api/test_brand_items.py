"""What a brand configures: rewards, promotions and gifts, and who may see them (RED-1…RED-3)."""

from __future__ import annotations

from uuid import uuid4

import orjson
import pytest
from harness import connection_to

WINDOW = {"starts_at": "2026-01-01T00:00:00-05:00", "ends_at": "2030-01-01T00:00:00Z"}


async def create(client, kind, brand_id=1, **body):
    return await client.request("POST", f"/v1/brands/{brand_id}/{kind}s", body)


async def made(client, kind, brand_id=1, **body):
    reply = await create(client, kind, brand_id, **body)
    assert reply.status == 201, reply.json
    return reply.json


async def on(client, method, kind, item, body=None):
    path = f"/v1/brands/{item['brand_id']}/{kind}s/{item[f'{kind}_id']}"
    return await client.request(method, path, body)


async def ids(client, kind, query="", brand_id=1):
    reply = await client.request("GET", f"/v1/brands/{brand_id}/{kind}s?limit=1000{query}")
    assert reply.status == 200, reply.json
    return [item[f"{kind}_id"] for item in reply.json[f"{kind}s"]]


@pytest.fixture
async def named(people):
    return people.several(2)


async def test_a_reward_is_told_as_it_was_made(api):
    reward = await made(api.brand, "reward", name="Termo", points=50, stock=3, customer_limit=1)
    told = {
        "brand_id": 1,
        "name": "Termo",
        "points": 50,
        "stock": 3,
        "taken": 0,
        "customer_limit": 1,
        "available": True,
        "retired": False,
    }
    assert reward == {"reward_id": reward["reward_id"]} | told
    for client in (api.network, api.brand, api.store, api.cashier, api.app):
        assert (await on(client, "GET", "reward", reward)).json == reward
        assert reward["reward_id"] in await ids(client, "reward")


async def test_a_plain_reward_has_no_limits(api):
    reward = await made(api.brand, "reward", name="Galleta", points=5)
    assert (reward["stock"], reward["taken"], reward["customer_limit"]) == (None, None, None)


async def test_a_promotion_is_told_as_it_was_made(api):
    segment = {"genders": ["F"], "cities": ["Bogotá"], "age_min": 18, "birthday_month": True}
    promotion = await made(
        *(api.network, "promotion"), name="Mes", points=20, segment=segment, **WINDOW
    )
    assert promotion["segment"] == segment
    assert promotion["starts_at"] == "2026-01-01T05:00:00Z"
    assert promotion["ends_at"] == "2030-01-01T00:00:00Z"
    assert (promotion["points"], promotion["coins"]) == (20, 0)
    assert (await on(api.store, "GET", "promotion", promotion)).json == promotion
    free = await made(api.brand, "promotion", name="Gratis", segment={})
    assert (free["points"], free["coins"], free["segment"]) == (0, 0, None)
    coins = await made(api.brand, "promotion", name="Con coins", coins=500)
    assert (coins["points"], coins["coins"]) == (0, 500)


async def test_whom_a_gift_is_for_its_administrators_read_only(api, named):
    gift = await made(api.brand, "gift", name="Café", customer_ids=[*named, named[0].upper()])
    assert gift["customer_ids"] == sorted(named)
    assert (await on(api.network, "GET", "gift", gift)).json == gift
    told = {name: value for name, value in gift.items() if name != "customer_ids"}
    for client in (api.store, api.cashier, api.app):
        assert (await on(client, "GET", "gift", gift)).json == told
    listed = (await api.brand.request("GET", "/v1/brands/1/gifts?limit=1000")).json["gifts"]
    assert told in listed


async def test_a_gift_for_strangers_is_not_made(api, named):
    before = await ids(api.brand, "gift")
    for kind_of in (str(uuid4()), str(uuid4())):
        reply = await create(api.brand, "gift", name="Café", customer_ids=[*named, kind_of])
        assert (reply.status, reply.code) == (404, "customer_not_found")
        assert reply.json["detail"].startswith("1 of the 3 customers")
    assert await ids(api.brand, "gift") == before


async def test_a_gift_is_for_nobody_who_was_erased(api, named, database):
    async with connection_to(database) as connection:
        await connection.execute(
            "update customer set erased_at = now() where customer_id = $1", named[1]
        )
    reply = await create(api.brand, "gift", name="Café", customer_ids=named)
    assert (reply.status, reply.code) == (404, "customer_not_found")


async def test_other_names_take_the_place_of_the_old_ones(api, named, customer_id):
    gift = await made(api.brand, "gift", name="Café", customer_ids=named)
    change = {"customer_ids": [customer_id, named[0]]}
    changed = (await on(api.brand, "PATCH", "gift", gift, change)).json
    assert changed["customer_ids"] == sorted(change["customer_ids"])
    reply = await on(
        api.brand, "PATCH", "gift", gift, {"name": "x", "customer_ids": [str(uuid4())]}
    )
    assert (reply.status, reply.code) == (404, "customer_not_found")
    assert (await on(api.brand, "GET", "gift", gift)).json == changed


async def test_a_change_leaves_out_what_it_does_not_name(api):
    body = {"name": "Mes", "points": 20, "stock": 5, "customer_limit": 2, **WINDOW}
    promotion = await made(api.brand, "promotion", **body, segment={"age_min": 18})
    for change in (
        {"name": "Otro mes"},
        {"stock": 2},
        {"stock": None, "customer_limit": None},
        {"points": 0, "coins": 300},
        {"ends_at": None},
        {"segment": {"age_max": 30}},
        {"segment": None},
        {"available": False},
        {},
    ):
        changed = await on(api.brand, "PATCH", "promotion", promotion, change)
        assert changed.status == 200, changed.json
        no_stock = {"taken": None} if change.get("stock", 1) is None else {}
        assert changed.json == promotion | change | no_stock
        promotion = changed.json
        assert (await on(api.store, "GET", "promotion", promotion)).json == promotion


async def test_what_is_retired_is_read_but_neither_listed_nor_changed(api, named):
    for kind, facts in (
        ("reward", {"points": 5}),
        ("promotion", {}),
        ("gift", {"customer_ids": named}),
    ):
        item = await made(api.brand, kind, name="Adiós", **facts)
        number = item[f"{kind}_id"]
        for _ in range(2):
            retired = await on(api.brand, "DELETE", kind, item)
            assert (retired.status, retired.json) == (200, item | {"retired": True})
        assert number not in await ids(api.brand, kind)
        assert number not in await ids(api.brand, kind, "&retired=false")
        assert number in await ids(api.brand, kind, "&retired=true")
        assert (await on(api.store, "GET", kind, item)).json["retired"] is True
        assert (await on(api.app, "GET", kind, item)).code == f"{kind}_not_found"
        assert number not in await ids(api.app, kind, "&retired=true")
        reply = await on(api.brand, "PATCH", kind, item, {"name": "Hola"})
        assert (reply.status, reply.code) == (409, "retired")
    reply = await api.brand.request("GET", "/v1/brands/1/rewards?retired=1")
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_a_list_is_told_page_by_page(api):
    made_now = [(await made(api.brand, "reward", name="R", points=1))["reward_id"] for _ in "abc"]
    found, cursor = [], "0"
    while cursor is not None:
        path = f"/v1/brands/1/rewards?limit=2&cursor={cursor}"
        page = (await api.store.request("GET", path)).json
        assert len(page["rewards"]) <= 2
        found += [reward["reward_id"] for reward in page["rewards"]]
        cursor = page["next_cursor"]
    assert found == await ids(api.store, "reward")
    assert set(made_now) <= set(found)


async def test_another_brands_items_do_not_exist(api, demo):
    own = {"brand_id": 1, "reward_id": 1}
    foreign = next(one for one in demo["rewards"] if one["brand_id"] == 2)
    for client in (api.brand, api.store, api.cashier):
        assert (await on(client, "GET", "reward", foreign)).code == "brand_not_found"
        mixed = await on(client, "GET", "reward", foreign | {"brand_id": 1})
        assert (mixed.status, mixed.code) == (404, "reward_not_found")
        other_kind = await on(client, "GET", "gift", {"brand_id": 1, "gift_id": 1})
        assert (other_kind.status, other_kind.code) == (404, "gift_not_found")
    for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        assert (await on(api.brand, method, "reward", foreign, body)).code == "brand_not_found"
        assert (await on(api.store, method, "reward", own, body)).code == "forbidden"
    assert (await create(api.brand, "reward", 2, name="x", points=1)).code == "brand_not_found"
    for unknown in ("0", "-1", "x", "999999", "1" * 30):
        item = {"brand_id": 1, "promotion_id": unknown}
        assert (await on(api.brand, "GET", "promotion", item)).code == "promotion_not_found"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("reward", {"name": "x"}),
        ("reward", {"name": "x", "points": 0}),
        ("reward", {"name": "x", "points": -1}),
        ("reward", {"name": "x", "points": 1.0}),
        ("reward", {"name": "x", "points": True}),
        ("reward", {"name": "", "points": 1}),
        ("reward", {"name": "<b>", "points": 1}),
        ("reward", {"name": "x", "points": 1, "stock": -1}),
        ("reward", {"name": "x", "points": 1, "stock": 100_001}),
        ("reward", {"name": "x", "points": 1, "customer_limit": 0}),
        ("reward", {"name": "x", "points": 1, "coins": 1}),
        ("reward", {"name": "x", "points": 1, **WINDOW}),
        ("promotion", {"name": "x", "points": 1, "coins": 1}),
        ("promotion", {"name": "x", "starts_at": "2026-01-01T00:00:00"}),
        ("promotion", {"name": "x", "starts_at": "2026-01-01"}),
        ("promotion", {"name": "x", "starts_at": "0001-01-01T00:00:00+14:00"}),
        ("promotion", {"name": "x", "ends_at": "9999-12-31T23:59:59-14:00"}),
        ("promotion", {"name": "x", "starts_at": WINDOW["ends_at"], "ends_at": WINDOW["ends_at"]}),
        ("promotion", {"name": "x", "segment": {"age_min": 30, "age_max": 20}}),
        ("promotion", {"name": "x", "segment": {"age": 3}}),
        ("promotion", {"name": "x", "segment": {"genders": []}}),
        ("promotion", {"name": "x", "segment": {"genders": ["female"]}}),
        ("gift", {"name": "x"}),
        ("gift", {"name": "x", "customer_ids": []}),
        ("gift", {"name": "x", "customer_ids": ["x"]}),
        ("gift", {"name": "x", "customer_ids": [str(uuid4())] * 301}),
        ("gift", {"name": "x", "customer_ids": [str(uuid4())], "points": 1}),
        ("gift", {"name": "x", "customer_ids": [str(uuid4())], "customer_limit": 1}),
    ],
)
async def test_what_makes_no_sense_is_not_made(api, kind, body):
    reply = await create(api.brand, kind, **body)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_coins_are_asked_for_where_they_are_received_only(api, demo):
    receivers = {one["brand_id"]: one["receiver"] for one in demo["brands"]}
    not_receiving = next(number for number, receives in receivers.items() if not receives)
    abroad = next(one["brand_id"] for one in demo["brands"] if one["country"] != "CO")
    for brand_id in (not_receiving, abroad):
        reply = await create(api.network, "promotion", brand_id, name="x", coins=1)
        assert (reply.status, reply.code) == (400, "invalid_request")
        free = await made(api.network, "promotion", brand_id, name="x")
        reply = await on(api.network, "PATCH", "promotion", free, {"coins": 1})
        assert (reply.status, reply.code) == (400, "invalid_request")


@pytest.mark.parametrize(
    "change",
    [
        {"coins": 5},
        {"ends_at": "2025-12-31T00:00:00Z"},
        {"starts_at": "2030-01-01T00:00:00Z"},
        {"starts_at": "2029-01-01T00:00:00"},
        {"name": None},
        {"points": None},
        {"customer_ids": [str(uuid4())]},
        {"promotion_id": 1},
    ],
)
async def test_a_change_is_judged_by_what_it_leads_to(api, change):
    promotion = await made(api.brand, "promotion", name="x", points=3, **WINDOW)
    reply = await on(api.brand, "PATCH", "promotion", promotion, change)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert (await on(api.brand, "GET", "promotion", promotion)).json == promotion


async def test_who_changed_what_is_recorded_without_the_customers(api, database, named):
    gift = await made(api.brand, "gift", name="Café", customer_ids=named)
    await on(api.brand, "PATCH", "gift", gift, {"available": False})
    await on(api.brand, "DELETE", "gift", gift)
    async with connection_to(database) as connection:
        rows = await connection.fetch(
            "select principal, action, content from change where subject = $1 order by change_id",
            str(gift["gift_id"]),
        )
    by = f"key:{api.brand.key.split('_')[1]}"
    assert [(row["principal"], row["action"]) for row in rows] == [
        (by, "gift created"),
        (by, "gift changed"),
        (by, "gift retired"),
    ]
    content = orjson.loads(rows[0]["content"])
    assert (content["name"], content["customers"]) == ("Café", 2)
    assert named[0] not in rows[0]["content"]
    assert orjson.loads(rows[1]["content"]) == {"available": False}

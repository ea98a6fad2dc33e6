"""Programmes: versions in time, none of them rewritten (PTS-2, COI-1, COI-2)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

PROGRAMME = {"points": 2, "points_amount": 100_000, "points_validity_days": 30}
SALE = {"amount": 1_000_000, "currency": "COP"}


@pytest.fixture
async def brand(api):
    """Return a new brand of Colombia, with a store, without a programme."""
    return await brand_of(api, "CO")


async def brand_of(api, country):
    made = await api.network.request("POST", "/v1/brands", {"name": "Nueva", "country": country})
    brand_id = made.json["brand_id"]
    store = await api.network.request(
        "POST", "/v1/stores", {"name": "Sur", "city": "Cali", "brand_id": brand_id}
    )
    return {
        "brand_id": brand_id,
        "store_id": store.json["store_id"],
        "path": f"/v1/brands/{brand_id}/programme",
    }


async def add(api, brand, **body):
    return await api.network.request("POST", brand["path"], PROGRAMME | body)


async def listed(api, brand):
    return (await api.network.request("GET", brand["path"])).json


def ahead(**span):
    """Return a moment to come, as the contract writes it."""
    return (datetime.now(UTC) + timedelta(**span)).isoformat().replace("+00:00", "Z")


async def test_a_brand_begins_without_a_programme_and_earns_nothing_yet(api, brand, customer_id):
    assert await listed(api, brand) == {"current": None, "versions": []}
    sale = await api.network.accumulate(customer_id, **SALE, store_id=brand["store_id"])
    assert (sale.status, sale.code) == (400, "occurred_at_out_of_range")


async def test_a_version_without_a_moment_begins_now(api, brand, customer_id):
    before = datetime.now(UTC)
    made = await add(api, brand, coins=3, coins_amount=20_000, issuer=True, receiver=True)
    assert made.status == 201
    begins = datetime.fromisoformat(made.json.pop("effective_from"))
    assert before <= begins <= datetime.now(UTC)
    assert made.json == PROGRAMME | {
        "version": 1,
        "coins": 3,
        "coins_amount": 20_000,
        "issuer": True,
        "receiver": True,
        "currency": "COP",
    }
    told = await listed(api, brand)
    assert told["versions"] == [told["current"]]
    store = await api.network.request("GET", f"/v1/stores/{brand['store_id']}")
    assert store.json["programme"] == told["current"]
    sale = await api.network.accumulate(customer_id, **SALE, store_id=brand["store_id"])
    assert (sale.json["points"]["earned"], sale.json["coins"]["earned"]) == (20, 150)


async def test_versions_are_listed_by_when_they_begin(api, brand):
    late, soon = ahead(days=30), ahead(days=3)
    for body in ({}, {"effective_from": late, "points": 9}, {"effective_from": soon}):
        assert (await add(api, brand, **body)).status == 201
    told = await listed(api, brand)
    assert [one["version"] for one in told["versions"]] == [1, 3, 2]
    assert [one["effective_from"] for one in told["versions"]][1:] == [soon, late]
    assert told["current"] == told["versions"][0]
    assert told["versions"][2]["points"] == 9


async def test_a_new_version_changes_no_sale_that_lies_before_it(api, brand, customer_id):
    await add(api, brand)
    between = ahead()
    await add(api, brand, points=5)
    for occurred_at, earned in ((between, 20), (None, 50)):
        body = SALE if occurred_at is None else SALE | {"occurred_at": occurred_at}
        sale = await api.network.accumulate(customer_id, **body, store_id=brand["store_id"])
        assert sale.json["points"]["earned"] == earned


async def test_a_version_to_come_is_in_force_from_its_moment_on(api, brand, customer_id):
    await add(api, brand)
    begins = datetime.now(UTC) + timedelta(milliseconds=700)
    made = await add(api, brand, points=5, effective_from=begins.isoformat())
    assert made.json["version"] == 2
    assert (await listed(api, brand))["current"]["version"] == 1
    moments = {begins - timedelta(microseconds=1): 20, begins: 50}
    for moment, earned in moments.items():
        sale = await api.network.accumulate(
            customer_id, **SALE, store_id=brand["store_id"], occurred_at=moment.isoformat()
        )
        assert sale.json["points"]["earned"] == earned
    async with asyncio.timeout(30):
        while (await listed(api, brand))["current"]["version"] == 1:
            await asyncio.sleep(0.05)
    sale = await api.network.accumulate(customer_id, **SALE, store_id=brand["store_id"])
    assert sale.json["points"]["earned"] == 50


async def test_nothing_begins_in_the_past(api, brand):
    for moment in ("2020-01-01T00:00:00Z", ahead(seconds=-2), ahead(days=4000), "2999-01-01T00:00"):
        reply = await add(api, brand, effective_from=moment)
        assert (reply.status, reply.code) == (400, "invalid_request"), moment
    assert await listed(api, brand) == {"current": None, "versions": []}


COINS = {"coins": 3, "coins_amount": 20_000, "issuer": True, "receiver": True}


def coins_of(programme):
    return {name: programme[name] for name in COINS}


async def test_new_points_leave_the_coins_as_they_were(api, brand):
    first = (await add(api, brand)).json
    assert coins_of(first) == {
        "coins": 0,
        "coins_amount": 100_000,
        "issuer": False,
        "receiver": False,
    }
    await add(api, brand, **COINS)
    assert coins_of((await add(api, brand, points=9)).json) == COINS
    changed = (await add(api, brand, coins=5, receiver=False)).json
    assert coins_of(changed) == COINS | {"coins": 5, "receiver": False}
    off = (await add(api, brand, issuer=False, coins=0)).json
    assert coins_of(off) == COINS | {"coins": 0, "issuer": False, "receiver": False}


async def test_coins_are_those_of_the_version_that_is_in_force_at_the_moment(api, brand):
    await add(api, brand)
    assert (await add(api, brand, **COINS, effective_from=ahead(days=10))).status == 201
    before = (await add(api, brand, points=3, effective_from=ahead(days=5))).json
    after = (await add(api, brand, points=4, effective_from=ahead(days=15))).json
    assert (before["issuer"], before["coins"]) == (False, 0)
    assert coins_of(after) == COINS


async def test_an_issuer_stays_one_only_with_coins(api, brand):
    await add(api, brand, **COINS)
    reply = await add(api, brand, coins=0)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert "`issuer: false`" in reply.json["detail"]
    assert len((await listed(api, brand))["versions"]) == 1


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_the_ends_of_the_calendar_are_refused_too(api, brand, moment):
    reply = await add(api, brand, effective_from=moment)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_two_versions_do_not_begin_at_one_moment(api, brand):
    moment = ahead(days=1)
    assert (await add(api, brand, effective_from=moment)).status == 201
    reply = await add(api, brand, effective_from=moment, points=9)
    assert (reply.status, reply.code) == (409, "programme_exists")
    assert [one["points"] for one in (await listed(api, brand))["versions"]] == [2]


async def test_of_many_at_one_moment_one_is_made(api, brand):
    moment = ahead(days=1)
    replies = await asyncio.gather(*(add(api, brand, effective_from=moment) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 7
    assert len((await listed(api, brand))["versions"]) == 1


@pytest.mark.parametrize("coins", [{"coins": 1}, {"issuer": True, "coins": 1}, {"receiver": True}])
@pytest.mark.parametrize("country", ["SV", "GT", "PA"])
async def test_coins_are_in_colombia_only(api, country, coins):
    brand = await brand_of(api, country)
    reply = await add(api, brand, **coins)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert (await add(api, brand)).json["currency"] in ("USD", "GTQ")


@pytest.mark.parametrize(
    "body",
    [
        {"issuer": True},
        {"coins": None},
        {"points": -1},
        {"points_amount": 0},
        {"points_validity_days": 0},
        {"points": 1.5},
        {"points": 10**12 + 1},
        {"coins_amount": 0},
        {"version": 3},
        {"issuer": 1},
        {"effective_from": "soon"},
        {"effective_from": 5},
    ],
)
async def test_what_is_no_programme_is_refused(api, brand, body):
    reply = await add(api, brand, **body)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_a_version_that_is_not_in_force_yet_can_be_taken_back(api, brand):
    await add(api, brand)
    soon = (await add(api, brand, effective_from=ahead(days=1), points=3)).json
    late = (await add(api, brand, effective_from=ahead(days=2), points=4)).json
    gone = await api.network.request("DELETE", brand["path"] + "/2")
    assert (gone.status, gone.json) == (200, soon)
    told = await listed(api, brand)
    assert told["versions"][1:] == [late]
    reply = await api.network.request("DELETE", f"{brand['path']}/1")
    assert (reply.status, reply.code) == (409, "programme_in_force")
    for version in ("2", "0", "-1", "x", "1.0", "9", "2147483648", "9" * 30):
        reply = await api.network.request("DELETE", f"{brand['path']}/{version}")
        assert (reply.status, reply.code) == (404, "programme_not_found")
    assert (await listed(api, brand)) == told


async def test_a_number_stays_that_of_one_version(api, brand):
    await add(api, brand)
    late = (await add(api, brand, effective_from=ahead(days=2))).json
    await api.network.request("DELETE", f"{brand['path']}/{late['version']}")
    soon = (await add(api, brand, effective_from=ahead(days=1))).json
    now = (await add(api, brand)).json
    assert [one["version"] for one in (late, soon, now)] == [2, 3, 4]
    reply = await api.network.request("DELETE", f"{brand['path']}/2")
    assert (reply.status, reply.code) == (404, "programme_not_found")
    told = await listed(api, brand)
    assert told["current"] == now
    assert [one["version"] for one in told["versions"]] == [1, 4, 3]


async def test_a_brand_keeps_its_own_programme(api):
    moment = ahead(days=100)
    made = await api.brand.request(
        "POST", "/v1/brands/1/programme", PROGRAMME | {"effective_from": moment}
    )
    assert made.status == 201
    for client in (api.brand, api.store, api.app):
        told = (await client.request("GET", "/v1/brands/1/programme")).json
        assert told["versions"][-1] == made.json
        assert told["current"]["version"] == 1
    version = made.json["version"]
    gone = await api.brand.request("DELETE", f"/v1/brands/1/programme/{version}")
    assert gone.json == made.json
    for method, path, body in (
        ("GET", "/v1/brands/2/programme", None),
        ("POST", "/v1/brands/2/programme", PROGRAMME),
        ("DELETE", "/v1/brands/2/programme/1", None),
    ):
        reply = await api.brand.request(method, path, body)
        assert (reply.status, reply.code) == (404, "brand_not_found")

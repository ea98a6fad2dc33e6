"""Partner programmes and organisations: the network keeps them, everyone reads them."""

from __future__ import annotations

import pytest

SORTS = {"partners": "partner", "organisations": "organisation"}
SAME = {"coins": 1, "points": 1}
NOT_FOUND = {"partners": "partner_not_found", "organisations": "organisation_not_found"}


@pytest.fixture(params=SORTS)
def sort(request):
    """Return the plural of one sort of party."""
    return request.param


def told(sort, body):
    """Return what everyone reads of a party; the points of a partner become as many coins."""
    return body | {"retired": False} | ({"rate": SAME} if sort == "partners" else {})


def id_of(sort, body):
    return body[f"{SORTS[sort]}_id"]


async def create(api, sort, name="Nuevo"):
    return await api.network.request("POST", f"/v1/{sort}", {"name": name})


async def listed(client, sort):
    return (await client.request("GET", f"/v1/{sort}?limit=1000")).json[sort]


async def test_everyone_reads_what_there_is(api, demo, sort):
    wanted = [told(sort, one) for one in demo[sort]]
    for client in (api.network, api.brand, api.store, api.app):
        assert [one for one in await listed(client, sort) if one in wanted] == wanted
        first = await client.request("GET", f"/v1/{sort}/1")
        assert (first.status, first.json) == (200, wanted[0])


async def test_the_network_makes_and_renames_one(api, sort):
    made = await create(api, sort, "Millas Ñandú")
    party_id = id_of(sort, made.json)
    assert made.status == 201
    assert made.json == told(sort, {f"{SORTS[sort]}_id": party_id, "name": "Millas Ñandú"})
    assert made.json in await listed(api.app, sort)
    changed = await api.network.request("PATCH", f"/v1/{sort}/{party_id}", {"name": "Millas"})
    assert (changed.status, changed.json) == (200, made.json | {"name": "Millas"})
    assert (await api.store.request("GET", f"/v1/{sort}/{party_id}")).json == changed.json


async def test_a_retired_one_is_the_networks_alone_to_read(api, sort):
    made = (await create(api, sort)).json
    path = f"/v1/{sort}/{id_of(sort, made)}"
    retired = made | {"retired": True}
    for _ in range(2):
        gone = await api.network.request("DELETE", path)
        assert (gone.status, gone.json) == (200, retired)
    assert (await api.network.request("GET", path)).json == retired
    assert retired in await listed(api.network, sort)
    for client in (api.brand, api.store, api.app):
        reply = await client.request("GET", path)
        assert (reply.status, reply.code) == (404, NOT_FOUND[sort])
        assert id_of(sort, made) not in [id_of(sort, one) for one in await listed(client, sort)]
    reply = await api.network.request("PATCH", path, {"name": "Back"})
    assert (reply.status, reply.code) == (409, "retired")


async def test_the_list_comes_in_pages(api, sort):
    for _ in range(3):
        await create(api, sort)
    seen, cursor = [], "0"
    while cursor is not None:
        page = (await api.network.request("GET", f"/v1/{sort}?limit=2&cursor={cursor}")).json
        seen += page[sort]
        cursor = page["next_cursor"]
    assert seen == await listed(api.network, sort)


@pytest.mark.parametrize("party_id", ["999999", "0", "x", "-1"])
async def test_what_is_none_is_told_so(api, sort, party_id):
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        reply = await api.network.request(method, f"/v1/{sort}/{party_id}", body)
        assert (reply.status, reply.code) == (404, NOT_FOUND[sort])


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}, {"name": "x", "id": 1}])
async def test_what_cannot_be_one_is_refused(api, sort, body):
    for method, path in (("POST", f"/v1/{sort}"), ("PATCH", f"/v1/{sort}/1")):
        reply = await api.network.request(method, path, body)
        assert (reply.status, reply.code) == (400, "invalid_request")


async def test_a_partner_has_a_rate_which_changes_from_now_on(api):
    rate = {"coins": 3, "points": 2}
    made = await api.network.request("POST", "/v1/partners", {"name": "Millas", "rate": rate})
    assert (made.status, made.json["rate"]) == (201, rate)
    path = f"/v1/partners/{made.json['partner_id']}"
    named = await api.network.request("PATCH", path, {"name": "Otras"})
    assert named.json == made.json | {"name": "Otras"}
    changed = await api.network.request("PATCH", path, {"rate": SAME})
    assert changed.json == named.json | {"rate": SAME}
    assert (await api.app.request("GET", path)).json == changed.json


@pytest.mark.parametrize(
    "rate",
    [
        None,
        {},
        {"coins": 1},
        {"coins": 0, "points": 1},
        {"coins": 1, "points": 0},
        {"coins": 10**9, "points": 1},
        "1:1",
    ],
)
async def test_what_cannot_be_a_rate_is_refused(api, rate):
    for method, path in (("POST", "/v1/partners"), ("PATCH", "/v1/partners/1")):
        reply = await api.network.request(method, path, {"name": "Millas", "rate": rate})
        assert (reply.status, reply.code) == (400, "invalid_request")


async def test_an_organisation_has_no_rate(api):
    body = {"name": "Sembrar", "rate": SAME}
    reply = await api.network.request("POST", "/v1/organisations", body)
    assert (reply.status, reply.code) == (400, "invalid_request")

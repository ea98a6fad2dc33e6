"""A customer is found by what they have with them (CUS-2)."""

from __future__ import annotations

from uuid import uuid4

import pytest


@pytest.fixture
def person(people):
    """Return a customer of the demo network with a phone."""
    return people.complete()


@pytest.mark.parametrize("kind", ["document", "phone", "email"])
async def test_each_identity_finds_the_customer(api, person, kind):
    reply = await api.network.lookup(**{kind: person[kind]})
    assert reply.status == 200
    assert reply.json["customer"]["customer_id"] == person["customer_id"]
    assert reply.json["customer"]["document"] == person["document"]
    assert reply.json["wallets"] == []


async def test_a_store_sees_its_points_and_the_coins_at_zero(api, person):
    reply = await api.store.lookup(email=person["email"].upper())
    assert [(w["asset"], w.get("brand_id"), w["balance"]) for w in reply.json["wallets"]] == [
        ("coins", None, 0),
        ("points", 1, 0),
    ]


async def test_the_balances_are_those_of_the_wallets(api, person):
    await api.store.accumulate(person["customer_id"], amount=5_400_000, currency="COP")
    found = await api.store.lookup(email=person["email"])
    wallets = await api.store.wallets(person["customer_id"])
    assert found.json["wallets"] == wallets.json["wallets"]
    assert [w["balance"] for w in found.json["wallets"]] == [540, 54]


@pytest.mark.parametrize(
    "unknown",
    [
        {"document": {"type": "CC", "number": "999999999"}},
        {"phone": "+573009999999"},
        {"email": "nobody@example.com"},
    ],
    ids=str,
)
async def test_nobody_is_found_where_nobody_is(api, unknown):
    reply = await api.store.lookup(**unknown)
    assert (reply.status, reply.code) == (404, "customer_not_found")


async def test_the_title_offers_a_registration_in_spanish(api):
    reply = await api.store.request(
        "POST",
        "/v1/customers/lookup",
        {"email": "nobody@example.com"},
        headers={"Accept-Language": "es-CO"},
    )
    assert reply.json["title"] == "El usuario no se pudo encontrar. ¿Te gustaría crear una cuenta?"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"phone": "+573001234567", "email": "ana@example.com"},
        {"phone": None},
        {"customer_id": "6f1d2c3b-4a59-4e68-9d77-8c6b5a493827"},
        {"phone": "12"},
        {"email": "ana"},
        {"document": {"type": "CC", "number": "x"}},
        {"phone": "\x00"},
        [],
        "ana@example.com",
    ],
    ids=str,
)
async def test_exactly_one_sane_way_to_find_someone_is_taken(api, body):
    reply = await api.store.request("POST", "/v1/customers/lookup", body)
    assert (reply.status, reply.code) == (400, "invalid_request")


async def test_a_wrong_number_is_not_repeated_in_the_problem(api):
    for body in ({"phone": "31700001"}, {"document": {"type": "CC", "number": "77xx77"}}):
        reply = await api.store.lookup(**body)
        assert "31700001" not in str(reply.json)
        assert "77xx77" not in str(reply.json)


async def test_an_id_that_is_none_is_nobodys(api):
    for text in (str(uuid4()), "0", "%00", "..%2F..", "0" * 36, "x" * 500):
        reply = await api.store.customer(text)
        assert reply.status == 404
        assert reply.code in ("customer_not_found", "not_found")

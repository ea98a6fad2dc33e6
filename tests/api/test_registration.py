"""One registration serves the whole network (CUS-1, CUS-3…CUS-6)."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

import orjson
import pytest

numbers = count(700_000_001)

FULL = {
    "first_names": "Ana María",
    "last_names": "Rodríguez",
    "gender": "F",
    "birth_date": "1990-05-17",
}


def quick(**more):
    number = next(numbers)
    return {
        "document": {"type": "CC", "number": str(number)},
        "email": f"ana{number}@example.com",
    } | more


def phone():
    return f"+57300{next(numbers) % 10_000_000:07}"


async def test_a_quick_registration_takes_document_and_email(api):
    body = quick()
    reply = await api.store.register(**body)
    assert reply.status == 201
    customer = reply.json
    assert UUID(customer["customer_id"])
    assert customer["status"] == "active"
    assert customer["profile_complete"] is False
    assert customer["missing_fields"] == [
        *("phone", "first_names", "last_names", "gender", "birth_date")
    ]
    assert customer["email"] == body["email"]
    assert (await api.store.customer(customer["customer_id"])).json == customer


async def test_a_full_registration_is_a_complete_profile(api):
    body = quick(**FULL, phone=phone(), country="CO", city="Cali")
    customer = (await api.store.register(**body)).json
    assert (customer["profile_complete"], customer["missing_fields"]) == (True, [])
    for name in (*FULL, "phone", "country", "city"):
        assert customer[name] == body[name]
    assert datetime.fromisoformat(customer["created_at"]).tzinfo is not None


async def test_country_and_city_come_from_the_store(api, demo):
    customer = (await api.store.register(**quick())).json
    store = demo["stores"][0]
    assert (customer["country"], customer["city"]) == (store["country"], store["city"])


async def test_the_document_is_masked_for_those_who_need_no_more(api):
    body = quick()
    customer = (await api.store.register(**body)).json
    number = body["document"]["number"]
    assert customer["document"] == {"type": "CC", "number": "*" * 5 + number[-4:]}
    for client, shown in (
        (api.brand, "*" * 5 + number[-4:]),
        (api.app, number),
        (api.network, number),
    ):
        seen = (await client.customer(customer["customer_id"])).json
        assert seen["document"]["number"] == shown


async def test_a_customer_registered_at_one_brand_is_known_to_all(api):
    body = quick()
    registered = (await api.store.register(**body)).json
    found = await api.other_store.lookup(document=body["document"])
    assert found.json["customer"]["customer_id"] == registered["customer_id"]


@pytest.mark.parametrize("kind", ["document", "email", "phone"])
async def test_someone_who_is_there_already_is_named(api, kind):
    first = quick(phone=phone())
    registered = (await api.store.register(**first)).json
    other = quick(phone=phone()) | {kind: first[kind]}
    reply = await api.other_store.register(**other)
    assert (reply.status, reply.code) == (409, "customer_exists")
    assert reply.json["customer_id"] == registered["customer_id"]
    assert kind in reply.json["detail"]


async def test_another_spelling_of_an_identity_is_the_same_identity(api):
    number, mobile = next(numbers), phone()
    dotted = f"{number:,}".replace(",", ".")
    first = {
        "document": {"type": "CC", "number": dotted},
        "email": f"Ana.{number}@Example.COM",
        "phone": f"{mobile[3:6]} {mobile[6:]}",
    }
    registered = (await api.store.register(**first)).json
    assert registered["phone"] == mobile
    for other in (
        quick(document={"type": "CC", "number": str(number)}),
        quick(email=f"ana.{number}@example.com"),
        quick(phone=mobile),
    ):
        reply = await api.store.register(**other)
        assert (reply.status, reply.code) == (409, "customer_exists")
        assert reply.json["customer_id"] == registered["customer_id"]


async def test_a_nit_is_the_same_with_and_without_its_check_digit(api):
    registered = await api.store.register(**quick(document={"type": "NIT", "number": "900123456"}))
    assert registered.status == 201
    for number in ("900.123.456-8", "9001234568"):
        document = {"type": "NIT", "number": number}
        again = await api.store.register(**quick(document=document))
        assert (again.status, again.code) == (409, "customer_exists")
        assert again.json["customer_id"] == registered.json["customer_id"]
        found = await api.store.lookup(document=document)
        assert found.json["customer"]["customer_id"] == registered.json["customer_id"]


async def test_a_document_is_read_as_its_own_countrys(api):
    document = {"type": "NIT", "number": "0614-050707-104-8", "country": "SV"}
    registered = await api.store.register(**quick(document=document, country="CO"))
    assert (registered.status, registered.json["country"]) == (201, "CO")
    found = await api.store.lookup(document=document)
    assert found.json["customer"]["customer_id"] == registered.json["customer_id"]
    elsewhere = await api.store.lookup(document=document | {"country": "CO"})
    assert elsewhere.status == 400


async def test_names_have_one_space_between_their_words(api):
    customer = (await api.store.register(**quick(first_names=" Ana   María ", city="Cali "))).json
    assert (customer["first_names"], customer["city"]) == ("Ana María", "Cali")


@pytest.mark.parametrize("day", ["1900-01-01", "2020-02-29"])
async def test_a_birth_date_lies_in_the_past(api, day):
    reply = await api.store.register(**quick(birth_date=day))
    assert (reply.status, reply.json["birth_date"]) == (201, day)


async def test_the_same_person_registered_many_times_at_once_is_registered_once(api):
    body = quick(phone=phone())
    replies = await asyncio.gather(*(api.store.register(**body) for _ in range(20)))
    assert Counter(reply.status for reply in replies) == {201: 1, 409: 19}
    assert len({reply.json["customer_id"] for reply in replies}) == 1


async def test_a_new_customer_can_accumulate_at_once(api):
    customer = (await api.store.register(**quick())).json
    reply = await api.store.accumulate(customer["customer_id"], amount=100_000, currency="COP")
    assert reply.json["points"]["balance"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"document": {"type": "CC", "number": "12"}},
        {"document": {"type": "XX", "number": "1020304050"}},
        {"document": {"type": "CC"}},
        {"document": {"type": "CC", "number": "1020304050", "place": "CO"}},
        {"document": "1020304050"},
        {"email": "not an address"},
        {"email": "a@b"},
        {"email": None},
        {"phone": "123"},
        {"phone": "+57 300"},
        {"gender": "female"},
        {"birth_date": "17/05/1990"},
        {"birth_date": "1990-02-30"},
        {"birth_date": "1899-12-31"},
        {"birth_date": "2190-05-17"},
        {"birth_date": datetime.now(UTC).date().isoformat()},
        {"birth_date": 19900517},
        {"country": "US"},
        {"first_names": "A" * 101},
        {"first_names": "<script>"},
        {"first_names": "A\x00B"},
        {"first_names": "A\u200bB"},
        {"last_names": "N/A"},
        {"city": "Bogotá\nD.C."},
        {"customer_id": "0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c"},
        {"missing_fields": 0},
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_and_registers_nobody(api, wrong):
    body = quick() | wrong
    reply = await api.store.register(**body)
    assert (reply.status, reply.code) == (400, "invalid_request")
    if "document" not in wrong:
        assert (await api.store.lookup(document=body["document"])).status == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"document": {"type": "CC", "number": "{secret}"}},
        {"document": {"type": "{secret}", "number": "1020304050"}},
        {"document": {"type": "CC", "number": "1020304050", "country": "{secret}"}},
        {"email": "{secret}"},
        {"phone": "{secret}"},
        {"gender": "{secret}"},
        {"birth_date": "{secret}"},
        {"country": "{secret}"},
        {"first_names": "<{secret}>"},
    ],
    ids=str,
)
async def test_what_is_refused_is_not_repeated(api, wrong):
    filled = orjson.loads(orjson.dumps(wrong).replace(b"{secret}", b"Zoraida 99"))
    reply = await api.store.register(**quick() | filled)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert "Zoraida" not in str(reply.json)

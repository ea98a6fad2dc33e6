"""A cashier types one text, without its kind, and finds the customer (CUS-15)."""

from __future__ import annotations

from itertools import count

import pytest

numbers = count(1_152_000_001)


def mobile():
    return f"3009{next(numbers) % 1_000_000:06}"


def person(**more):
    number = next(numbers)
    named = {"first_names": "Ana María", "last_names": "Gómez"}
    return {
        "document": {"type": "CC", "number": str(number)},
        "email": f"texto{number}@example.com",
        "phone": f"+57{mobile()}",
    } | (named | more)


async def registered(client, **more):
    reply = await client.register(**person(**more))
    assert reply.status == 201, reply.json
    return reply.json["customer_id"]


def ids(reply):
    assert reply.status == 200, reply.json
    assert set(reply.json) == {"matches"}
    return [one["customer_id"] for one in reply.json["matches"]]


async def test_a_text_finds_what_its_kind_would_have_found(api):
    sent = person()
    customer_id = await registered(api.store, **sent)
    number, phone, email = sent["document"]["number"], sent["phone"], sent["email"]
    dotted = f"{int(number):,}".replace(",", ".")
    for text in (
        number,
        dotted,
        f"00{number}",
        phone,
        phone[3:],
        f"0057{phone[3:]}",
        email.upper(),
    ):
        found = await api.store.lookup(text=text)
        assert found.status == 200, (text, found.json)
        assert found.json["customer"]["customer_id"] == customer_id
    by_kind = await api.store.lookup(document=sent["document"])
    assert (await api.store.lookup(text=number)).json == by_kind.json


@pytest.mark.parametrize(
    ("shown", "typed"),
    [
        ({"type": "CED", "number": "8AV-557-7673"}, "8-av-557-7673"),
        ({"type": "DUI", "number": "21670771-9"}, "216707719"),
        ({"type": "PA", "number": "xq778899", "country": "US"}, "XQ 778899"),
        ({"type": "PA", "number": "xq778800"}, "xq778800"),
        ({"type": "NIT", "number": "901223355", "country": "CO"}, "901.223.355"),
        ({"type": "NIT", "number": "576937-K", "country": "GT"}, "576937K"),
        ({"type": "RUC", "number": "155612345-2-2019"}, "155612345-2-2019 DV 11"),
    ],
)
async def test_documents_of_every_country_are_found_at_every_store(api, shown, typed):
    customer_id = await registered(api.network, document=shown, country="CO")
    for client in (api.store, api.other_store, api.network):
        found = await client.lookup(text=typed)
        assert found.status == 200, found.json
        assert found.json["customer"]["customer_id"] == customer_id


async def test_the_qr_of_the_app_is_a_text_too(api):
    customer_id = await registered(api.store)
    qr = (await api.app.qr(customer_id)).json["qr"]
    found = await api.store.lookup(text=qr)
    assert found.json["customer"]["customer_id"] == customer_id


async def test_several_whom_a_text_fits_are_listed_masked(api):
    number = mobile()
    by_phone = await registered(api.store, phone=f"+57{number}")
    by_document = await registered(api.store, document={"type": "CC", "number": number})
    by_passport = await registered(
        api.store, document={"type": "PA", "number": number, "country": "US"}
    )
    reply = await api.store.lookup(text=number)
    assert ids(reply) == [by_document, by_phone, by_passport]
    for client in (api.network, api.app, api.brand):
        assert set(ids(await client.lookup(text=number))) == set(ids(reply))
    first, second, third = reply.json["matches"]
    assert first["document"] == {"type": "CC", "number": "*" * 6 + number[-4:]}
    assert third["document"] == {"type": "PA", "number": "*" * 6 + number[-4:], "country": "US"}
    assert (second["first_names"], second["last_names"]) == ("Ana María", "Gómez")
    assert second["phone"] == "*********" + number[-4:]
    assert second["email"] == "t***@example.com"


async def test_the_parts_of_a_panamanian_number_are_nobody_elses_number(api):
    number = str(next(numbers) % 1_000_000)
    of_panama = await registered(api.store, document={"type": "CED", "number": f"8-77-{number}"})
    for typed in (f"8-77-{number}", f"08–077–{number}"):
        for client in (api.store, api.network):
            found = await client.lookup(text=typed)
            assert found.json["customer"]["customer_id"] == of_panama
    colombian = await registered(api.store, document={"type": "CC", "number": f"877{number}"})
    found = await api.network.lookup(text=f"8-77-{number}")
    assert found.json["customer"]["customer_id"] == of_panama
    assert ids(await api.store.lookup(text=f"8-77-{number}")) == [colombian, of_panama]


async def test_a_cedula_with_hyphens_is_found_at_a_colombian_store(api):
    number = str(next(numbers))
    customer_id = await registered(api.store, document={"type": "CC", "number": number})
    found = await api.store.lookup(text=f"{number[0]}-{number[1:4]}-{number[4:]}")
    assert found.json["customer"]["customer_id"] == customer_id


async def test_the_same_person_by_two_of_their_identities_is_one(api):
    number = mobile()
    customer_id = await registered(
        api.store, document={"type": "CC", "number": number}, phone=f"+57{number}"
    )
    found = await api.store.lookup(text=number)
    assert found.json["customer"]["customer_id"] == customer_id


@pytest.mark.parametrize(
    "text", ["1199988877", "3009999999", "nobody@example.com", "Ana", "ñ", "8-999-99999"]
)
async def test_a_text_that_fits_nobody_finds_nobody(api, text):
    reply = await api.store.lookup(text=text)
    assert (reply.status, reply.code) == (404, "customer_not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"text": "ana@"},
        {"text": "peña@example.com"},
        {"text": ""},
        {"text": "1020304050", "phone": "+573001234567"},
        {"text": "1" * 101},
        {"text": 1020304050},
        {"document": {"number": "1020304050"}},
    ],
    ids=str,
)
async def test_what_is_no_text_to_look_for_is_refused(api, body):
    reply = await api.store.lookup(**body)
    assert (reply.status, reply.code) == (400, "invalid_request")

"""One person is one customer, whatever document they show and whichever till sees it (CUS-10)."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest
from stdnum.co import nit as colombian_nit

from engine.people.documents import cui_check_digit, dui_check_digit

numbers = count(1_146_000_001)


def nuip():
    return str(next(numbers))


def nit(number):
    return f"{number}-{colombian_nit.calc_check_digit(number)}"


def panamanian():
    number = next(numbers) % 1_000_000
    return f"8-{number // 1000 + 100}-{number % 1000 + 1000}"


def dui():
    first = f"{next(numbers) % 100_000_000:08}"
    return f"{first}{dui_check_digit(first)}"


def cui():
    while True:
        first = f"{next(numbers) % 10_000_000 + 20_000_000}"
        if (check := cui_check_digit(first)) != 10:
            return f"{first}{check}0101"


def document(document_type, number, country=None):
    told = {"type": document_type, "number": number}
    return told if country is None else told | {"country": country}


def body(shown, **more):
    return {"document": shown, "email": f"uno{next(numbers)}@example.com"} | more


@pytest.fixture
async def store_in(api, demo):
    """Give what makes a client with a key of a store in a country."""
    made = []

    async def make(country):
        store = next(one for one in demo["stores"] if one["country"] == country)
        key = {"role": "store", "store_id": store["store_id"], "name": "identities"}
        made.append((await api.network.request("POST", "/v1/keys", key)).json)
        return api.with_key(made[-1]["key"])

    yield make
    for key in made:
        await api.network.request("DELETE", f"/v1/keys/{key['key_id']}")


def colombian():
    number = nuip()
    papers = [document("TI", number), document("CC", f"{int(number):,}".replace(",", "."))]
    papers += [document("RC", number), document("NIT", nit(number), "CO")]
    return [
        *papers,
        document("NIT", nit(number).replace("-", ""), "CO"),
        document("CC", f"00{number}"),
    ]


def of_panama():
    number = panamanian()
    papers = [document("CED", number), document("CED", number.replace("-", " "))]
    return [*papers, document("RUC", number), document("RUC", f"{number} DV 46")]


def of_panama_by_an_old_registration():
    province, tome, entry = panamanian().split("-")
    spelled = [f"{province}{mark}-{tome}-{entry}" for mark in ("AV", "-AV", " av")]
    return [document("CED", number) for number in spelled] + [document("RUC", spelled[0])]


def of_el_salvador():
    number = dui()
    return [document("DUI", number), document("NIT", f"{number[:8]}-{number[8]}", "SV")]


def of_guatemala():
    number = cui()
    return [document("DPI", number), document("CUI", number), document("NIT", number, "GT")]


@pytest.mark.parametrize(
    "papers",
    [colombian, of_panama, of_panama_by_an_old_registration, of_el_salvador, of_guatemala],
)
async def test_the_documents_of_one_person_are_one_customer(api, papers):
    for first in range(len(papers())):
        shown = papers()
        registered = await api.store.register(**body(shown[first]))
        assert registered.status == 201, registered.json
        customer_id = registered.json["customer_id"]
        for other in shown:
            found = await api.store.lookup(document=other)
            assert (found.status, found.json["customer"]["customer_id"]) == (200, customer_id)
            again = await api.other_store.register(**body(other))
            assert (again.status, again.code) == (409, "customer_exists")
            assert again.json["customer_id"] == customer_id


async def test_the_document_is_kept_as_it_was_shown(api):
    number = nuip()
    registered = await api.network.register(**body(document("TI", number)))
    assert registered.json["document"] == document("TI", number)
    turned = await api.network.update(
        registered.json["customer_id"], document=document("CC", number)
    )
    assert (turned.status, turned.json["document"]) == (200, document("CC", number))
    found = await api.network.lookup(document=document("TI", number))
    assert found.json["customer"]["document"] == document("CC", number)


async def test_a_company_is_not_the_person_with_that_cedula(api):
    number = str(next(numbers) % 100_000_000 + 900_000_000)
    person = await api.store.register(**body(document("CC", number)))
    company = await api.store.register(**body(document("NIT", nit(number), "CO")))
    assert (person.status, company.status) == (201, 201)
    assert person.json["customer_id"] != company.json["customer_id"]


async def test_a_ti_that_begins_with_zero_is_accepted_as_written(api):
    number = f"040615{next(numbers) % 100_000:05}"
    registered = await api.network.register(**body(document("TI", number)))
    assert registered.json["document"]["number"] == number
    found = await api.network.lookup(document=document("TI", f"{number[:6]} {number[6:]}"))
    assert found.json["customer"]["customer_id"] == registered.json["customer_id"]


@pytest.mark.parametrize("number", ["1234567890", "22222222", "0012345678", "1111111111"])
async def test_what_is_typed_for_no_document_is_no_document(api, number):
    other = document("CC", nuip())
    customer_id = (await api.network.register(**body(other))).json["customer_id"]
    for client in (api.store, api.brand, api.app):
        refused = await client.register(**body(document("CC", number)))
        assert (refused.status, refused.code) == (400, "invalid_request")
        assert "ask for the document" in refused.json["detail"]
        assert "Customer service" in refused.json["detail"]
        changed = await client.update(customer_id, document=document("CC", number))
        assert changed.status in (400, 403)
    assert (await api.store.lookup(document=document("CC", number))).status == 404


async def test_customer_service_registers_a_number_that_looks_like_none(api):
    for shown in (document("CC", "33333333"), document("CE", "987654321")):
        registered = await api.network.register(**body(shown))
        assert (registered.status, registered.json["document"]) == (201, shown)
        found = await api.store.lookup(document=shown)
        assert found.json["customer"]["customer_id"] == registered.json["customer_id"]
    customer_id = (await api.store.register(**body(document("CC", nuip())))).json["customer_id"]
    shown = document("CC", "77777777")
    changed = await api.network.update(customer_id, document=shown)
    assert (changed.status, changed.json["document"]) == (200, shown)


async def test_a_short_cedula_of_equal_or_counted_digits_is_a_document(api):
    for number in ("123456", "1111111"):
        assert (await api.store.register(**body(document("CC", number)))).status == 201


async def test_one_person_by_two_documents_at_once_is_registered_once(api):
    for papers in (colombian, of_panama, of_el_salvador, of_guatemala):
        replies = await asyncio.gather(*(api.store.register(**body(shown)) for shown in papers()))
        statuses = sorted(reply.status for reply in replies)
        assert statuses == [201] + [409] * (len(replies) - 1)
        assert len({reply.json["customer_id"] for reply in replies}) == 1


async def test_bulk_finds_a_person_by_any_of_their_documents(api):
    number = nuip()
    registered = await api.store.register(**body(document("CC", number)))
    items = [
        {"idempotency_key": f"{number}-{n}", "document": shown, "amount": 100_000}
        for n, shown in enumerate((document("TI", number), document("NIT", nit(number), "CO")))
    ]
    results = (await api.store.upload(items)).json["results"]
    assert [one["status"] for one in results] == [201, 201]
    assert {one["customer_id"] for one in results} == {registered.json["customer_id"]}


def passport():
    return f"{next(numbers) % 1_000_000_000:09}"


async def test_a_passport_number_of_two_countries_is_two_people(api):
    number = passport()
    people = {}
    for country in ("US", "VE", "CO"):
        registered = await api.network.register(**body(document("PA", number, country)))
        assert registered.status == 201, registered.json
        assert registered.json["document"] == document("PA", number, country)
        people[country] = registered.json["customer_id"]
    assert len(set(people.values())) == 3
    for country, customer_id in people.items():
        found = await api.store.lookup(document=document("PA", number, country))
        assert found.json["customer"]["customer_id"] == customer_id
        again = await api.store.register(**body(document("PA", number, country)))
        assert (again.status, again.json["customer_id"]) == (409, customer_id)
    assert (await api.store.lookup(document=document("PA", number, "ES"))).status == 404


async def test_the_country_of_a_passport_is_read_in_two_and_three_letters_of_any_case(api):
    number = passport()
    registered = await api.store.register(**body(document("PA", number, "usa")))
    assert registered.json["document"] == {
        "type": "PA",
        "number": f"*****{number[-4:]}",
        "country": "US",
    }
    for country in ("US", "us", "USA", "Usa", " us\n"):
        found = await api.store.lookup(document=document("PA", number, country))
        assert found.json["customer"]["customer_id"] == registered.json["customer_id"]
    venezuelan = await api.network.register(**body(document("PA", number, "VEN")))
    assert venezuelan.json["document"]["country"] == "VE"
    nit_of_a_person = document("NIT", nit(nuip()), "col")
    assert (await api.app.register(**body(nit_of_a_person))).status == 201


async def test_a_passport_without_its_country_works_as_before(api):
    number = passport()
    registered = await api.store.register(**body(document("PA", number)))
    customer_id = registered.json["customer_id"]
    assert (registered.status, set(registered.json["document"])) == (201, {"type", "number"})
    for shown in (document("PA", number), document("PA", number, "US")):
        found = await api.other_store.lookup(document=shown)
        assert found.json["customer"]["customer_id"] == customer_id
        # It may be the same passport: a second wallet is worse than a question.
        again = await api.other_store.register(**body(shown))
        assert (again.status, again.json["customer_id"]) == (409, customer_id)


async def test_a_passport_is_found_without_its_country_where_one_person_has_the_number(api):
    number = passport()
    first = await api.store.register(**body(document("PA", number, "US")))
    shown = document("PA", number)
    found = await api.store.lookup(document=shown)
    assert found.json["customer"]["customer_id"] == first.json["customer_id"]
    item = {"idempotency_key": number, "document": shown, "amount": 100_000}
    (result,) = (await api.store.upload([item])).json["results"]
    assert result["customer_id"] == first.json["customer_id"]
    again = await api.store.register(**body(shown))
    assert (again.status, again.json["customer_id"]) == (409, first.json["customer_id"])
    await api.store.register(**body(document("PA", number, "VE")))
    several = await api.store.lookup(document=shown)
    assert (several.status, several.code) == (400, "invalid_request")
    assert "country" in several.json["detail"]


async def test_bulk_finds_nobody_by_a_passport_that_several_have(api):
    number = passport()
    for country in ("US", "VE"):
        await api.network.register(**body(document("PA", number, country)))
    shown = [document("PA", number), document("PA", number, "ES"), document("PA", number, "VE")]
    items = [
        {"idempotency_key": f"{number}-{n}", "document": one, "amount": 100_000}
        for n, one in enumerate(shown)
    ]
    results = (await api.store.upload(items)).json["results"]
    assert [one["status"] for one in results] == [404, 404, 201]


async def test_the_issuer_of_a_passport_can_be_told_later(api):
    number = passport()
    customer_id = (await api.store.register(**body(document("PA", number)))).json["customer_id"]
    told = await api.network.update(customer_id, document=document("PA", number, "US"))
    assert told.json["document"] == document("PA", number, "US")
    other = await api.store.register(**body(document("PA", number, "VE")))
    assert other.status == 201


async def test_a_passport_with_and_without_its_country_at_once_is_one(api):
    for _ in range(10):
        number = passport()
        shown = [document("PA", number), document("PA", number, "US")] * 3
        replies = await asyncio.gather(*(api.store.register(**body(one)) for one in shown))
        assert sorted(reply.status for reply in replies) == [201] + [409] * 5
        assert len({reply.json["customer_id"] for reply in replies}) == 1


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (document("PA", "253736112", "ZZ"), "ISO 3166"),
        (document("CC", "20486994", "SV"), "document of CO"),
        (document("PA", "253736112", "zzz"), "ISO 3166"),
        (document("PA", "253736112", "U5"), "ISO 3166"),
        (document("CC", "20486994", "slv"), "document of CO"),
        (document("NIT", "900123456", "PA"), "CO, SV, GT"),
        (document("CED", "81234567"), "8-123-4567"),
    ],
)
async def test_a_document_that_cannot_be_is_told_what_is_expected(api, shown, told):
    for reply in (await api.store.register(**body(shown)), await api.store.lookup(document=shown)):
        assert (reply.status, reply.code) == (400, "invalid_request")
        assert told in reply.json["detail"]


@pytest.mark.parametrize(
    ("shown", "more", "country", "phone"),
    [
        (lambda: document("DUI", dui()), {}, "SV", None),
        (lambda: document("DPI", cui()), {}, "GT", None),
        (lambda: document("CED", panamanian()), {}, "PA", None),
        (lambda: document("CC", nuip()), {}, "CO", None),
        (lambda: document("DUI", dui()), {"phone": "78826076"}, "SV", "+50378826076"),
        (lambda: document("CED", panamanian()), {"phone": "6123-9988"}, "PA", "+50761239988"),
        (lambda: document("PA", passport()), {"phone": "+50251239988"}, "GT", "+50251239988"),
        (lambda: document("PA", passport(), "SV"), {}, "SV", None),
        (lambda: document("PA", passport(), "US"), {"phone": "+13105559988"}, None, "+13105559988"),
        (lambda: document("PA", passport(), "US"), {"country": "PA"}, "PA", None),
        (lambda: document("PA", passport()), {}, None, None),
        (lambda: document("NIT", dui(), "SV"), {}, "SV", None),
    ],
)
@pytest.mark.parametrize("role", ["app", "network"])
async def test_the_country_is_the_documents_then_the_phones(api, role, shown, more, country, phone):
    client = getattr(api, role)
    if phone is not None:
        owner = await api.network.lookup(phone=phone)
        if owner.status == 200:
            moved = f"+57301{next(numbers) % 10_000_000:07}"
            await api.network.update(owner.json["customer"]["customer_id"], phone=moved)
    registered = await client.register(**body(shown(), **more))
    assert registered.status == 201, registered.json
    assert (registered.json["country"], registered.json["phone"]) == (country, phone)


async def test_the_country_of_a_store_counts_after_the_document_and_the_phone(store_in):
    store = await store_in("PA")
    for shown, more, country in (
        (document("PA", passport()), {}, "PA"),
        (document("PA", passport(), "US"), {}, "PA"),
        (document("PA", passport()), {"phone": f"+5037{next(numbers) % 10_000_000:07}"}, "SV"),
        (document("CC", nuip()), {}, "CO"),
        (document("CC", nuip()), {"country": "PA"}, "PA"),
    ):
        registered = await store.register(**body(shown, **more))
        assert (registered.status, registered.json["country"]) == (201, country)


async def test_a_national_phone_is_read_as_the_stores_where_it_is_not_the_documents(store_in):
    store = await store_in("PA")
    phone = f"6{next(numbers) % 10_000_000:07}"
    registered = await store.register(**body(document("CC", nuip()), phone=phone))
    assert (registered.status, registered.json["phone"]) == (201, f"+507{phone}")


@pytest.mark.parametrize(
    ("shown", "more", "told"),
    [
        (document("PA", "AB998877"), {"phone": "3001234567"}, "which country this phone is of"),
        (document("NIT", "900123456"), {}, "country of a NIT"),
    ],
)
async def test_a_country_that_is_needed_and_not_said_is_asked_for(api, shown, more, told):
    refused = await api.app.register(**body(shown, **more))
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert told in refused.json["detail"]
    by_phone = await api.app.lookup(phone="3001234567")
    assert (by_phone.status, by_phone.code) == (400, "invalid_request")


async def test_a_changed_phone_is_read_as_the_documents_country(api):
    shown = document("CED", panamanian())
    customer_id = (await api.network.register(**body(shown))).json["customer_id"]
    phone = f"6{next(numbers) % 10_000_000:07}"
    changed = await api.network.update(customer_id, phone=phone)
    assert (changed.status, changed.json["phone"]) == (200, f"+507{phone}")


async def test_an_international_domain_is_one_address(api):
    number = next(numbers)
    first = await api.store.register(
        document=document("CC", nuip()), email=f"info{number}@muñoz.com.co"
    )
    assert (first.status, first.json["email"]) == (201, f"info{number}@xn--muoz-hqa.com.co")
    for email in (f"INFO{number}@MUÑOZ.com.co", f"info{number}@xn--muoz-hqa.com.co"):
        found = await api.store.lookup(email=email)
        assert found.json["customer"]["customer_id"] == first.json["customer_id"]
        again = await api.store.register(document=document("CC", nuip()), email=email)
        assert (again.status, again.code) == (409, "customer_exists")


async def test_a_mailbox_with_an_accent_is_told_why_it_is_refused(api):
    refused = await api.store.register(document=document("CC", nuip()), email="peña@example.com")
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert "no ñ" in refused.json["detail"]

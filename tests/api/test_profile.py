"""A profile is changed (CUS-6): its identities move with it, and what was on file is told so."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from uuid import uuid4

import pytest
from harness import connection_to

numbers = count(810_000_001)
EMPTY = {"first_names": None, "last_names": None, "gender": None, "birth_date": None}


@pytest.fixture(scope="module")
def engine_flags():
    return ("--log-requests",)


def phone():
    return f"+57301{next(numbers) % 10_000_000:07}"


@pytest.fixture
async def person(api):
    """Return a customer of the test's own, as the network sees them."""
    number = next(numbers)
    reply = await api.network.register(
        document={"type": "CC", "number": str(number)},
        email=f"zoe{number}@example.com",
        phone=phone(),
        first_names="Zoe",
        last_names="Paz",
        gender="F",
        birth_date="1991-06-18",
        country="CO",
        city="Cali",
    )
    assert reply.status == 201
    return reply.json


async def found(api, **identity):
    """Return whom a look-up finds, None for nobody."""
    reply = await api.network.lookup(**identity)
    assert reply.status in (200, 404)
    return reply.json["customer"]["customer_id"] if reply.status == 200 else None


def messages(engine, since):
    return [(line["channel"], line["to"], line["text"]) for line in engine.outbox()[since:]]


async def test_what_is_left_out_stays_and_what_is_sent_is_changed(api, person):
    customer_id = person["customer_id"]
    changed = await api.network.update(customer_id, first_names="Zoé", city="Pasto", gender="X")
    assert changed.status == 200
    expected = person | {"first_names": "Zoé", "city": "Pasto", "gender": "X"}
    assert changed.json == expected
    assert (await api.network.customer(customer_id)).json == expected


async def test_nothing_to_change_is_a_change_of_nothing(api, person):
    reply = await api.store.update(person["customer_id"])
    assert reply.status == 200
    assert (await api.network.customer(person["customer_id"])).json == person


async def test_an_incomplete_profile_is_completed_and_can_spend_then(api, people):
    customer_id = people.incomplete()["customer_id"]
    await api.store.accumulate(customer_id, amount=10_000_000, currency="COP")
    refused = await api.store.redeem(customer_id, reward_id=1)
    assert refused.code == "profile_incomplete"
    fields = {"first_names": "Luz", "last_names": "Roa", "gender": "F", "birth_date": "1980-02-29"}
    sent = {"phone": phone(), **fields}
    changed = await api.store.update(customer_id, **sent)
    assert (changed.json["profile_complete"], changed.json["missing_fields"]) == (True, [])
    assert {name: changed.json[name] for name in sent} == sent
    assert (await api.store.redeem(customer_id, reward_id=1)).status == 201


async def test_a_profile_that_is_complete_stays_so(api, person):
    assert (await api.store.update(person["customer_id"], city=None)).json["city"] is None
    for name in ("phone", *EMPTY):
        reply = await api.network.update(person["customer_id"], **{name: None})
        assert (reply.status, reply.code) == (400, "invalid_request")
    assert (await api.network.customer(person["customer_id"])).json == person | {"city": None}


@pytest.mark.parametrize("role", ["network", "brand", "store", "app"])
async def test_every_role_may_and_sees_the_document_as_ever(api, person, role):
    client = getattr(api, role)
    reply = await client.update(person["customer_id"], city="Neiva")
    assert (reply.status, reply.json["city"]) == (200, "Neiva")
    assert reply.json["document"] == (await client.customer(person["customer_id"])).json["document"]


async def test_the_identities_move(api, person):
    number, mobile = next(numbers), phone()
    document = {"type": "CE", "number": str(number)}
    email = f"Otra.{number}@Example.com"
    reply = await api.network.update(
        person["customer_id"], document=document, email=email, phone=mobile
    )
    assert (reply.status, reply.json["email"]) == (200, email.lower())
    assert reply.json["document"] == document
    for name in ("document", "email", "phone"):
        assert await found(api, **{name: person[name]}) is None
        assert await found(api, **{name: reply.json[name]}) == person["customer_id"]
    again = await api.network.register(document=person["document"], email=person["email"])
    assert again.status == 201


async def test_the_value_one_has_already_is_no_conflict(api, engine, person):
    before = len(engine.outbox())
    reply = await api.network.update(
        person["customer_id"],
        document={
            "type": "CC",
            "number": f"{int(person['document']['number']):,}".replace(",", "."),
        },
        email=person["email"].upper(),
        phone=person["phone"].removeprefix("+57"),
    )
    assert (reply.status, reply.json) == (200, person)
    assert messages(engine, before) == []


@pytest.mark.parametrize("kind", ["document", "email", "phone"])
async def test_what_is_anothers_is_a_conflict_and_changes_nothing(api, engine, person, kind):
    other = (
        await api.network.register(
            document={"type": "CC", "number": str(next(numbers))},
            email=f"otro{next(numbers)}@example.com",
            phone=phone(),
        )
    ).json
    before = len(engine.outbox())
    reply = await api.store.update(
        person["customer_id"], **{"city": "Pasto", kind: other[kind], "first_names": "Eva"}
    )
    assert (reply.status, reply.code) == (409, "customer_exists")
    assert reply.json["customer_id"] == other["customer_id"]
    assert kind in reply.json["detail"]
    assert (await api.network.customer(person["customer_id"])).json == person
    assert await found(api, **{kind: other[kind]}) == other["customer_id"]
    assert messages(engine, before) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"document": None},
        {"document": {"type": "CC", "number": "x"}},
        {"email": None},
        {"email": "zoe"},
        {"phone": "12"},
        {"gender": "female"},
        {"birth_date": "1899-12-31"},
        {"birth_date": "2999-01-01"},
        {"birth_date": "1990-02-30"},
        {"first_names": "."},
        {"country": "US"},
        {"status": "active"},
        {"missing_fields": []},
        {"created_at": "2020-01-01T00:00:00Z"},
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_and_changes_nothing(api, person, wrong):
    reply = await api.store.update(person["customer_id"], **{"city": "Pasto"} | wrong)
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert (await api.network.customer(person["customer_id"])).json == person


async def test_nobody_is_changed_where_nobody_is(api):
    for customer_id in (str(uuid4()), "1"):
        reply = await api.store.update(customer_id, city="Cali")
        assert (reply.status, reply.code) == (404, "customer_not_found")


async def test_a_phone_is_read_as_one_of_the_customers_country(api, person):
    number = f"7{next(numbers) % 1_000_000:06}0"
    reply = await api.store.update(person["customer_id"], country="SV", phone=number)
    assert (reply.status, reply.json["phone"]) == (200, f"+503{number}")


# Who loses a phone or an e-mail is told.


async def test_the_old_phone_and_the_old_email_are_told(api, engine, person):
    before, number = len(engine.outbox()), next(numbers)
    mobile, email = phone(), f"nueva{number}@example.com"
    await api.store.update(person["customer_id"], phone=mobile, email=email)
    (by_sms, phone_told, sms), (by_email, email_told, text) = messages(engine, before)
    assert (by_sms, phone_told) == ("sms", person["phone"])
    assert (by_email, email_told) == ("email", person["email"])
    assert "celular" in sms
    assert mobile[-4:] in sms
    assert "correo" in text
    assert "n***@example.com" in text
    for told in (sms, text):
        assert mobile not in told
        assert email not in told


async def test_nobody_is_told_of_a_first_phone_or_of_another_city(api, engine):
    number = next(numbers)
    document = {"type": "CC", "number": str(number)}
    email = f"primera{number}@example.com"
    customer_id = (await api.store.register(document=document, email=email)).json["customer_id"]
    before = len(engine.outbox())
    await api.store.update(customer_id, phone=phone())
    await api.store.update(customer_id, city="Tunja")
    assert messages(engine, before) == []


# Codes do not go to who has just changed where they go.


async def code_goes_to(api, engine, customer_id):
    """Return where the code of a new payment goes, as the outbox and the answer have it."""
    before = len(engine.outbox())
    await api.store.accumulate(customer_id, amount=10_000_000, currency="COP")
    payment = await api.store.pay(customer_id, coins=1)
    assert payment.status == 201
    ((channel, to, _),) = messages(engine, before)
    assert payment.json["sent_to"][-4:] == to[-4:]
    return channel, to


@pytest.mark.parametrize("role", ["store", "cashier", "brand"])
async def test_a_till_that_changes_a_phone_does_not_get_the_codes(api, engine, people, role):
    person = people.complete()
    for mobile in (phone(), phone()):
        reply = await getattr(api, role).update(person["customer_id"], phone=mobile)
        assert reply.json["phone"] == mobile
        sent = await code_goes_to(api, engine, person["customer_id"])
        assert sent == ("sms", person["phone"])


async def test_codes_go_to_the_email_while_a_first_phone_settles(api, engine, people):
    person = next(
        one for one in iter(people.incomplete, None) if one["phone"] is None and one["email"]
    )
    fields = {"first_names": "Luz", "last_names": "Roa", "gender": "F", "birth_date": "1980-02-29"}
    await api.store.update(person["customer_id"], phone=phone(), **fields)
    assert await code_goes_to(api, engine, person["customer_id"]) == ("email", person["email"])


@pytest.mark.parametrize("role", ["network", "app"])
async def test_who_speaks_for_the_customer_moves_the_codes_at_once(api, engine, people, role):
    person = people.complete()
    await api.store.update(person["customer_id"], phone=phone())
    mobile = phone()
    await getattr(api, role).update(person["customer_id"], phone=mobile)
    assert await code_goes_to(api, engine, person["customer_id"]) == ("sms", mobile)


async def test_a_contact_settles(api, engine, people, database):
    person, mobile = people.complete(), phone()
    await api.store.update(person["customer_id"], phone=mobile)
    async with connection_to(database) as connection:
        await connection.execute(
            "update customer set code_until = now() where customer_id = $1", person["customer_id"]
        )
    assert await code_goes_to(api, engine, person["customer_id"]) == ("sms", mobile)


# At once.


async def test_customers_who_want_one_phone_at_once_get_it_once(api, people):
    customers, mobile = people.several(12), phone()
    replies = await asyncio.gather(*(api.store.update(one, phone=mobile) for one in customers))
    assert Counter(reply.status for reply in replies) == {200: 1, 409: 11}
    winner = next(reply.json["customer_id"] for reply in replies if reply.status == 200)
    assert {reply.json["customer_id"] for reply in replies} == {winner}
    assert await found(api, phone=mobile) == winner


async def test_customers_who_swap_their_phones_at_once_wait_for_nobody(api, database, people):
    for _ in range(10):
        pair = people.several(2)
        first, second = [(await api.network.customer(one)).json["phone"] for one in pair]
        replies = await asyncio.gather(
            api.store.update(pair[0], phone=second), api.store.update(pair[1], phone=first)
        )
        assert {reply.status for reply in replies} <= {200, 409}
        for one in pair:
            customer = (await api.network.customer(one)).json
            assert await found(api, phone=customer["phone"]) == one
    async with connection_to(database) as connection:
        assert (
            await connection.fetchval(
                "select deadlocks from pg_stat_database where datname = current_database()"
            )
            == 0
        )


async def test_one_customer_changed_many_times_at_once_is_found_by_the_last(api, database, person):
    mobiles = [phone() for _ in range(12)]
    replies = await asyncio.gather(
        *(api.store.update(person["customer_id"], phone=mobile) for mobile in mobiles)
    )
    assert {reply.status for reply in replies} == {200}
    kept = (await api.network.customer(person["customer_id"])).json["phone"]
    assert kept in mobiles
    async with connection_to(database) as connection:
        rows = await connection.fetch(
            "select value from identity where customer_id = $1 and kind = 'phone'",
            person["customer_id"],
        )
    assert [row["value"] for row in rows] == [kept]


# What is personal stays where it belongs.


async def test_nothing_personal_reaches_the_logs_or_the_metrics(api, engine):
    number = next(numbers)
    planted = {
        "document": {"type": "PA", "number": f"ZQX{number}"},
        "email": f"zqemail{number}@example.com",
        "phone": phone(),
        "first_names": f"Zqfirst{number}",
        "last_names": f"Zqlast{number}",
        "birth_date": "1913-03-07",
        "city": f"Zqcity{number}",
    }
    customer_id = (await api.store.register(**planted)).json["customer_id"]
    other = planted | {"document": {"type": "PA", "number": f"ZQY{number}"}}
    answers = [
        await api.store.register(**other),
        await api.store.update(str(uuid4()), **other),
        await api.store.update(customer_id, **other | {"phone": phone()}),
        await api.store.update(customer_id, **other | {"gender": planted["first_names"]}),
        await api.store.update(customer_id, **other | {"country": planted["last_names"]}),
        await api.store.lookup(email=planted["email"], phone=planted["phone"]),
        await api.store.lookup(document={"type": planted["city"], "number": "1"}),
        await api.network.block(customer_id, planted["first_names"]),
    ]
    assert [reply.status for reply in answers] == [409, 404, 200, 400, 400, 400, 400, 200]
    metrics = (await api.anonymous.request("GET", "/metrics")).json.decode()
    logged = f"{engine.logs} {engine.other_lines}"
    assert "PATCH" in logged
    secrets = [*(str(value) for name, value in planted.items() if name != "document")]
    for secret in (*secrets, f"ZQX{number}", f"ZQY{number}"):
        assert secret not in logged
        assert secret not in metrics
    problems = [reply.json for reply in answers if reply.status >= 400]
    repeated = [secret for secret in secrets if any(secret in str(one) for one in problems)]
    assert repeated == []

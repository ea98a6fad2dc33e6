"""What the network holds of a person is told, and erased; the books stay (Ley 1581)."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from uuid import uuid4

import orjson
import pytest
from harness import connection_to
from traffic import faults_of

SALE = {"amount": 5_400_000, "currency": "COP"}
PERSONAL = (
    *("document", "email", "phone", "first_names", "last_names", "gender", "birth_date"),
    *("country", "city"),
)


@pytest.fixture
def command(database, tmp_path):
    """Give what runs `leal-engine customers …`: it returns the exit status, and what it said."""

    async def run(*words, answer=None):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engine", "customers", *words),
            *("--database-url", database, "--data-dir", str(tmp_path)),
            stdin=DEVNULL if answer is None else PIPE,
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await process.communicate(answer)
        return process.returncode, out.decode(), err.decode()

    return run


@pytest.fixture
async def person(api, people):
    """Return a customer who has earned at two brands, redeemed, and paid with coins."""
    customer = people.complete()
    customer_id = customer["customer_id"]
    await api.store.accumulate(customer_id, **SALE, invoice_number=f"E-{customer_id[:8]}")
    await api.other_store.accumulate(customer_id, **SALE)
    payment = await api.store.pay(customer_id, coins=10)
    assert payment.status == 201
    return (await api.network.customer(customer_id)).json


async def gift_for(database, customer_id):
    """Name the customer for a gift of brand 1."""
    async with connection_to(database) as connection:
        await connection.execute(
            "insert into item (item_id, kind, brand_id, name, points, coins)"
            " values (9001, 'gift', 1, 'Torta de cumpleaños', 0, 0) on conflict do nothing"
        )
        await connection.execute("insert into gift_customer values (9001, $1)", customer_id)


async def test_everything_that_is_held_of_a_person_is_exported(
    api, database, demo, command, person
):
    customer_id = person["customer_id"]
    await gift_for(database, customer_id)
    status, out, err = await command("export", customer_id)
    assert (status, err) == (0, "")
    held = orjson.loads(out)
    customer = held["customer"]
    shown = {name: customer[name] for name in PERSONAL if name != "document"}
    assert shown == {name: person[name] for name in PERSONAL if name != "document"}
    number = person["document"]["number"]
    assert (customer["document_type"], customer["document_number"]) == (
        person["document"]["type"],
        number,
    )
    assert customer["customer_id"] == customer_id
    assert {one["value"] for one in held["identities"]} == {
        person["email"],
        person["phone"],
        f"{person['document']['type']}:{number}",
    }
    brand = next(one["name"] for one in demo["brands"] if one["brand_id"] == 1)
    assert held["gifts"] == [{"item_id": 9001, "name": "Torta de cumpleaños", "brand": brand}]
    names = {one["name"] for one in demo["brands"]}
    assert {one["brand"] for one in held["postings"]} <= names
    kinds = [one["kind"] for one in held["postings"]]
    assert kinds.count("accumulation") == 3
    hold = held["postings"][kinds.index("hold")]
    assert (hold["amount"], hold["brand"]) == (-10, brand)
    assert hold["details"]["sent_to"].endswith(person["phone"][-4:])


async def test_nothing_personal_is_left_and_the_books_balance(
    api, database, command, people, person
):
    customer_id = person["customer_id"]
    await gift_for(database, customer_id)
    wallets = (await api.network.wallets(customer_id)).json["wallets"]
    status, out, _ = await command("erase", customer_id, "--yes")
    assert (status, out) == (0, f"erased {customer_id}\n")
    left = await api.network.customer(customer_id)
    assert left.status == 200
    assert all(left.json[name] is None for name in PERSONAL)
    assert (left.json["profile_complete"], len(left.json["missing_fields"])) == (False, 5)
    assert left.json["status"] == "blocked"
    assert (await api.network.wallets(customer_id)).json["wallets"] == wallets
    for name in ("document", "email", "phone"):
        reply = await api.network.lookup(**{name: person[name]})
        assert (reply.status, reply.code) == (404, "customer_not_found")
    async with connection_to(database) as connection:
        for table in ("identity", "gift_customer"):
            query = f"select count(*) from {table} where customer_id = $1"
            assert await connection.fetchval(query, customer_id) == 0
        row = await connection.fetchrow(
            "select * from customer where customer_id = $1", customer_id
        )
        values = [value for value in row.values() if value is not None]
        assert values == [row["customer_id"], 31, row["created_at"], row["erased_at"]]
        assert await faults_of(connection, []) == []


async def test_who_issued_a_passport_is_exported_and_erased(api, database, command):
    document = {"type": "PA", "number": "ER998877", "country": "US"}
    customer = (await api.network.register(document=document, email="er998877@example.com")).json
    customer_id = customer["customer_id"]
    held = orjson.loads((await command("export", customer_id))[1])
    assert held["customer"]["document_country"] == "US"
    assert {one["value"] for one in held["identities"]} == {
        "er998877@example.com",
        "PA:US:ER998877",
    }
    assert (await command("erase", customer_id, "--yes"))[0] == 0
    for shown in (document, {"type": "PA", "number": "ER998877"}):
        assert (await api.network.lookup(document=shown)).status == 404
    assert (await api.network.lookup(text="ER998877")).status == 404
    async with connection_to(database) as connection:
        query = "select document_country from customer where customer_id = $1"
        assert await connection.fetchval(query, customer_id) is None


async def test_the_document_can_be_registered_anew_as_another_customer(api, command, person):
    assert (await command("erase", person["customer_id"], "--yes"))[0] == 0
    again = await api.network.register(
        document=person["document"], email=person["email"], phone=person["phone"]
    )
    assert again.status == 201
    assert again.json["customer_id"] != person["customer_id"]
    found = await api.network.lookup(phone=person["phone"])
    assert found.json["customer"]["customer_id"] == again.json["customer_id"]


async def test_an_engine_that_knows_the_customer_gives_nothing_from_then_on(api, command, person):
    customer_id = person["customer_id"]
    qr = (await api.app.qr(customer_id)).json["qr"]
    assert (await api.store.accumulate(customer_id, **SALE)).status == 201
    assert (await command("erase", customer_id, "--yes"))[0] == 0
    spent = await api.store.redeem(customer_id, reward_id=1)
    assert (spent.status, spent.code) == (409, "customer_blocked")
    paid = await api.store.pay(customer_id, coins=1)
    assert (paid.status, paid.code) == (409, "customer_blocked")
    shown = await api.store.lookup(qr=qr)
    assert (shown.status, shown.code) == (409, "qr_invalid")
    assert (await api.store.accumulate(customer_id, **SALE)).code == "customer_blocked"
    for reply in (
        await api.app.qr(customer_id),
        await api.store.update(customer_id, first_names="Ana"),
    ):
        assert (reply.status, reply.code) == (404, "customer_not_found")


async def test_nobody_revives_who_was_erased(api, command, person):
    customer_id = person["customer_id"]
    assert (await api.network.block(customer_id, "Case 1", "before")).status == 200
    assert (await api.network.unblock(customer_id, "Case 1", "before")).status == 200
    assert (await command("erase", customer_id, "--yes"))[0] == 0
    before = (await api.network.transactions(customer_id)).json
    for key in (None, "before", "after"):
        for change in (api.network.unblock, api.network.block):
            reply = await change(customer_id, "Case 1", key)
            assert (reply.status, reply.code) == (404, "customer_not_found")
    assert (await api.network.transactions(customer_id)).json == before
    assert (await api.network.customer(customer_id)).json["status"] == "blocked"


async def test_the_books_say_who_erased(api, command, person):
    await command("erase", person["customer_id"], "--yes")
    row, *_ = (await api.network.transactions(person["customer_id"])).json["transactions"]
    assert (row["type"], row["by"]) == ("block", "command line")
    assert "1581" in row["reason"]


async def test_erasing_twice_says_so_and_leaves_the_books_alone(api, command, person):
    customer_id = person["customer_id"]
    assert (await command("erase", customer_id, "--yes"))[0] == 0
    before = (await api.network.transactions(customer_id)).json
    status, out, err = await command("erase", customer_id, "--yes")
    assert (status, out) == (1, "")
    assert "was erased on" in err
    assert (await api.network.transactions(customer_id)).json == before
    status, out, _ = await command("export", customer_id)
    held = orjson.loads(out)
    assert (status, held["identities"], held["gifts"]) == (0, [], [])
    assert held["customer"]["email"] == ""


@pytest.mark.parametrize("answer", [None, b"", b"n\n"])
async def test_without_a_yes_nothing_is_erased(api, command, person, answer):
    status, _, _ = await command("erase", person["customer_id"], answer=answer)
    assert status == 1
    assert (await api.network.customer(person["customer_id"])).json == person


async def test_who_says_yes_erases(api, command, person):
    status, _, _ = await command("erase", person["customer_id"], answer=b"y\n")
    assert status == 0
    assert (await api.network.customer(person["customer_id"])).json["email"] is None


async def test_a_customer_that_does_not_exist_is_neither_exported_nor_erased(command):
    for words in (("export",), ("erase", "--yes")):
        status, out, err = await command(*words, str(uuid4()))
        assert (status, out) == (1, "")
        assert "no such customer" in err
        assert (await command(*words, "1"))[0] == 2

"""A text is a text with something in it: its ends are tidied, then it is judged (CUS-2, PTS-3)."""

from __future__ import annotations

from unicodedata import normalize
from uuid import uuid4

import pytest
from harness import connection_to
from hypothesis import given
from hypothesis import strategies as st

from engine.schemas.scalars import InvoiceNumber, Name, PersonName, Reference, Text
from engine.schemas.texts import INVISIBLE, OUTER, rule_of, text_of, tidied

SALE = {"amount": 5_400_000, "currency": "COP"}
BLANK = ["", " ", "\t\r\n", "\u00a0", "\ufeff", "\x00\x02\x03", "\u200b\u2060", "\u3164"]
ENDS = [
    "\r",
    "\n",
    "\r\n",
    "\t",
    "\x02",
    "\x03",
    "\x00",
    "\x1d",
    "\x7f",
    "\x85",
    "\ufeff",
    "\u200b",
]
UNSEEN = ["\u200b", "\u200e", "\u200f", "\u202e", "\u2066", "\u2069", "\u2060", "\ufeff", "\u00ad"]


@pytest.fixture(scope="module")
def person(people):
    return people.complete()


@pytest.mark.parametrize("end", ENDS, ids=ascii)
@pytest.mark.parametrize("kind", ["document", "phone", "email"])
async def test_what_a_scanner_adds_finds_the_same_customer(api, person, kind, end):
    value = person[kind]
    if kind == "document":
        sent = value | {"number": f"{end}{value['number']}{end}"}
    else:
        sent = f"{end}{value}{end}"
    reply = await api.network.lookup(**{kind: sent})
    assert reply.status == 200
    assert reply.json["customer"]["customer_id"] == person["customer_id"]


@pytest.mark.parametrize("blank", BLANK, ids=ascii)
async def test_a_blank_invoice_number_is_none(api, customer_id, blank):
    for _ in range(2):
        reply = await api.store.accumulate(customer_id, **SALE, invoice_number=blank)
        assert reply.status == 201
        seen = (await api.store.transactions(customer_id)).json["transactions"][0]
        assert (seen["transaction_id"], seen["invoice_number"]) == (
            reply.json["transaction_id"],
            None,
        )


async def test_an_invoice_is_one_whatever_a_scanner_adds_to_its_number(api, database, people):
    first, second = people.several(2)
    number = f"T-{uuid4().hex[:8]}"
    reply = await api.store.accumulate(first, **SALE, invoice_number=f"\x02{number}\x03\r\n")
    assert reply.status == 201
    again = await api.store.accumulate(second, **SALE, invoice_number=f"{number}\t")
    assert (again.status, again.code) == (409, "invoice_already_claimed")
    async with connection_to(database) as connection:
        query = "select distinct invoice_number from journal where transaction_id = $1"
        kept = await connection.fetch(query, reply.json["transaction_id"])
    assert number in {row["invoice_number"] for row in kept}


async def test_an_invoice_in_a_path_is_the_one_of_the_body(api, customer_id):
    number = f"P-{uuid4().hex[:8]}"
    issued_at = (await api.store.wallets(customer_id)).json["as_of"]
    printed = {"amount": 100_000, "currency": "COP", "issued_at": issued_at}
    path = "/v1/stores/1/invoices/"
    assert (await api.store.request("PUT", f"{path}{number}%0D%0A", printed)).status == 201
    found = await api.store.request("GET", f"{path}%09{number}")
    assert (found.status, found.json["invoice_number"]) == (200, number)


@pytest.mark.parametrize("blank", BLANK, ids=ascii)
async def test_a_blank_text_is_refused_where_one_is_required(api, customer_id, blank):
    posting = (await api.store.accumulate(customer_id, **SALE)).json["transaction_id"]
    for reply in (
        await api.store.request(
            "POST",
            f"/v1/customers/{customer_id}/reversals",
            {"transaction_id": posting, "reason": blank},
            idempotency=str(uuid4()),
        ),
        await api.brand.request("POST", "/v1/brands/1/rewards", {"name": blank, "points": 10}),
        await api.brand.request("POST", "/v1/brands/1/promotions", {"name": blank}),
        await api.brand.request(
            "POST", "/v1/brands/1/gifts", {"name": blank, "customer_ids": [customer_id]}
        ),
        await api.network.request("POST", "/v1/partners", {"name": blank}),
        await api.app.request(
            "POST",
            f"/v1/customers/{customer_id}/cashbacks",
            {"store_id": 1, "coins": 10, "order": blank},
            idempotency=str(uuid4()),
        ),
        await api.app.request(
            "POST",
            f"/v1/customers/{customer_id}/conversions",
            {"partner_id": 1, "partner_points": 10, "reference": blank},
            idempotency=str(uuid4()),
        ),
        await api.store.register(document={"type": "CC", "number": blank}, email="a@example.com"),
        await api.store.register(document={"type": "CC", "number": "1020304055"}, email=blank),
    ):
        assert (reply.status, reply.code) == (400, "invalid_request")


@pytest.mark.parametrize("blank", BLANK, ids=ascii)
async def test_a_blank_text_is_absent_where_none_is_required(api, person, blank):
    found = await api.store.lookup(qr=blank, phone=person["phone"])
    assert found.json["customer"]["customer_id"] == person["customer_id"]
    assert (await api.store.lookup(qr=blank)).status == 400
    before = (await api.network.customer(person["customer_id"])).json
    changed = await api.network.update(
        person["customer_id"], city="Pasto", first_names=blank, phone=blank
    )
    assert changed.status == 200
    assert changed.json == before | {"city": "Pasto"}


@pytest.mark.parametrize("mark", UNSEEN, ids=ascii)
async def test_a_name_has_no_characters_that_cannot_be_seen(api, person, mark):
    name = f"An{mark}a"
    for reply in (
        await api.network.update(person["customer_id"], first_names=name),
        await api.network.request("POST", "/v1/organisations", {"name": name}),
        await api.brand.request("POST", "/v1/brands/1/rewards", {"name": name, "points": 10}),
        await api.brand.request("POST", "/v1/stores", {"name": name, "city": "Cali"}),
    ):
        assert (reply.status, reply.code) == (400, "invalid_request")
        assert "cannot be seen" in reply.json["detail"]


@pytest.mark.parametrize("name", [".", "-", "N/A", "n/a", "--", "'", "123", "s/n", "N.A.", "1/2"])
async def test_signs_alone_do_not_complete_a_profile(api, person, name):
    for field in ("first_names", "last_names"):
        reply = await api.store.update(person["customer_id"], **{field: name})
        assert (reply.status, reply.code) == (400, "invalid_request")
        assert reply.json["detail"].startswith(f"`{field}` is a name with letters")


@pytest.mark.parametrize("name", ["Ñ", "李", "محمد", "Ana 👩\u200d👧", "O'Higgins", "J. R.", "Na"])
async def test_names_of_any_script_are_taken(api, person, name):
    reply = await api.network.update(person["customer_id"], last_names=name)
    assert (reply.status, reply.json["last_names"]) == (200, name)


async def test_names_are_kept_composed(api, person):
    name = "José Ñuñéz"
    reply = await api.network.update(person["customer_id"], last_names=normalize("NFD", name))
    assert reply.json["last_names"] == name
    longest = "é" * 100
    assert text_of(PersonName, f" {normalize('NFD', longest)}\r\n") == longest
    assert text_of(PersonName, longest + "é") is None


async def test_a_byte_order_mark_before_a_body_is_dropped(api, customer_id):
    body = b'\xef\xbb\xbf{"amount": 100000, "currency": "COP"}'
    path = f"/v1/customers/{customer_id}/accumulations"
    reply = await api.store.session.post(
        api.store.url + path,
        data=body,
        headers={"Authorization": f"Bearer {api.store.key}", "Idempotency-Key": str(uuid4())},
    )
    assert reply.status == 201
    line = b'\xef\xbb\xbf{"type":"accumulation","idempotency_key":"%b","customer_id":"%b",%b'
    rest = b'"amount":100000,"currency":"COP"}'
    lines = [line % (uuid4().hex.encode(), customer_id.encode(), rest) for _ in range(2)]
    reply = await api.store.request("POST", "/v1/transactions", b"\n".join(lines))
    assert [one["status"] for one in reply.json["results"]] == [201, 201]


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount":5400000,"amount":100,"currency":"COP"}',
        b'{"amount":100,"amount":100}',
        b'{"amount":100, "currency":"COP",\n"amount" :100}',
        b'{"amount":100,"am\\u006funt":200}',
        b'{"invoice_number":"\\"amount\\":1","amount":1,"amount":2}',
    ],
)
async def test_a_field_that_comes_twice_is_refused(api, customer_id, body):
    path = f"/v1/customers/{customer_id}/accumulations"
    reply = await api.store.request("POST", path, body, idempotency=str(uuid4()))
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert reply.json["detail"].startswith("`amount` comes twice")


async def test_fields_of_two_objects_may_have_one_name(api, person):
    item = {
        "type": "accumulation",
        "idempotency_key": str(uuid4()),
        "document": person["document"],
        **SALE,
        "invoice_number": f'{{"amount":1,"type": "{uuid4().hex[:8]}',
    }
    reply = await api.store.request("POST", "/v1/transactions", [item])
    assert reply.json["results"][0]["status"] == 201
    again = b'[{"type":"accumulation","type":"accumulation","idempotency_key":"k"}]'
    reply = await api.store.request("POST", "/v1/transactions", again)
    assert reply.json["results"][0]["code"] == "invalid_request"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_tidying_twice_is_tidying_once(text):
    kept = tidied(text)
    assert tidied(kept) == kept
    assert kept in text
    assert set(text.replace(kept, "", 1)) <= set(OUTER) if kept else set(text) <= set(OUTER)


@given(st.sampled_from([Text, Name, PersonName, InvoiceNumber, Reference]), st.text(max_size=40))
def test_what_passes_at_a_glance_is_what_is_kept(type_, text):
    rule = rule_of(type_)
    assert rule.quick is not None
    if rule.quick.fullmatch(text):
        assert text_of(type_, text) == text


def test_every_blank_that_python_knows_is_dropped():
    blanks = {chr(code) for code in range(0x110000) if chr(code).isspace()}
    assert blanks <= set(OUTER)
    assert "-" in INVISIBLE
    assert not {"-", "a", "ñ", "0"} & set(OUTER)

"""A blank is no value, in any field of any body; what surrounds a value is dropped (CUS-2, PTS-3).

Every field of every shape is walked, so a new one is held to it too.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import get_args, get_origin, get_type_hints
from urllib.parse import quote
from uuid import uuid4

import pytest
from msgspec import Meta, Struct
from msgspec.structs import fields

from engine.commands.problem import Problem
from engine.http.bodies import BodyDecoder
from engine.http.problems import status_of
from engine.http.tidying import has_format, tidied_body
from engine.schemas.items import PromotionChange
from engine.schemas.people import ProfileChange, Registration
from engine.schemas.texts import Sent, bare_type, rule_in, without_null
from engine.schemas.transactions import Accumulation, BulkItem

BLANKS = ["", " ", "\t\r\n", "\u00a0", "\ufeff", "\x00\x02\x03", "\u200b"]
ENDS = [" ", "\r\n", "\t", "\x02", "\x1d", "\u00a0", "\ufeff"]
AS_THEY_ARE = {
    ("NewCashier", "password"),
    ("PasswordReset", "password"),
    ("SignIn", "password"),
    ("BulkItem", "idempotency_key"),
}
"""Texts that are taken as they are sent."""
EXAMPLES = ("Ana", "1234", "0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c", "CO", "FV-1")
"""One of these is taken by each rule."""
ANA = {"document": {"type": "CC", "number": "1020304050"}, "email": "a@example.com"}


def shapes():
    """Give every shape of a body, and of a part of one."""
    known = list(Sent.__subclasses__())
    for shape in known:
        known += shape.__subclasses__()
    return [shape for shape in known if shape.__module__.startswith("engine.")]


def value_of(type_):
    """Return a value that a type takes, as JSON has it."""
    bare, rule = bare_type(type_), rule_in(type_)
    if rule is not None:
        return next(one for one in EXAMPLES if rule.sound.fullmatch(one))
    if get_origin(bare) is list:
        return [value_of(get_args(bare)[0])]
    if isinstance(bare, type) and issubclass(bare, Struct):
        return smallest(bare)
    if has_format(bare):
        words = {date: "1990-01-01", datetime: "2026-01-31T10:00:00Z"}
        return words[bare] if bare in words else get_args(bare)[0]
    notes = [one for one in get_args(type_)[1:] if isinstance(one, Meta)]
    if bare is str:
        return "x" * max([one.min_length or 0 for one in notes])
    return {bool: False, int: max([one.ge or 0 for one in notes], default=0)}[bare]


def types_of(shape):
    """Return (type, whether it is required) of each field by its name in JSON."""
    hints = get_type_hints(shape, include_extras=True)
    return {one.encode_name: (without_null(hints[one.name]), one.required) for one in fields(shape)}


def smallest(shape):
    """Return a body of what is required alone."""
    return {name: value_of(type_) for name, (type_, needed) in types_of(shape).items() if needed}


def texts_of(shape, path=()):
    """Give (path, type, whether it is required) of each text that a body may hold."""
    for name, (type_, needed) in types_of(shape).items():
        bare, here = bare_type(type_), (*path, name)
        if bare is str or has_format(bare):
            yield here, type_, needed
        elif get_origin(bare) is list:
            yield (*here, 0), get_args(bare)[0], True
        elif isinstance(bare, type) and issubclass(bare, Struct):
            yield from texts_of(bare, here)
        else:
            assert bare in (int, bool), f"say here whether {type_} of {here} is a text"


ALL = [
    (shape, *text)
    for shape in shapes()
    for text in texts_of(shape)
    if (shape.__name__, text[0][-1]) not in AS_THEY_ARE
]


def body_with(shape, path, value):
    """Return the smallest body in which `value` stands at a place."""
    body = here = smallest(shape)
    for name in path[:-1]:
        type_, _ = types_of(shape)[name]
        here.setdefault(name, value_of(type_))
        here, shape = here[name], bare_type(type_)
    if path[-1] == 0:
        here[:] = [value]
    else:
        here[path[-1]] = value
    return body


def without(shape, path):
    """Return the smallest body whose field at a place is left out."""
    body = here = body_with(shape, path, None)
    for name in path[:-1]:
        here = here[name]
    del here[path[-1]]
    return body


def place_of(path):
    return ".".join(map(str, path)).replace(".0", "[0]")


def decoded(shape, body):
    return BodyDecoder(shape).decode(json.dumps(body).encode())


def named(one):
    return one.__name__ if isinstance(one, type) else place_of(one) if type(one) is tuple else ""


OPTIONAL = [(shape, path) for shape, path, _, needed in ALL if not needed]
REQUIRED = [(shape, path) for shape, path, _, needed in ALL if needed]


def test_the_walk_finds_texts_of_each_kind():
    assert len(OPTIONAL) > 40
    assert len(REQUIRED) > 25
    assert {(Registration, ("gender",)), (ProfileChange, ("birth_date",))} < set(OPTIONAL)
    assert {(Accumulation, ("currency",)), (BulkItem, ("document", "country"))} < set(OPTIONAL)
    assert {
        (Registration, ("document", "type")),
        (PromotionChange, ("segment", "genders", 0)),
    } < set(REQUIRED)


def test_every_text_of_a_body_is_tidied_before_it_is_judged():
    untidy = {
        (shape.__name__, path[-1])
        for shape in shapes()
        for path, type_, _ in texts_of(shape)
        if rule_in(type_) is None and not has_format(type_)
    }
    assert untidy == AS_THEY_ARE


@pytest.mark.parametrize(("shape", "path"), OPTIONAL, ids=named)
def test_a_blank_is_as_if_an_optional_field_were_left_out(shape, path):
    left_out = decoded(shape, without(shape, path))
    for blank in BLANKS:
        assert decoded(shape, body_with(shape, path, blank)) == left_out


@pytest.mark.parametrize(("shape", "path"), REQUIRED, ids=named)
def test_a_blank_is_refused_and_named_where_a_text_is_required(shape, path):
    for blank in BLANKS:
        with pytest.raises(Problem) as told:
            decoded(shape, body_with(shape, path, blank))
        assert (status_of(told.value), told.value.code) == (400, "invalid_request")
        assert told.value.detail.startswith(f"`{place_of(path)}` is ")


@pytest.mark.parametrize(("shape", "path", "type_", "_"), ALL, ids=named)
def test_what_surrounds_a_value_is_dropped(shape, path, type_, _):
    value = value_of(type_)
    plain = decoded(shape, body_with(shape, path, value))
    for end in ENDS:
        for sent in (f"{end}{value}", f"{value}{end}", f"{end}{value}{end}"):
            assert decoded(shape, body_with(shape, path, sent)) == plain


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"gender": " f"}, "gender"),
        ({"country": "co "}, "country"),
        ({"gender": "F M"}, "gender"),
        ({"birth_date": "1990-01-01 0"}, "birth_date"),
        ({"birth_date": "1990 -01-01"}, "birth_date"),
    ],
)
def test_what_is_left_is_judged_as_it_is(body, field):
    with pytest.raises(Problem) as told:
        decoded(Registration, ANA | body)
    assert told.value.detail.startswith(f"`{field}` is ")


def test_all_else_of_a_tidied_body_stays_as_it_was_sent():
    sent = b'{"type": " accumulation" ,"idempotency_key":" k\\u0041 ", "amount" : 10, "till":" 1"}'
    kept = b'{"type":"accumulation","idempotency_key":" k\\u0041 ","amount":10,"till":" 1"}'
    assert tidied_body(sent, BulkItem) == kept
    assert tidied_body(kept, BulkItem) is None


def test_a_field_that_comes_twice_is_refused_though_one_of_them_is_blank():
    for body in (b'{"currency":"COP","currency":""}', b'{"currency":" ","currency":"COP"}'):
        with pytest.raises(Problem) as told:
            BodyDecoder(Accumulation).decode(body)
        assert told.value.code == "invalid_request"


@pytest.mark.parametrize("rest", [b"", b"[[[", b'"x":}', b'"till":"\xff"}', b'"till":"\\ud800"}'])
def test_what_is_no_json_behind_a_blank_is_malformed(rest):
    with pytest.raises(Problem) as told:
        BodyDecoder(Accumulation).decode(b'{"currency":" ",' + rest)
    assert told.value.code == "malformed_json"


async def test_a_form_with_empty_fields_registers_and_changes_a_customer(api):
    number = str(uuid4().int)[:9]
    document = {"type": "\x02CC\r\n", "number": f" {number}", "country": ""}
    reply = await api.store.register(
        document=document,
        email=f"{number}@example.com\n",
        birth_date="1990-01-01 ",
        gender=" ",
        country="",
    )
    assert reply.status == 201
    customer_id = reply.json["customer_id"]
    before = (await api.network.customer(customer_id)).json
    assert (before["birth_date"], before["gender"]) == ("1990-01-01", None)
    changed = await api.network.update(customer_id, gender="X\t", birth_date="", country=" ")
    assert changed.json["gender"] == "X"
    assert {name for name in before if before[name] != changed.json[name]} <= {
        "gender",
        "missing_fields",
    }


async def test_a_blank_currency_of_a_sale_is_that_of_the_store(api, customer_id):
    key, sale = str(uuid4()), {"amount": 5_400_000}
    first = await api.store.accumulate(customer_id, key, **sale, currency="")
    again = await api.store.accumulate(customer_id, key, **sale, occurred_at=" ")
    assert (first.status, again.status, again.replayed) == (201, 201, True)
    items = [
        {"idempotency_key": str(uuid4()), "customer_id": customer_id, "currency": "COP\r\n"} | sale,
        {"idempotency_key": str(uuid4()), "customer_id": customer_id, "type": " redemption"},
    ]
    results = (await api.store.upload(items)).json["results"]
    assert [one["status"] for one in results] == [201, 400]
    assert results[1]["code"] == "not_in_bulk"


async def test_the_ends_of_a_query_parameter_are_dropped(api, customer_id):
    for path, query in (
        ("/v1/stores/1/invoices", {"status": "all", "limit": "5", "since": "2026-01-31T10:00:00Z"}),
        (f"/v1/customers/{customer_id}/transactions", {"asset": "points", "brand_id": "1"}),
        (f"/v1/customers/{customer_id}/statement", {"from": "2026-01-31", "to": "2026-02-01"}),
        ("/v1/brands/1/rewards", {"retired": "true"}),
    ):
        for end in ENDS:
            sent = "&".join(f"{name}={quote(end + said + end)}" for name, said in query.items())
            reply = await api.network.request("GET", f"{path}?{sent}")
            assert reply.status == 200, (path, end, reply.json)

"""The document says all of the contract, nothing else, and is what its standard asks for."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import msgspec
import pytest
from contract import CONTRACT_OF_ENGINE
from harness import Reply
from openapi_spec_validator import OpenAPIV31SpecValidator

from engine import schemas
from engine.api.contract import ROWS, declaration_of
from engine.api.contract.problems import CODES, EXAMPLES, OF_ANY_ADDRESS
from engine.api.openapi import Section, document
from engine.api.routes import ALL_ROUTES, SECTIONS
from engine.codes import VERBS, Kind, Refusal
from engine.http.dispatcher import Route
from engine.http.operation import Endpoint
from engine.http.problems import PROBLEMS
from engine.ledger.vocabulary import REFUSALS
from engine.schemas.errors import WITH_MEMBERS, Problem
from engine.schemas.texts import Sent

BY_PLACE = {(route.method, route.path): route for route in ALL_ROUTES}
DOCUMENT = CONTRACT_OF_ENGINE.document
OPERATIONS = {
    (method.upper(), path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
MODULES = [
    importlib.import_module(f"{schemas.__name__}.{found.name}")
    for found in pkgutil.iter_modules(schemas.__path__)
]
OF_AN_ITEM = {"not_in_bulk"}
"""Codes that are told of an item within an answer, and of no request."""
NAMES = [f"{method} {path}" for method, path in OPERATIONS]


def operation_of(name):
    method, _, path = name.partition(" ")
    return OPERATIONS[method, path]


def resolved(part):
    found = part
    if "$ref" in part:
        found = DOCUMENT
        for step in part["$ref"].split("/")[1:]:
            found = found[step]
    return found


def pointer_to(name, *steps):
    method, _, path = name.partition(" ")
    steps = ("paths", path, method.lower(), *steps)
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


NOBODY = "/v1/customers/6f1d2c3b-4a59-4e68-9d77-8c6b5a493827"
UNKNOWN = DOCUMENT["components"]["examples"]["customer_not_found"]["value"]
WALLETS = {"wallets": [], "as_of": "2026-11-22T15:04:05Z"}


def answered(status, body):
    kind = "problem+json" if "code" in body else "json"
    return Reply(status, {"Content-Type": f"application/{kind}"}, body)


@pytest.mark.parametrize(
    ("path", "status", "body", "fault"),
    [
        ("/wallets", 200, WALLETS, None),
        ("/wallets", 404, UNKNOWN, None),
        ("/wallets?x=1", 200, WALLETS | {"more": 1}, "'more' was unexpected"),
        ("/wallets", 200, {"wallets": []}, "'as_of' is a required property"),
        ("/wallets", 200, WALLETS | {"wallets": None}, "None is not of type 'array'"),
        ("/wallets", 201, WALLETS, "does not know"),
        ("/wallets", 200, UNKNOWN, "with application/problem+json"),
        ("/wallets", 404, UNKNOWN | {"code": "gift_not_found"}, "'gift_not_found' is not one of"),
        ("/wallets", 404, UNKNOWN | {"available": 1}, "'available' was unexpected"),
        ("/nothing", 404, UNKNOWN, "customer_not_found"),
    ],
)
def test_an_answer_that_is_not_in_the_document_is_found(path, status, body, fault):
    reply = answered(status, body)
    if fault is None:
        CONTRACT_OF_ENGINE.check("GET", NOBODY + path, None, reply)
        return
    with pytest.raises(AssertionError, match=re.escape(fault)):
        CONTRACT_OF_ENGINE.check("GET", NOBODY + path, None, reply)


def test_a_body_that_was_taken_though_it_is_not_in_the_document_is_found():
    taken = answered(
        201,
        operation_of("POST /v1/customers")["responses"]["201"]["content"]["application/json"][
            "example"
        ],
    )
    sent = {"document": {"type": "CC", "number": "1"}, "email": "a@b.co"}
    CONTRACT_OF_ENGINE.check("POST", "/v1/customers", sent, taken)
    with pytest.raises(AssertionError, match="'more' was unexpected"):
        CONTRACT_OF_ENGINE.check("POST", "/v1/customers", sent | {"more": 1}, taken)


def test_the_standard_finds_nothing_wrong():
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []
    assert DOCUMENT["openapi"].startswith("3.1")


def test_every_call_is_in_the_document_and_is_declared_once():
    assert set(OPERATIONS) == set(BY_PLACE)
    assert len(ALL_ROUTES) == len(BY_PLACE)
    elsewhere = {place for place, one in BY_PLACE.items() if not isinstance(one.handler, Endpoint)}
    assert set(ROWS) == elsewhere


def test_a_route_that_nobody_declared_is_not_left_out_in_silence():
    async def nobody(_services, _call):
        """`GET /v1/nothing`: nobody answers."""

    unheard_of = Route("GET", "/v1/nothing", frozenset(), nobody)
    with pytest.raises(KeyError):
        document([Section("Nothing", "", (unheard_of,))])


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_says_what_it_is_and_whose(name):
    operation = operation_of(name)
    route = BY_PLACE[tuple(name.split(" "))]
    assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", operation["operationId"])
    assert re.fullmatch(r"[A-Z].*[^.]", operation["summary"])
    assert operation["tags"][0] in {section.name for section in SECTIONS}
    roles = {role.value for role in getattr(route, "roles", ())}
    assert set(operation["x-roles"]) == roles
    assert roles <= set(re.findall(r"`([a-z]+)`", operation["description"]))
    assert operation["security"] == ([{"key": []}] if roles else [])
    asked = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
    assert asked == set(re.findall(r"\{(\w+)\}", route.path))


def test_operation_ids_are_distinct():
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", NAMES)
def test_a_body_that_is_taken_is_documented(name):
    operation = operation_of(name)
    assert any(status < "300" for status in operation["responses"])
    if "requestBody" not in operation:
        assert name.split(" ")[0] != "PATCH"
        assert "415" not in operation["responses"]
        return
    assert {"400", "408", "413", "415"} <= set(operation["responses"])


@pytest.mark.parametrize("name", [name for name in NAMES if " /v1/" in name])
def test_an_idempotency_key_is_asked_for_where_value_moves(name):
    moves = re.fullmatch(
        r"POST .*/(accumulations|redemptions|payments|conversions|cashbacks|donations|reversals"
        r"|deposits)",
        name,
    )
    headers = {
        one["name"]: one["required"]
        for one in operation_of(name).get("parameters", [])
        if one["in"] == "header"
    }
    assert headers.get("Idempotency-Key", False) == bool(moves)


def contents_of(name):
    """Give every body of an operation with where it stands."""
    operation = operation_of(name)
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield pointer_to(name, "requestBody", "content", media_type), media_type, content
    for status, answer in operation["responses"].items():
        at = answer.get("$ref", "").removeprefix("#") or pointer_to(name, "responses", status)
        for media_type, content in resolved(answer).get("content", {}).items():
            escaped = media_type.replace("/", "~1")
            yield f"{at}/content/{escaped}", media_type, content


OF_ANY_KIND = "GET /openapi.json"
"""Its answer is a document whose members are not ours to list."""


@pytest.mark.parametrize("name", NAMES)
def test_every_body_has_an_example_and_it_keeps_to_the_schema(name):
    for at, media_type, content in contents_of(name):
        examples = [resolved(one)["value"] for one in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        assert examples, at
        if "json" in media_type and not isinstance(examples[0], str):
            validator = CONTRACT_OF_ENGINE.validator(f"{at}/schema")
            for example in examples:
                assert list(validator.iter_errors(example)) == []
                if isinstance(example, dict) and example and name != OF_ANY_KIND:
                    assert list(validator.iter_errors(example | {"unheard_of": 1}))


def codes_in(answer):
    return set(resolved(answer)["content"].get("application/problem+json", {}).get("examples", ()))


def test_every_problem_is_documented_and_no_other():
    documented = {
        code
        for operation in OPERATIONS.values()
        for answer in operation["responses"].values()
        if "content" in resolved(answer)
        for code in codes_in(answer)
    }
    known = set(PROBLEMS) | {refusal.code for refusal in REFUSALS}
    assert set(CODES) == known
    assert set(DOCUMENT["components"]["examples"]) == known
    assert documented | set(OF_ANY_ADDRESS) | OF_AN_ITEM == known


REFUSED_WITHOUT_A_VERB = {
    "lookUpCustomer": {"qr_invalid"},
    "sendInvoice": {"invoice_voided"},
    "voidInvoice": {"invoice_already_claimed"},
}
"""What a route answers by a refusal's code although it asks the ledger for nothing."""


def test_a_route_documents_the_refusals_of_its_verbs_and_no_others():
    for place, route in BY_PLACE.items():
        row = declaration_of(route)
        answers = OPERATIONS[place]["responses"].values()
        documented = {
            code for answer in answers if "content" in resolved(answer) for code in codes_in(answer)
        }
        given = {refusal.code for kind in row.verbs for refusal in VERBS[kind].refusals}
        others = REFUSED_WITHOUT_A_VERB.get(row.operation, set())
        assert documented & {refusal.code for refusal in Refusal} == given | others, row.operation
        assert not given & set(row.problems), "the table of verbs has it"


def test_every_verb_that_a_client_asks_for_is_of_one_route():
    changes = [route for (method, _), route in BY_PLACE.items() if method != "GET"]
    routes = [kind for route in changes for kind in declaration_of(route).verbs]
    asked = {kind for kind, verb in VERBS.items() if verb.asked and kind != Kind.EXPIRY}
    assert sorted(routes) == sorted(asked)


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_stands_under_its_status(name):
    for status, answer in operation_of(name)["responses"].items():
        for code in codes_in(answer) if "content" in resolved(answer) else ():
            example = DOCUMENT["components"]["examples"][code]["value"]
            assert example["status"] == int(status)
            assert f"`{code}`" in resolved(answer)["description"]


def test_what_a_problem_promises_is_shown_in_its_example():
    assert set(EXAMPLES) == set(WITH_MEMBERS)
    usual = set(Problem.__struct_fields__)
    for code, shape in WITH_MEMBERS.items():
        more = set(shape.__struct_fields__) - usual
        assert more
        assert more == set(EXAMPLES[code])
        assert more <= set(DOCUMENT["components"]["examples"][code]["value"])


@pytest.mark.parametrize("name", NAMES)
def test_answers_carry_the_headers_of_their_status(name):
    for status, answer in operation_of(name)["responses"].items():
        headers = set(resolved(answer)["headers"])
        assert "X-Request-Id" in headers
        assert ("Retry-After" in headers) == (status in ("429", "503", "504"))
        assert ("WWW-Authenticate" in headers) == (status == "401")


def schemas():
    return DOCUMENT["components"]["schemas"].items()


def test_every_schema_is_described_and_closed():
    for name, schema in schemas():
        assert re.fullmatch(r"[A-Z][A-Za-z]+", name), "two schemas have this name"
        assert schema["description"], name
        assert "\n " not in schema["description"]
        if "properties" in schema:
            assert schema["additionalProperties"] is False, name


def test_every_schema_is_in_the_document():
    for module in MODULES:
        for name, shape in inspect.getmembers(module, inspect.isclass):
            ours = issubclass(shape, msgspec.Struct) and shape.__module__ == module.__name__
            if ours and shape is not Sent:  # the base of all bodies
                assert name in DOCUMENT["components"]["schemas"], f"{name} is taken by no row"


def test_patterns_are_read_by_every_dialect():
    text = msgspec.json.encode(DOCUMENT).decode()
    assert re.findall(r'"pattern":"([^"]*)"', text)
    for pattern in re.findall(r'"pattern":"([^"]*)"', text):
        assert not re.search(r"\\\\[AZzG]|\(\?[<!=P]", pattern), pattern


def test_summaries_are_english():
    article = re.compile(r"\ba [aeio]|\ban [^aeiou]", re.IGNORECASE)
    summaries = [operation["summary"] for operation in OPERATIONS.values()]
    assert "Add an organisation" in summaries
    assert [one for one in summaries if article.search(one)] == []


async def test_the_document_is_served_without_a_key_and_asked_for_once(api):
    reply = await api.anonymous.request("GET", "/openapi.json")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert reply.json == DOCUMENT
    etag = reply.headers["ETag"]
    again = await api.anonymous.request("GET", "/openapi.json", headers={"If-None-Match": etag})
    assert (again.status, again.json) == (304, b"")
    assert again.headers["ETag"] == etag
    head = await api.anonymous.request("HEAD", "/openapi.json")
    assert head.status == 200
    assert head.headers["ETag"] == etag

"""Every problem has its code, its status and its titles, and a test that brings it about."""

from __future__ import annotations

import ast
import re
from inspect import getdoc
from pathlib import Path
from uuid import uuid4

import pytest

from engine.codes import Refusal
from engine.errors import EngineError
from engine.http.problems import PROBLEMS
from engine.http.spanish import REVIEWED, SPANISH, detail_in_spanish
from engine.ledger.vocabulary import HTTP_STATUS_REFUSED, REFUSALS

NOT_TESTED_HERE = {
    "internal_error": "it stands for what nobody foresaw; no request is known to bring it about",
    "customer_blocked": "nobody can be blocked by the API yet; the ledger's own tests refuse it",
}
"""Codes that no test of the running engine brings about, and why."""

TESTS = Path(__file__).parent.parent
TITLES = {
    **{code: (row.title_en, row.title_es) for code, row in PROBLEMS.items()},
    **{refusal.code: (row.title_en, row.title_es) for refusal, row in REFUSALS.items()},
}


def test_every_refusal_has_its_text():
    assert set(REFUSALS) == set(Refusal)
    assert list(REFUSALS) == sorted(REFUSALS)
    assert not {refusal.code for refusal in Refusal} & set(PROBLEMS)


def test_every_code_says_in_spanish_what_to_do():
    assert set(SPANISH) == set(TITLES)
    for code, said in SPANISH.items():
        assert said.endswith(".") == (code not in REVIEWED)
        for detail in ("Send `amount`.", "Send something."):
            assert is_sentences(detail_in_spanish(code, detail))


def test_every_refusal_and_every_error_says_it_in_whole_sentences():
    errors = {EngineError}
    while more := {one for known in errors for one in known.__subclasses__()} - errors:
        errors |= more
    assert len(errors) > 15
    texts = [text.advice for text in REFUSALS.values()]
    texts += [getdoc(one) for one in errors if one.__module__.startswith("engine.")]
    assert [text for text in texts if not is_sentences(text)] == []


def test_every_detail_that_the_code_writes_is_whole_sentences():
    """Those that are made of parts are looked at as they are answered (tests/contract.py)."""
    written = {
        (text, f"{file.name}:{node.lineno}")
        for package in ("api", "commands", "http")
        for file in (TESTS.parent / "engine" / package).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for text in details_of(node)
    }
    assert len(written) > 100
    assert [one for one in sorted(written) if not is_sentences(one[0])] == []


def details_of(node):
    """Give what a call of Problem, or an assignment of a detail, says in literal text."""
    said = None
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem" and len(node.args) > 1:
        said = node.args[1]
    elif isinstance(node, ast.Assign) and re.search(
        r"detail$|ADVICE$", ast.unparse(node.targets[0])
    ):
        said = node.value
    if isinstance(said, ast.Constant):
        yield said.value
    elif isinstance(said, ast.JoinedStr):
        yield "".join(one.value if isinstance(one, ast.Constant) else "X" for one in said.values)


def is_sentences(text):
    """Return whether a text begins as a sentence does and ends as one."""
    return re.match(r"[A-ZÁÉÍÓÚÑ¿¡`]|\d", text) is not None and text.endswith((".", "?", "!"))


async def test_the_detail_follows_the_language_of_the_client(api, customer_id):
    spanish = {"Accept-Language": "es-CO,es;q=0.9"}
    path = f"/v1/customers/{customer_id}/accumulations"
    for body, said in (
        ({}, "Falta el valor de la factura: `amount`, `invoice_number`."),
        ({"amount": "x", "currency": "COP"}, "Revisa los datos que enviaste: `amount`."),
        ({"amount": 1, "currency": "USD"}, SPANISH["currency_mismatch"]),
    ):
        key = str(uuid4())
        reply = await api.store.request("POST", path, body, idempotency=key, headers=spanish)
        assert (reply.status, reply.json["detail"]) == (400, said)
    unknown = await api.store.request("GET", f"/v1/customers/{uuid4()}", headers=spanish)
    assert unknown.json["detail"] == SPANISH["customer_not_found"]


@pytest.mark.parametrize("code", TITLES)
def test_titles_are_told_in_english_and_in_spanish(code):
    english, spanish = TITLES[code]
    assert english
    assert spanish
    assert english != spanish
    for title in (english, spanish):
        assert title[0].isupper()
        assert not title.endswith((".", "!"))
        # The network's own sentence stands as it is written (CUS-2).
        assert code == "customer_not_found" or re.search(r"[^.?!] ¿", title) is None
    assert re.fullmatch(r"[a-z][a-z_]*[a-z]", code)


def test_every_code_is_brought_about_by_a_test_of_the_running_engine():
    mentioned = set()
    for folder in ("api", "faults"):
        for file in (TESTS / folder).glob("test_*.py"):
            if file.name != Path(__file__).name:
                mentioned |= set(re.findall(r'"([a-z_]+)"', file.read_text()))
    mentioned |= set(re.findall(r'"([a-z_]+)"', Path(__file__).read_text().partition("BROUGHT")[2]))
    assert set(TITLES) - mentioned - set(NOT_TESTED_HERE) == set()
    assert set(NOT_TESTED_HERE) <= set(TITLES)


BROUGHT_ABOUT_HERE = {
    "malformed_json": (400, {"body": b"{"}),
    "invalid_request": (400, {"body": {"amount": "x"}}),
    "currency_mismatch": (400, {"body": {"amount": 1, "currency": "USD"}}),
    "amount_required": (400, {"body": {}}),
    "idempotency_key_missing": (400, {"body": {"amount": 1}, "idempotency": None}),
    "idempotency_key_invalid": (400, {"body": {"amount": 1}, "idempotency": "k" * 256}),
    "unauthorized": (401, {"headers": {"Authorization": "Bearer x"}}),
    "customer_not_found": (404, {"path": f"/v1/customers/{uuid4()}/accumulations"}),
    "not_found": (404, {"path": "/v1/nothing"}),
    "method_not_allowed": (405, {"method": "DELETE"}),
    "body_too_large": (413, {"body": b"x" * 20_000}),
    "unsupported_encoding": (415, {"headers": {"Content-Encoding": "gzip"}}),
}


async def bring_about(api, customer_id, facts, language):
    asked = {
        "method": "POST",
        "path": f"/v1/customers/{customer_id}/accumulations",
        "body": {"amount": 100, "currency": "COP"},
        "idempotency": "k",
    } | facts
    headers = {"Accept-Language": language, "X-Request-Id": "asked-1"} | asked.pop("headers", {})
    method, path, body = (asked.pop(name) for name in ("method", "path", "body"))
    return await api.store.request(method, path, body, headers=headers, **asked)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("code", BROUGHT_ABOUT_HERE)
async def test_a_problem_has_the_shape_of_the_standard(api, customer_id, code, language):
    status, facts = BROUGHT_ABOUT_HERE[code]
    reply = await bring_about(api, customer_id, facts, language)
    assert (reply.status, reply.code) == (status, code)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["X-Request-Id"] == "asked-1"
    english, spanish = TITLES[code]
    problem = reply.json
    assert problem.pop("detail")
    assert problem == {
        "type": f"urn:leal:problem:{code}",
        "title": spanish if language == "es" else english,
        "status": status,
        "code": code,
        "request_id": "asked-1",
    }


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("es", "es"),
        ("es-CO,es;q=0.9,en;q=0.8", "es"),
        ("en-US,en;q=0.9", "en"),
        ("fr-FR, es;q=0.5", "es"),
        ("en;q=0.5, es;q=0.9", "es"),
        ("es;q=0, en", "en"),
        ("ES", "es"),
        ("fr", "en"),
        ("*", "en"),
        ("", "en"),
        (";;,,=q", "en"),
        ("español", "en"),
    ],
)
async def test_the_title_follows_the_language_that_is_preferred(api, header, language):
    reply = await api.store.lookup(email="nobody@example.com")
    assert reply.json["title"] == TITLES["customer_not_found"][0]
    reply = await api.store.request(
        "POST",
        "/v1/customers/lookup",
        {"email": "nobody@example.com"},
        headers={"Accept-Language": header},
    )
    assert reply.json["title"] == TITLES["customer_not_found"][language == "es"]


async def test_a_refusal_of_the_ledger_has_the_shape_of_the_standard(api, customer_id):
    reply = await api.store.pay(customer_id, coins=5)
    assert reply.status == HTTP_STATUS_REFUSED
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert set(reply.json) >= {"type", "title", "status", "detail", "code", "request_id"}
    assert reply.json["request_id"] == reply.headers["X-Request-Id"]

"""Which problems a route may run into, and an example of each."""

from __future__ import annotations

import re
from typing import Any

from msgspec import convert

from engine.api.example_values import CUSTOMER_ID, NOW, REQUEST_ID
from engine.codes import VERBS
from engine.http.dispatcher import OpenRoute, Route
from engine.http.operation import Declaration
from engine.http.problems import PROBLEMS
from engine.ledger.vocabulary import HTTP_STATUS_REFUSED, REFUSALS
from engine.people.keys import Role
from engine.schemas.errors import WITH_MEMBERS, Problem

OF_ANY_ADDRESS = ("not_found", "method_not_allowed", "headers_too_large")
"""The answer where no route was found or looked for, so that no route has it in its list."""

VERSION = "/v1/"
OF_ANY_CALL = frozenset({"internal_error", "unavailable"})
OF_A_CHANGE = frozenset({"overloaded", "outcome_unknown", "read_only"})
OF_A_BODY = frozenset(
    {
        "malformed_json",
        "invalid_request",
        "request_timeout",
        "body_too_large",
        "unsupported_encoding",
    }
)
OF_A_KEY = frozenset({"idempotency_key_invalid", "idempotency_key_reused"})
NAMED_IN_PATH = re.compile(r"\{(\w+)_id\}")

EXAMPLES: dict[str, dict[str, Any]] = {
    "profile_incomplete": {"missing_fields": ["gender", "birth_date"]},
    "insufficient_points": {"available": 120, "required": 500},
    "insufficient_coins": {"available": 2400, "required": 3000},
    "code_invalid": {"tries_left": 2},
    "customer_exists": {"customer_id": str(CUSTOMER_ID)},
    "exceeds_invoice": {"left": 400},
    "invoice_differs": {"amount": 5_400_000, "currency": "COP", "issued_at": NOW},
}
"""What an example of a problem has beyond the standard's members."""

REFUSED = {refusal.code: text for refusal, text in REFUSALS.items()}
CODES = tuple(PROBLEMS) + tuple(REFUSED)
"""Every code there is."""


def codes_of(route: Route | OpenRoute, declared: Declaration) -> list[str]:
    """Return every code that a route may answer with, by status; raises KeyError for no code."""
    codes = set(declared.problems)
    codes |= {refusal.code for kind in declared.verbs for refusal in VERBS[kind].refusals}
    if route.path.startswith(VERSION):
        codes |= OF_ANY_CALL | {"invalid_request"}
    if isinstance(route, Route):
        codes.add("unauthorized")
        codes |= {f"{name}_not_found" for name in NAMED_IN_PATH.findall(route.path)}
        if route.roles != frozenset(Role):
            codes.add("forbidden")
    if route.method != "GET":
        codes |= OF_A_CHANGE
    if declared.body is not None:
        codes |= OF_A_BODY
    if declared.key:
        codes |= OF_A_KEY
    if declared.key == "required":
        codes.add("idempotency_key_missing")
    return sorted(codes, key=lambda code: (status_of(code), CODES.index(code)))


def status_of(code: str) -> int:
    """Return the HTTP status of a code; raises KeyError where there is no such code."""
    return HTTP_STATUS_REFUSED if code in REFUSED else PROBLEMS[code].status


def title_of(code: str) -> str:
    """Return what a code stands for, in English."""
    return (REFUSED.get(code) or PROBLEMS[code]).title_en


def shape_of(code: str) -> type[Problem]:
    """Return the shape of a problem: `Problem`, or one with the members that its code promises."""
    return WITH_MEMBERS.get(code, Problem)


def example_of(code: str) -> Problem:
    """Return a problem as a client may get it."""
    advice = REFUSED[code].advice if code in REFUSED else f"{title_of(code)}."
    return convert(
        {
            "type": f"urn:leal:problem:{code}",
            "title": title_of(code),
            "status": status_of(code),
            "detail": advice,
            "code": code,
            "request_id": REQUEST_ID,
            **EXAMPLES.get(code, {}),
        },
        shape_of(code),
    )

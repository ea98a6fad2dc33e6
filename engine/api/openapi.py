"""The document of the contract, OpenAPI 3.1: made from the routes, the shapes and the tables.

Nothing is written here twice. Who may call what, and in which order calls are shown, stands in
engine.api.routes; what is sent and answered at each handler (engine.http.operation), as examples
whose types are the schemas; what goes wrong in engine.http.problems and engine.codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from inspect import cleandoc, getdoc
from itertools import groupby
from typing import Any
from uuid import UUID

from msgspec import Struct, to_builtins
from msgspec.json import schema_components
from msgspec.structs import fields

from engine import __version__
from engine.api.contract import declaration_of
from engine.api.contract.problems import (
    CODES,
    codes_of,
    example_of,
    shape_of,
    status_of,
    title_of,
)
from engine.http.dispatcher import OpenRoute, Route
from engine.http.operation import Declaration, Shown
from engine.http.problems import CONTENT_TYPE, PROBLEMS
from engine.http.response import JSON
from engine.ledger.vocabulary import HTTP_STATUS_REFUSED
from engine.people.keys import Role
from engine.schemas.errors import WITH_MEMBERS, Problem
from engine.schemas.scalars import Id, IdempotencyKey, InvoiceNumber
from engine.schemas.texts import Sent
from engine.schemas.transactions import Nothing

REFERENCE = "#/components/schemas/{name}"
PLACE = re.compile(r"\s*`[A-Z]+ [^`]*`[:.]?\s*")
"""What a handler's docstring begins with: its method and path."""
RULES = re.compile(r"\b(?:SYS|CUS|PTS|RED|COI|INV|USR|FRD)-\d+\b")
RULES_IN_BRACKETS = re.compile(r"\s*\((?:SYS|CUS|PTS|RED|COI|INV|USR|FRD)-[^)]*\)")
LINE_BREAK = re.compile(r"(?<!\n)\n(?![\n*])")
"""The end of a line that ends neither a paragraph nor a point of a list."""
IN_PATH = re.compile(r"\{(\w+)\}")

ABOUT = """
The transaction engine of a coalition loyalty network. Points belong to a brand, coins to the whole
network; every answer about either is durable before it is given.

* **Keys.** `Authorization: Bearer <key>`. A key has a role: `network`, `brand`, `store`, `app` or,
once a cashier has signed in, `cashier`. What a key may not see answers 404, as if it did not exist.
* **Idempotency.** What moves value takes the header `Idempotency-Key`: a new one for each intent,
the same for each retry. A retry gets the recorded answer, success or refusal, with the header
`Idempotent-Replayed: true`. The same key with another body is 422 `idempotency_key_reused`; for
another customer it is another intent.
* **Numbers.** Money is an integer in minor units with its currency: 54 000 COP are `5400000`.
Points and coins are whole numbers; a coin is a peso. Times are RFC 3339 in UTC.
* **Problems.** `application/problem+json` (RFC 9457) with a `code` that never changes; `title`
follows `Accept-Language` (es, en). A refusal of the ledger is 409, and final for its idempotency
key. 429 and 503 say with `Retry-After` when to come back. After 504 `outcome_unknown` retry with
the same key. A path that does not exist is 404 `not_found`, another method 405.
* **Requests.** JSON in UTF-8, with or without a byte order mark. A field or a query parameter that
is unknown, or comes twice, is refused. `X-Request-Id` comes back (yours if it is sane), and W3C
`traceparent` reaches the log.
* **Texts.** Blanks, control characters and invisible characters at the ends of a text are dropped,
as scanners add them. What is empty then counts as absent where the field is optional, and is
refused where it is required. The same holds for words of a fixed set, days and moments, whose
schemas say only how they are spelled. Passwords are taken as they are sent. Names are kept in
Unicode NFC, and have no invisible characters and no marks of direction. `maxLength` counts what is
left.
"""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """Calls that belong together, under one heading of the document."""

    name: str
    text: str
    routes: tuple[Route | OpenRoute, ...]


def document(sections: Sequence[Section]) -> Json:
    """Return the whole document; raises KeyError for a route that nobody has declared."""
    calls = [
        (section.name, route, declaration_of(route))
        for section in sections
        for route in section.routes
    ]
    schemas = _Schemas(_types_of([declared for _, _, declared in calls]))
    paths: dict[str, Json] = {}
    for tag, route, declared in calls:
        told = _operation(route, declared, schemas)
        paths.setdefault(route.path, {})[route.method.lower()] = {
            "operationId": declared.operation,
            "tags": [tag],
            **told,
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Leal transaction engine",
            "version": __version__,
            "description": _unwrapped(ABOUT),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": section.name, "description": section.text} for section in sections],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "headers": HEADERS,
            "examples": {
                code: {"summary": title_of(code), "value": to_builtins(example_of(code))}
                for code in CODES
            },
            "responses": {".".join(codes): _problem_answer(codes, schemas) for codes in SHARED},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, or the token of a cashier who has signed in.",
                }
            },
        },
    }


class _Schemas:
    """The schemas of all types of the contract: those of Structs are components, by name."""

    def __init__(self, types: list[Any]) -> None:
        schemas, components = schema_components(types, ref_template=REFERENCE)
        self._known = list(zip(types, map(_published, schemas), strict=True))
        self.components: Json = _published(components)
        for type_ in types:
            if isinstance(type_, type) and issubclass(type_, Sent):
                _require_something(self.components[type_.__name__])

    def of(self, type_: Any) -> Json:
        """Return the schema of a type: of a Struct, the reference to it."""
        return next(dict(schema) for known, schema in self._known if known == type_)

    def of_any(self, types: list[Any]) -> Json:
        """Return the schema of what is one of these types."""
        return self.of(types[0]) if len(types) == 1 else {"anyOf": [self.of(one) for one in types]}


HEADERS: Json = {
    "X-Request-Id": {
        "description": "Names this request in the engine's log; the caller's own if it was sane.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true` where this is the recorded answer of an earlier request.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "integer"},
    },
    "WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}},
    "Allow": {"description": "The methods of this path.", "schema": {"type": "string"}},
}
HEADERS_OF = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    504: ("Retry-After",),
}
"""What the answers of a status carry beyond the request id."""
RECORDED = frozenset({HTTP_STATUS_REFUSED})
"""The status of problems that a retry gets again."""
SHARED = (
    ("malformed_json", "invalid_request"),
    *((code,) for code, row in PROBLEMS.items() if row.status != HTTP_STATUS_REFUSED),
    ("overloaded", "read_only", "unavailable"),
)
"""Answers that many routes have: each set of codes is written once, and referred to."""
TYPES_IN_PATH: dict[str, Any] = {
    "customer_id": UUID,
    "payment_id": UUID,
    "transaction_id": UUID,
    "key_id": str,
    "number": InvoiceNumber,
    "asset": str,
}
"""What names in paths stand for that are no small numbers."""


def _types_of(calls: list[Declaration]) -> list[Any]:
    """Return every type that the document gives a schema, each once."""
    types: list[Any] = [
        Problem,
        *WITH_MEMBERS.values(),
        IdempotencyKey,
        Id,
        *TYPES_IN_PATH.values(),
    ]
    for declared in calls:
        types += declared.query.values()
        for shown in (declared.body, *declared.answers.values()):
            types += _structs_of(shown)
    return _distinct(types)


def _distinct(types: list[Any]) -> list[Any]:
    """Return each of the types once; not all of them can be hashed."""
    found: list[Any] = []
    for type_ in types:
        if type_ not in found:
            found.append(type_)
    return found


def _structs_of(shown: Shown) -> list[Any]:
    """Return the types of what a body is told by."""
    told = shown if isinstance(shown, list) else _examples(shown).values()
    return _distinct([type(example) for example in told])


def _examples(shown: Shown) -> Mapping[str, Struct]:
    """Return the examples of a JSON body by name."""
    if shown is None or isinstance(shown, tuple | list):
        return {}
    return {"example": shown} if isinstance(shown, Struct) else shown


def _published(schema: Any) -> Any:
    """Return a schema as the document has it.

    Patterns end in the `$` that every dialect knows, descriptions are not indented, words are told
    to be strings, and an object has the members that it is said to have and no other.
    """
    if isinstance(schema, list):
        return [_published(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    published = {name: _published(value) for name, value in schema.items()}
    if isinstance(published.get("pattern"), str):
        published["pattern"] = published["pattern"].replace(r"\Z", "$")
    if isinstance(published.get("description"), str):
        published["description"] = _unwrapped(published["description"])
    if all(isinstance(word, str) for word in published.get("enum", [0])):
        published["type"] = "string"
    if published.get("type") == "object" and "properties" in published:
        published["additionalProperties"] = False
    return published


def _require_something(schema: Json) -> None:
    """Let the schema of a body say that its required texts are not empty."""
    for name in schema.get("required", ()):
        field = schema["properties"][name]
        if "pattern" in field:
            field["minLength"] = max(1, field.get("minLength", 0))


def _unwrapped(text: str) -> str:
    """Return a text with each paragraph and each point of a list on one line, as readers want."""
    return LINE_BREAK.sub(" ", cleandoc(text))


def _operation(route: Route | OpenRoute, declared: Declaration, schemas: _Schemas) -> Json:
    """Return what the document says of one route."""
    summary, text = _words(route, declared)
    roles = sorted(route.roles, key=list(Role).index) if isinstance(route, Route) else []
    rules = sorted(set(RULES.findall(_prose(route, declared))), key=_rule_order)
    keys = f"Keys: {', '.join(f'`{role}`' for role in roles)}." if roles else "No key is needed."
    lines = [text, declared.about, keys, f"Rules: {', '.join(rules)}." if rules else ""]
    operation: Json = {
        "summary": summary,
        "description": "\n\n".join(line for line in lines if line),
        "x-roles": [role.value for role in roles],
        "security": [{"key": []}] if roles else [],
    }
    parameters = _parameters(route.path, declared, schemas)
    if parameters:
        operation["parameters"] = parameters
    if declared.body is not None:
        operation["requestBody"] = {
            "required": not isinstance(declared.body, Nothing),
            "content": _content(declared.body, schemas, sent=True)
            | _content(declared.lines, schemas),
        }
    return operation | {"responses": _answers(route, declared, schemas)}


def _prose(route: Route | OpenRoute, declared: Declaration) -> str:
    """Return all that is said of a route and of what it takes."""
    told = [declared.summary, declared.about, getdoc(route.handler) or ""]
    return " ".join(told + [getdoc(type_) or "" for type_ in _structs_of(declared.body)])


def _rule_order(rule: str) -> tuple[str, int]:
    system, _, number = rule.partition("-")
    return system, int(number)


def _words(route: Route | OpenRoute, declared: Declaration) -> tuple[str, str]:
    """Return the summary of a route, in plain text, and what more its handler says."""
    said = _unwrapped(PLACE.sub("", getdoc(route.handler) or "", count=1))
    first, _, text = said.partition("\n\n")
    summary = RULES_IN_BRACKETS.sub("", declared.summary or first).replace("*", "").strip(" .")
    return summary[:1].upper() + summary[1:], text.strip()


def _parameters(path: str, declared: Declaration, schemas: _Schemas) -> list[Json]:
    """Return what is asked of the path, the query string and the headers."""
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schemas.of(TYPES_IN_PATH.get(name, Id)),
        }
        for name in IN_PATH.findall(path)
    ]
    for name, type_ in declared.query.items():
        parameters.append({"name": name, "in": "query", **_described(schemas.of(type_))})
    if declared.key:
        about = (
            "A new one for each intent, the same for each retry; bare or quoted. It belongs to the "
            "brand, or to a key without one, and to the customer: the same key for another "
            "customer is another intent."
        )
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": declared.key == "required",
                "description": about,
                "schema": schemas.of(IdempotencyKey),
                "example": "8f4c5f1e-sale-20931",
            }
        )
    return parameters


def _described(schema: Json) -> Json:
    """Return a parameter's schema, and its description beside it, where it belongs."""
    about = schema.pop("description", None)
    return ({"description": about} if about else {}) | {"schema": schema}


def _content(shown: Shown, schemas: _Schemas, *, sent: bool = False) -> Json:
    """Return the media type of a body, with its schema and its examples.

    What is `sent` has in its examples what a client would write: no field with its default.
    """
    if shown is None:
        return {}
    if isinstance(shown, tuple):
        return {
            one.media_type: {"schema": {"type": one.type}, "example": one.example} for one in shown
        }
    plain = _without_defaults if sent else to_builtins
    if isinstance(shown, list):
        items = schemas.of_any(_structs_of(shown))
        schema = {"type": "array", "items": items, "minItems": 1}
        return {JSON: {"schema": schema, "example": [plain(one) for one in shown]}}
    examples = {name: plain(example) for name, example in _examples(shown).items()}
    told: Json = {"schema": schemas.of_any(_structs_of(shown))}
    if isinstance(shown, Struct):
        return {JSON: told | {"example": examples["example"]}}
    return {JSON: told | {"examples": {name: {"value": one} for name, one in examples.items()}}}


def _without_defaults(example: Any) -> Any:
    """Return a body as JSON without the fields that have their default."""
    if not isinstance(example, Struct):
        return to_builtins(example)
    return {
        field.encode_name: _without_defaults(value)
        for field in fields(example)
        if (value := getattr(example, field.name)) != field.default
    }


def _answers(route: Route | OpenRoute, declared: Declaration, schemas: _Schemas) -> Json:
    """Return every answer of a route by status: what it gives, and what goes wrong."""
    answers: Json = {}
    for status, shown in declared.answers.items():
        told = HTTPStatus(status).phrase
        types = _structs_of(shown)
        if len(types) == 1:
            told = _unwrapped(types[0].__doc__).partition("\n\n")[0]
        answers[str(status)] = {"description": told, "headers": _headers(status, declared.key)}
        if shown is not None:
            answers[str(status)]["content"] = _content(shown, schemas) | _content(
                declared.texts, schemas
            )
    for status, group in groupby(codes_of(route, declared), status_of):
        codes = list(group)
        if tuple(codes) in SHARED:
            answers[str(status)] = {"$ref": f"#/components/responses/{'.'.join(codes)}"}
        else:
            answers[str(status)] = _problem_answer(codes, schemas, declared.key)
    return answers


def _problem_answer(codes: Sequence[str], schemas: _Schemas, key: str = "") -> Json:
    """Return the answer of a status with one of these codes."""
    status = status_of(codes[0])
    plain = [code for code in codes if shape_of(code) is Problem]
    kinds = [schemas.of(one) for one in _distinct([shape_of(code) for code in codes])]
    for kind in kinds:
        if kind == schemas.of(Problem):
            kind["properties"] = {"code": {"enum": plain}}
    replayed = key if status in RECORDED else ""
    return {
        "description": "\n".join(f"* `{code}`: {title_of(code)}" for code in codes),
        "headers": _headers(status, replayed),
        "content": {
            CONTENT_TYPE: {
                "schema": kinds[0] if len(kinds) == 1 else {"anyOf": kinds},
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


def _headers(status: int, key: str) -> Json:
    """Return the headers of an answer."""
    names = ["X-Request-Id", *HEADERS_OF.get(status, ())]
    if key:
        names.append("Idempotent-Replayed")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}

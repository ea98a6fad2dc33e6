"""Holds what the engine answers to its own document: each answer has a schema, and keeps to it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import orjson
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from engine.api.openapi import document
from engine.api.routes import ALL_ROUTES, SECTIONS
from engine.http.dispatcher import Router
from engine.schemas.texts import tidied

DOCUMENT = "urn:leal:openapi"
PROBLEM = "application/problem+json"
JSON = "application/json"
ENDS = (".", "?", "!")
"""How a sentence ends."""
SPELLED = {"enum", "const", "format", "anyOf"}
"""What a schema says of a word, a day or a moment; `anyOf` where it may be null."""
NOT_ROUTED = {404: "not_found", 405: "method_not_allowed"}
"""What is answered where no route has the path, or the method."""


class Answered(Protocol):
    """What was answered; what is no JSON is bytes."""

    status: int
    headers: Any
    json: Any


class Contract:
    """The document of the engine that stands here, with a validator for each of its schemas."""

    def __init__(self) -> None:
        self._router = Router(ALL_ROUTES)
        self._validators: dict[str, Draft202012Validator] = {}

    @cached_property
    def document(self) -> dict[str, Any]:
        """The document as a client reads it."""
        return orjson.loads(orjson.dumps(document(SECTIONS)))

    def check(self, method: str, path: str, sent: Any, reply: Answered) -> None:
        """Fail where the document does not say that this request may be answered like this.

        `sent` is the request's body, as JSON that was read already or as bytes.
        """
        asked = "GET" if method == "HEAD" else method
        route, _ = self._router.find(asked, path.partition("?")[0])
        about = f"{method} {path} answered {reply.status}"
        if route is None:
            if reply.status in NOT_ROUTED:
                assert reply.json["code"] == NOT_ROUTED[reply.status], f"{about}: {reply.json}"
                self._validate("/components/schemas/Problem", reply.json, about)
            return
        place = f"/paths/{_escaped(route.path)}/{asked.lower()}"
        operation = self._at(place)
        at = f"{place}/responses/{reply.status}"
        answer = operation["responses"].get(str(reply.status))
        assert answer is not None, f"{about}, which the document does not know: {reply.json}"
        if "$ref" in answer:
            at = answer["$ref"].removeprefix("#")
            answer = self._at(at)
        if method == "HEAD" or "content" not in answer:
            assert not reply.json, f"{about} with a body, which the document does not know"
            return
        media_type = reply.headers.get("Content-Type", "").partition(";")[0]
        assert media_type in answer["content"], f"{about} with {media_type}"
        if media_type in (JSON, PROBLEM) and route.path != "/openapi.json":
            self._validate(f"{at}/content/{_escaped(media_type)}/schema", reply.json, about)
        if media_type == PROBLEM:
            assert reply.json["detail"].endswith(ENDS), f"{about}: {reply.json['detail']}"
        taken = list(operation.get("requestBody", {}).get("content", ()))
        if reply.status < 300 and sent and taken == [JSON]:  # an upload tells of each item instead
            body = orjson.loads(sent) if isinstance(sent, bytes) else sent
            at = f"{place}/requestBody/content/{_escaped(JSON)}/schema"
            read = _read_as_documented(self._kept_validator(at), body)
            self._validate(at, read, f"{about} to {body}")

    def _validate(self, at: str, value: Any, about: str) -> None:
        """Fail where `value` has not the schema that stands at this place of the document."""
        found = self._kept_validator(at).iter_errors(value)
        errors = [f"{error.json_path}: {error.message}" for error in found]
        assert not errors, f"{about} with what its schema does not allow: {errors} in {value}"

    def _kept_validator(self, at: str) -> Draft202012Validator:
        validator = self._validators.get(at)
        if validator is None:
            validator = self._validators[at] = self.validator(at)
        return validator

    def validator(self, at: str) -> Draft202012Validator:
        """Return the validator of the schema at a place of the document (a JSON pointer)."""
        resource = Resource(contents=self.document, specification=DRAFT202012)
        registry: Registry[Any] = Registry().with_resource(DOCUMENT, resource)
        return Draft202012Validator(
            {"$ref": f"{DOCUMENT}#{at}"},
            registry=registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )

    def _at(self, pointer: str) -> Any:
        found: Any = self.document
        for step in pointer.split("/")[1:]:
            found = found[step.replace("~1", "/").replace("~0", "~")]
        return found


def _read_as_documented(validator: Draft202012Validator, body: Any) -> Any:
    """Return a body as the document says that it is read, in its paragraph on texts.

    The ends of words, days and moments are dropped, and a blank one is left out.
    """
    read = orjson.loads(orjson.dumps(body))
    for error in validator.iter_errors(body):
        if not isinstance(error.instance, str) or error.validator not in SPELLED:
            continue
        *steps, last = error.absolute_path
        holder = read
        for step in steps:
            holder = holder[step]
        holder[last] = tidied(error.instance)
        if holder[last] == "" and isinstance(holder, dict):
            del holder[last]
    return read


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


CONTRACT_OF_ENGINE = Contract()
"""One for the whole run: its validators are made once."""

"""Bodies of requests: each is checked against its schema while it is decoded."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from engine.commands.problem import Problem
from engine.http.headers import query_text
from engine.http.plain import repeated_member
from engine.http.tidying import tidied_body
from engine.http.validation import sentence_of
from engine.schemas.transactions import Nothing

Body = TypeVar("Body", bound=Struct)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class BodyDecoder(Generic[Body]):
    """Reads the bodies of one resource's requests."""

    def __init__(self, shape: type[Body]) -> None:
        self._decoder: msgspec.json.Decoder[Body] = msgspec.json.Decoder(shape)
        self._shape = shape

    def decode(self, body: bytes) -> Body:
        """Return the Struct; raises Problem `malformed_json` or `invalid_request`.

        A byte order mark in front is dropped, and so is what stands around words, days and moments
        (engine.http.tidying). A member that comes twice is refused, for a proxy or
        a log may have read the other one.
        """
        if not body or body.isspace():
            if self._shape is Nothing:
                return self._shape()
            raise Problem("malformed_json", "Send a JSON object as the body.")
        try:
            try:
                decoded = self._decoder.decode(body)
            except msgspec.ValidationError:
                tidy = tidied_body(body, self._shape)
                if tidy is None:
                    raise
                decoded = self._decoder.decode(tidy)
        except msgspec.ValidationError as error:
            raise Problem("invalid_request", sentence_of(error, self._shape)) from None
        except UnicodeDecodeError:
            raise Problem("malformed_json", "The body is not in UTF-8, as JSON must be.") from None
        except (msgspec.DecodeError, RecursionError) as error:
            if body.startswith(BYTE_ORDER_MARK):
                return self.decode(body[len(BYTE_ORDER_MARK) :])
            detail = f"The body must be one JSON object in UTF-8. {error}."
            raise Problem("malformed_json", detail) from None
        if (name := repeated_member(body)) is not None:
            _refuse_repeated(body, name)
        return decoded


SENT_BY_ANY_PAGE = frozenset(
    {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}
)
"""The types that a browser lets the page of another site send without asking."""


def refuse_types_of_pages(request: web.BaseRequest) -> None:
    """Raise Problem for a body of a type that any web page may send.

    For other types a browser asks first, and is not allowed to: no page makes its visitors fail to
    sign in here.
    """
    sent = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if sent in SENT_BY_ANY_PAGE:
        raise Problem("unsupported_media_type", "Send the header Content-Type: application/json.")


def _refuse_repeated(body: bytes, name: bytes) -> None:
    """Raise Problem where a member comes twice; `name` is b"" where that is not known yet."""
    if name:
        raise _repeated(name.decode())

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            raise _repeated(next(one for one in names if names.count(one) > 1))
        return found

    json.loads(body, object_pairs_hook=members)


def _repeated(name: str) -> Problem:
    """Return the problem of a member that comes twice; sound bodies have known ones only."""
    return Problem("invalid_request", f"`{name}` comes twice: send it once.")


def query_int(request: web.BaseRequest, name: str, default: int, at_most: int) -> int:
    """Return an integer of the query string in 1 … at_most; raises Problem where it is none."""
    text = query_text(request, name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:19]) <= at_most:
        raise Problem("invalid_request", f"`{name}` is a whole number from 1 to {at_most}.")
    return int(text)

"""Bytes to requests: a body is checked against its shape while it is decoded."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from engine.api.currencies import AT_PAR, one_name
from engine.api.heads import query_text
from engine.api.mistakes import sentence_of
from engine.api.plain import repeated_member
from engine.api.problems import Problem
from engine.api.shapes.transactions import Accumulation, Nothing, Payment, Redemption
from engine.api.tidying import tidied_body

Body = TypeVar("Body", bound=Struct)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ENCODER = msgspec.json.Encoder()


class Wire:
    """Reads the bodies of one resource's requests; `Wire(Accumulation).read(request)`."""

    def __init__(self, shape: type[Body]) -> None:
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(shape)
        self._shape = shape

    def decode(self, body: bytes) -> Any:
        """Return the Struct; raises Problem `malformed_json` or `invalid_request`.

        A byte order mark in front is dropped, and so is what stands around words, days and moments
        (engine.api.tidying). A member that comes twice is refused, for a proxy or
        a log may have read the other one.
        """
        if not body or body.isspace():
            if self._shape is Nothing:
                return Nothing()
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


def fingerprint_fields(body: Accumulation | Redemption | Payment) -> bytes:
    """Return the meaning of a body as bytes: the same however its JSON was spelled.

    The store is left out, for it goes into the fingerprint whether it was named or is the key's.
    A currency goes in by its one name.
    """
    if isinstance(body, Accumulation) and body.currency is not None and body.currency in AT_PAR:
        body = msgspec.structs.replace(body, currency=one_name(body.currency))
    if body.store_id is not None:
        body = msgspec.structs.replace(body, store_id=None)
    return ENCODER.encode(body)


def one_of(body: Struct, *names: str) -> str:
    """Return which one of these fields is there; raises Problem where it is not exactly one."""
    given = [name for name in names if getattr(body, name) is not None]
    if len(given) != 1:
        choice = ", ".join(names)
        raise Problem("invalid_request", f"Send exactly one of {choice}; {len(given)} were sent.")
    return given[0]


def query_int(request: web.BaseRequest, name: str, default: int, at_most: int) -> int:
    """Return an integer of the query string in 1 … at_most; raises Problem where it is none."""
    text = query_text(request, name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:19]) <= at_most:
        raise Problem("invalid_request", f"`{name}` is a whole number from 1 to {at_most}.")
    return int(text)

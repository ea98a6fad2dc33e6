"""Bytes to requests: a body is checked against its shape while it is decoded."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from engine.api.currencies import one_name
from engine.api.mistakes import sentence_of
from engine.api.problems import Problem
from engine.api.shapes.transactions import Accumulation, Nothing, Payment, Redemption

Body = TypeVar("Body", bound=Struct)
ENCODER = msgspec.json.Encoder()


class Wire:
    """Reads the bodies of one resource's requests; `Wire(Accumulation).read(request)`."""

    def __init__(self, shape: type[Body]) -> None:
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(shape)
        self._shape = shape

    def decode(self, body: bytes) -> Any:
        """Return the Struct; raises Problem `malformed_json` or `invalid_request`."""
        if not body or body.isspace():
            if self._shape is Nothing:
                return Nothing()
            raise Problem("malformed_json", "Send a JSON object as the body.")
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise Problem("invalid_request", sentence_of(error, self._shape)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            detail = f"The body must be one JSON object in UTF-8: {error}"
            raise Problem("malformed_json", detail) from None


def fingerprint_fields(body: Accumulation | Redemption | Payment) -> bytes:
    """Return the meaning of a body as bytes: the same however its JSON was spelled.

    The store is left out, for it goes into the fingerprint whether it was named or is the key's.
    A currency goes in by its one name.
    """
    if isinstance(body, Accumulation) and body.currency is not None:
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
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:19]) <= at_most:
        raise Problem("invalid_request", f"`{name}` is a whole number from 1 to {at_most}.")
    return int(text)

"""Bytes to requests: the shape of every body, checked while it is decoded.

The Structs here are the contract. They refuse unknown fields, and a float, a boolean or a string
where an integer belongs; texts hold no control characters.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from engine.api.problems import Problem

AMOUNT_MAX = 10**12
"""Largest amount of one request, in minor units, points or coins."""

Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MAX, description="Minor units of the currency.")]
Coins = Annotated[int, Meta(ge=1, le=AMOUNT_MAX, description="Whole coins.")]
Id = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Text = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f<>]+\Z")]
InvoiceNumber = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\x20-\x7e]+\Z")]
Currency = Literal["COP", "USD", "GTQ"]
Country = Literal["CO", "SV", "GT", "PA"]


class Document(Struct, forbid_unknown_fields=True, frozen=True):
    """An identity document (CUS-5)."""

    type: Literal["CC", "CE", "PA", "NIT", "TI", "PPT", "DUI", "DPI", "CED", "RUC"]
    number: Text
    country: Country | None = None


class Registration(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a registration, quick (CUS-3) or full (CUS-4)."""

    document: Document
    email: Text
    phone: Text | None = None
    first_names: Name | None = None
    last_names: Name | None = None
    gender: Literal["F", "M", "X"] | None = None
    birth_date: date | None = None
    country: Country | None = None
    city: Name | None = None


class Lookup(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a look-up: exactly one way to find the customer (CUS-2)."""

    document: Document | None = None
    phone: Text | None = None
    email: Text | None = None
    qr: Text | None = None


class Accumulation(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of an accumulation (PTS-3)."""

    amount: Amount | None = None
    currency: Currency | None = None
    invoice_number: InvoiceNumber | None = None
    store_id: Id | None = None
    occurred_at: datetime | None = None


class Redemption(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a redemption (RED-5)."""

    reward_id: Id
    store_id: Id | None = None


class Payment(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a payment with coins (COI-3, COI-5)."""

    coins: Coins
    document_checked: bool
    invoice_number: InvoiceNumber | None = None
    amount: Amount | None = None
    qr: Text | None = None
    store_id: Id | None = None


class Confirmation(Struct, forbid_unknown_fields=True, frozen=True):
    """Body of a confirmation: the code that the customer was sent (COI-6)."""

    code: Annotated[str, Meta(pattern=r"^[0-9]{4,6}\Z")]


class Nothing(Struct, forbid_unknown_fields=True, frozen=True):
    """An empty body, or an empty object."""


Body = TypeVar("Body", bound=Struct)


class Wire:
    """Reads the bodies of one resource's requests; `Wire(Accumulation).read(request)`."""

    def __init__(self, shape: type[Body]) -> None:
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(shape)
        self._empty = shape is Nothing

    def decode(self, body: bytes) -> Any:
        """Return the Struct; raises Problem `malformed_json` or `invalid_request`."""
        if self._empty and not body:
            return Nothing()
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise Problem("invalid_request", _sentence(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            detail = f"The body must be one JSON object in UTF-8: {error}"
            raise Problem("malformed_json", detail) from None


def fingerprint_fields(body: Accumulation | Redemption | Payment) -> bytes:
    """Return the meaning of a body as bytes: the same however its JSON was spelled.

    The store is left out, for it goes into the fingerprint whether it was named or is the key's.
    """
    if body.store_id is not None:
        body = msgspec.structs.replace(body, store_id=None)
    return msgspec.json.encode(body)


def one_of(body: Struct, *names: str) -> str:
    """Return which one of these fields is there; raises Problem where it is not exactly one."""
    given = [name for name in names if getattr(body, name) is not None]
    if len(given) != 1:
        choice = ", ".join(names)
        raise Problem("invalid_request", f"Send exactly one of {choice}; {len(given)} were sent.")
    return given[0]


def _sentence(error: msgspec.ValidationError) -> str:
    """Return msgspec's message without the value that it might repeat."""
    text = str(error)
    return text if text.endswith(".") else f"{text}."


def query_int(request: web.BaseRequest, name: str, default: int, at_most: int) -> int:
    """Return an integer of the query string in 1 … at_most; raises Problem where it is none."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:19]) <= at_most:
        raise Problem("invalid_request", f"`{name}` is a whole number from 1 to {at_most}.")
    return int(text)

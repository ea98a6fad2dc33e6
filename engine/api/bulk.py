"""Bulk uploads: accumulations in one request, as NDJSON or as a JSON array (SYS-4).

What is read and written of an upload lives here; what becomes of its items in
`engine.commands.upload`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec
import orjson
from msgspec import Raw, Struct

from engine.commands.decisions import Decided
from engine.commands.problem import Problem
from engine.commands.services import Services
from engine.commands.upload import Result, Upload
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.plain import accumulation_text
from engine.http.problems import detail_of, error_problem, language_of, status_of, title_of
from engine.http.response import Response
from engine.schemas.scalars import IdempotencyKey
from engine.schemas.texts import tidied
from engine.schemas.transactions import BulkItem

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

ITEM_COMMAS_MAX = 64
"""No item has as many; so a longer array is refused before it is parsed."""

LABEL_BYTES_MAX = 2048
"""What a label takes at most, each character of it escaped."""

SPENDS = frozenset({"redemption", "payment", "donation"})
OTHERS = frozenset({"conversion", "cashback", "reversal"})

LINE = re.compile(rb"\S[^\n]*")
NOTHING = Raw(b"null")


class Label(Struct):
    """The fields of a malformed item that its result repeats; nothing else is decoded."""

    type: Raw = NOTHING
    idempotency_key: Raw = NOTHING


ITEM = BodyDecoder(BulkItem)
LABEL = msgspec.json.Decoder(Label)
ARRAY = msgspec.json.Decoder(list[Raw])


async def upload(services: Services, call: Call) -> Response:
    """`POST /v1/transactions`: accumulations, as NDJSON or as a JSON array."""
    settings = services.settings
    # A body that arrives slowly takes no place from the others.
    body = await read_body(
        services, call.request, settings.bulk_body_bytes_max, settings.bulk_body_timeout_ms
    )
    with services.uploads.place():
        items = items_of(body, settings.bulk_items_max)
        language = language_of(call.request.headers.get("Accept-Language"))
        results = Results(items, settings.body_bytes_max, language)
        async with services.uploads.run(settings.answer_timeout_ms / 1000):
            await Upload(services, call.principal, results.report).run(results.read())
    return answer(results.body())


class Results:
    """The results of an upload's items, as JSON."""

    def __init__(self, items: Sequence[bytes | Raw], item_bytes_max: int, language: str) -> None:
        self._items = items
        self._item_bytes_max = item_bytes_max
        self._language = language
        self._results: dict[int, bytes] = {}

    def read(self) -> Iterator[tuple[int, BulkItem] | None]:
        """Give the items and their places; None for one that cannot be read, which is reported."""
        for place, item in enumerate(self._items):
            try:
                yield place, self._read(item)
            except Problem as problem:
                self._refuse(place, _key_of(item), problem)
                yield None

    def report(self, place: int, key: str, result: Result) -> None:
        """Keep what became of an item; `key` is its idempotency key as it was sent."""
        if isinstance(result, Decided):
            self._results[place] = b'{"idempotency_key":%b,"status":201,%b%b' % (
                orjson.dumps(key),
                b'"replayed":true,' if result.replayed else b"",
                accumulation_text(result.answer)[1:],
            )
        else:
            problem = result if isinstance(result, Problem) else error_problem(result)
            self._refuse(place, key, problem)

    def body(self) -> bytes:
        """Return the body of the answer, with the results in the order of the items."""
        results = (self._results[place] for place in range(len(self._items)))
        return b'{"results":[%b]}' % b",".join(results)

    def _read(self, item: bytes | Raw) -> BulkItem:
        """Return what an item says; raises Problem."""
        if len(item) > self._item_bytes_max:
            raise Problem("body_too_large", f"An item has at most {self._item_bytes_max} bytes.")
        try:
            return ITEM.decode(bytes(item))
        except Problem as problem:
            raise _unreadable(item, problem) from None

    def _refuse(self, place: int, key: str | None, problem: Problem) -> None:
        """Keep a problem as the result of an item."""
        replayed = {"replayed": True} if problem.replayed else {}
        shown = {
            "idempotency_key": key,
            "index": place,
            "status": status_of(problem),
            **replayed,
            "code": problem.code,
            "title": title_of(problem, self._language),
            "detail": detail_of(problem, self._language),
            **problem.members,
        }
        self._results[place] = orjson.dumps(shown)


def items_of(body: bytes, items_max: int) -> Sequence[bytes | Raw]:
    """Return the items of an upload, each as its own JSON; raises Problem."""
    text = body.removeprefix(BYTE_ORDER_MARK).strip()
    if not text:
        raise Problem("invalid_request", "Send at least one item.")
    items: Sequence[bytes | Raw]
    if text[:1] == b"[":
        if text.count(b",") > items_max * ITEM_COMMAS_MAX:
            raise _too_many(items_max)
        try:
            items = ARRAY.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Problem(
                "malformed_json", f"The array broke off or is not JSON. {error}."
            ) from None
        if not items:
            raise Problem("invalid_request", "Send at least one item.")
    else:
        items = list(islice(_lines_of(text), items_max + 1))
    if len(items) > items_max:
        raise _too_many(items_max)
    return items


def _too_many(items_max: int) -> Problem:
    return Problem("too_many_items", f"One upload has at most {items_max} items; send several.")


def _lines_of(text: bytes) -> Iterator[bytes]:
    """Yield the lines that are not blank."""
    return (match[0].rstrip() for match in LINE.finditer(text))


def _unreadable(item: bytes | Raw, problem: Problem) -> Problem:
    """Return the problem of an item that is none, or none that is taken in bulk."""
    kind = tidied(_text_of(_label_of(item).type) or "")
    if kind in SPENDS:
        detail = "Money is spent only while the customer is there: use the single call."
        return Problem("not_in_bulk", detail)
    if kind in OTHERS:
        return Problem("not_in_bulk", "Only accumulations are taken in bulk: use the single call.")
    if problem.code == "malformed_json":
        detail = "Each item is one JSON object in UTF-8, in an array or on a line of its own."
        return Problem(problem.code, detail)
    return problem


def _key_of(item: bytes | Raw) -> str | None:
    """Return the idempotency key of an item, None where that cannot be read."""
    try:
        return msgspec.convert(_text_of(_label_of(item).idempotency_key), IdempotencyKey)
    except msgspec.ValidationError:
        return None


def _text_of(raw: Raw) -> str | None:
    """Return the text that a part of an item is, None for anything else and for a long one."""
    try:
        return msgspec.json.decode(raw, type=str) if len(raw) <= LABEL_BYTES_MAX else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _label_of(item: bytes | Raw) -> Label:
    try:
        return LABEL.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Label()

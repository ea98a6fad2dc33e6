"""Bulk uploads: what a point of sale has sold while it was offline, in one request (SYS-4).

Each item succeeds or fails by itself, as a single call with its idempotency key would. Whatever can
be asked for all of them is asked once: who the customers are, what the invoices say, and the lanes.
Of those that claim one invoice the first gets it. The event loop gets its turn again and again, for
others are at the till.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from time import perf_counter

import msgspec
import orjson
from msgspec import Raw, Struct

from engine.api.accumulations import earn
from engine.api.customers import identity_of
from engine.api.replays import recorded_of
from engine.codes import Refusal
from engine.commands.choices import one_of
from engine.commands.identity import bare_key
from engine.commands.issuing import Facts, issue_many
from engine.commands.problem import Problem
from engine.commands.refusals import raise_refusal
from engine.commands.sales import NOT_KNOWN, Asked, Sale, find_earlier, named, sold_at_s
from engine.commands.scope import store_of
from engine.commands.services import Services
from engine.errors import CustomerNotFound, EngineError
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.plain import accumulation_text
from engine.http.problems import detail_of, error_problem, language_of, status_of, title_of
from engine.http.response import Response
from engine.ledger.core import claim_key_of, uuid_bytes
from engine.ledger.receipts import Answer
from engine.people.keys import Principal
from engine.programme.brands import Brand, Store
from engine.schemas.scalars import IdempotencyKey
from engine.schemas.texts import tidied
from engine.schemas.transactions import Accumulation, BulkItem

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SLICE_S = 0.0005
"""How long a part of an upload holds the event loop; there may be a dozen between two turns."""

PARTS = 4
"""An upload is cut by customers, so that one part is prepared while another is made durable."""

ITEM_COMMAS_MAX = 64
"""No item has as many; so an array is refused before its elements are told apart."""

LABEL_BYTES_MAX = 2048
"""What a label takes at most, each character of it escaped."""

SPENDS = frozenset({"redemption", "payment", "donation"})
CLAIMED = frozenset({0, Refusal.INVOICE_ALREADY_CLAIMED})
OTHERS = frozenset({"conversion", "cashback", "reversal"})

LINE = re.compile(rb"\S[^\n]*")
NOTHING = Raw(b"null")


class Label(Struct):
    """What is told of an item whose shape is wrong; whatever stands there is not built."""

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
        async with services.uploads.run(settings.answer_timeout_ms / 1000):
            results = await Upload(services, call.principal, language).run(items)
    return answer(b'{"results":[%b]}' % b",".join(results))


@dataclass(slots=True)
class Entry:
    """An item that can be read: what is asked for, and whose it is.

    `sent_key` is its idempotency key as it was sent, `key` what that names. `claim` is the invoice
    that it claims, in the spelling that is claimed (PTS-7), None where it claims none.
    `customer_id` is empty until the customer is found by its `identity`.
    """

    place: int
    sent_key: str
    key: str
    body: Accumulation
    claim: tuple[int, bytes] | None
    customer_id: bytes = b""
    identity: tuple[str, str] | None = None


class Upload:
    """One upload on its way: items become entries, entries operations, and operations results."""

    def __init__(self, services: Services, principal: Principal, language: str) -> None:
        self._services = services
        self._principal = principal
        self._language = language
        self._results: dict[int, bytes] = {}
        self._claimed: set[tuple[int, bytes]] = set()
        self._slice_ends = perf_counter() + SLICE_S

    async def run(self, items: Sequence[bytes | Raw]) -> list[bytes]:
        """Return the result of each item as JSON, in order."""
        entries = []
        for place, item in enumerate(items):
            try:
                entries.append(self._entry(place, item))
            except Problem as problem:
                self._refuse(place, _key_of(item), problem)
            if perf_counter() > self._slice_ends:
                await self._give_way()
        entries = await self._with_customers(entries)
        while entries:
            first, entries = self._in_order(entries)
            await self._do(first)
        return [self._results[place] for place in range(len(items))]

    async def _do(self, entries: list[Entry]) -> None:
        """Bring entries to their results, part by part."""
        parts: list[list[Entry]] = [[] for _ in range(PARTS)]
        for entry in entries:
            parts[entry.customer_id[15] % PARTS].append(entry)
        async with asyncio.TaskGroup() as tasks:
            for part in filter(None, parts):
                tasks.create_task(self._commit(*await self._facts(part)))
                await self._give_way()

    def _in_order(self, entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
        """Return the entries that can be done at once, and those that come after them.

        Who claims an invoice that an entry before claims for another customer comes after it, with
        all that follows of this customer. Once it is claimed, the order is of no matter.
        """
        now: list[Entry] = []
        later: list[Entry] = []
        first: dict[tuple[int, bytes] | None, bytes] = {}
        late: set[bytes] = set()
        for entry in entries:
            claim, customer_id = entry.claim, entry.customer_id
            asked_for = claim is not None and claim not in self._claimed
            if asked_for and first.setdefault(claim, customer_id) != customer_id:
                late.add(customer_id)
            (later if customer_id in late else now).append(entry)
        return now, later

    def _claim_of(self, read: BulkItem) -> tuple[int, bytes] | None:
        store_id = self._principal.store_id if read.store_id is None else read.store_id
        number = read.invoice_number
        if store_id is None or number is None:
            return None
        return store_id, claim_key_of(number.encode())

    async def _commit(self, entries: list[Entry], wanted: list[tuple[Brand, Facts]]) -> None:
        """Bring operations to their outcome, and keep it as the results of their entries."""
        outcomes = await issue_many(self._services, wanted)
        for entry, outcome in zip(entries, outcomes, strict=True):
            self._settle(entry, outcome)
            if perf_counter() > self._slice_ends:
                await self._give_way()

    def _entry(self, place: int, item: bytes | Raw) -> Entry:
        """Return what an item asks for; raises Problem."""
        bytes_max = self._services.settings.body_bytes_max
        if len(item) > bytes_max:
            raise Problem("body_too_large", f"An item has at most {bytes_max} bytes.")
        try:
            read: BulkItem = ITEM.decode(bytes(item))
        except Problem as problem:
            raise _unreadable(item, problem) from None
        kind = one_of(read, "customer_id", "document", "phone")
        entry = Entry(
            place,
            read.idempotency_key,
            bare_key(read.idempotency_key),
            Accumulation(
                amount=read.amount,
                currency=read.currency,
                invoice_number=read.invoice_number,
                store_id=read.store_id,
                occurred_at=read.occurred_at,
                till=read.till,
            ),
            self._claim_of(read),
        )
        if read.customer_id is not None:
            entry.customer_id = uuid_bytes(read.customer_id) or b""
        else:
            # A retired one has its country still, and retries of what was sold there.
            country = self._store_of(entry, with_retired=True).brand.country
            entry.identity = kind, _identity_of(read, country)
        return entry

    def _store_of(self, entry: Entry, *, with_retired: bool = False) -> Store:
        return store_of(
            self._services.catalogue.now,
            self._principal,
            entry.body.store_id,
            with_retired=with_retired,
        )

    async def _with_customers(self, entries: list[Entry]) -> list[Entry]:
        """Return the entries whose customer is known; the others have their result."""
        wanted = {entry.identity for entry in entries if entry.identity is not None}
        self._services.guesses.take(self._principal, len(wanted))
        found = await self._services.customers.find_many(wanted)
        self._services.guesses.give_back(self._principal, len(found))
        known = []
        for entry in entries:
            if entry.identity is not None and entry.identity in found:
                entry.customer_id = found[entry.identity].bytes
            if not entry.customer_id:
                self._refuse(entry.place, entry.sent_key, error_problem(CustomerNotFound()))
            else:
                known.append(entry)
        return known

    async def _facts(self, entries: list[Entry]) -> tuple[list[Entry], list[tuple[Brand, Facts]]]:
        """Return what can be asked for, and what the operations are made of, at which brand.

        What cannot be asked for has its result.
        """
        placed = []
        for entry in entries:
            try:
                placed.append((entry, self._store_of(entry)))
            except Problem as problem:
                await self._retry(entry, problem)
        sales = await self._sales(placed)
        asked: list[Entry] = []
        wanted: list[tuple[Brand, Facts]] = []
        for entry, store in placed:
            sale = sales.get(entry.place, NOT_KNOWN)
            try:
                facts = earn(
                    self._services,
                    self._principal,
                    store,
                    entry.customer_id,
                    entry.key,
                    entry.body,
                    sale,
                )
            except Problem as problem:
                await self._retry(entry, problem)
            else:
                asked.append(entry)
                wanted.append((store.brand, facts))
            if perf_counter() > self._slice_ends:
                await self._give_way()
        return asked, wanted

    async def _sales(self, placed: list[tuple[Entry, Store]]) -> dict[int, Sale]:
        """Return by their place how the sales of the entries stand that are known already."""
        invoices, asked = self._services.invoices, {}
        for entry, store in placed:
            number = entry.body.invoice_number
            if number is None or not (
                entry.body.amount is None
                or store.earlier_scopes
                or await invoices.prints(store.store_id)
            ):
                continue
            with suppress(Problem):  # which `earn` raises too, where an item has its result
                moment_s = sold_at_s(self._services, entry.body.occurred_at)
                asked[entry.place] = Asked(store, number, moment_s, entry.body.till)
        keys = await find_earlier(self._services, asked)
        for place, one in asked.items():
            if place not in keys:
                moment_s = time.time() if one.sold_at_s is None else one.sold_at_s
                with suppress(Problem):
                    keys[place] = named(one.store, one.number, moment_s, one.till).key
        printed = await invoices.find_many(
            {(asked[place].store.store_id, key) for place, key in keys.items()}
        )
        return {
            place: Sale(key, printed.get((asked[place].store.store_id, key)))
            for place, key in keys.items()
        }

    async def _retry(self, entry: Entry, problem: Problem) -> None:
        """Answer from the books what could not be done any more, else tell the problem."""
        try:
            recorded = await recorded_of(
                self._services,
                self._principal,
                entry.customer_id,
                entry.key,
                "accumulation",
                entry.body,
                problem,
            )
        except Problem:
            self._refuse(entry.place, entry.sent_key, problem)
        else:
            self._settle(entry, (recorded, True))

    def _settle(self, entry: Entry, outcome: tuple[Answer, bool] | EngineError) -> None:
        """Keep what the ledger says of an entry as its result."""
        if isinstance(outcome, EngineError):
            self._refuse(entry.place, entry.sent_key, error_problem(outcome))
            return
        decided, replayed = outcome
        if entry.claim is not None and decided.refusal in CLAIMED:
            self._claimed.add(entry.claim)
        try:
            raise_refusal(decided, replayed=replayed)
        except Problem as problem:
            self._refuse(entry.place, entry.sent_key, problem)
            return
        self._results[entry.place] = b'{"idempotency_key":%b,"status":201,%b%b' % (
            orjson.dumps(entry.sent_key),
            b'"replayed":true,' if replayed else b"",
            accumulation_text(decided)[1:],
        )

    def _refuse(self, place: int, key: str | None, problem: Problem) -> None:
        """Keep a problem as the result of an item."""
        replayed = {"replayed": True} if problem.replayed else {}
        told = {
            "idempotency_key": key,
            "index": place,
            "status": status_of(problem),
            **replayed,
            "code": problem.code,
            "title": title_of(problem, self._language),
            "detail": detail_of(problem, self._language),
            **problem.members,
        }
        self._results[place] = orjson.dumps(told)

    async def _give_way(self) -> None:
        """Let others have the event loop, and hold it for a while again."""
        await asyncio.sleep(0)
        self._slice_ends = perf_counter() + SLICE_S


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


def _identity_of(item: BulkItem, country: str) -> str:
    """Return the normalised identity that names the customer; raises Problem (CUS-2, CUS-5)."""
    try:
        return identity_of(country, document=item.document, phone=item.phone)
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from None

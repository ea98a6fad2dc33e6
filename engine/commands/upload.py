"""What a point of sale has sold while it was offline, in one upload (SYS-4).

Each sale succeeds or fails by itself, as `engine.commands.earn.accumulate` with its idempotency key
would. Whatever can be asked for all of them is asked once: who the customers are, what the invoices
say, and the lanes. Of those that claim one invoice the first gets it. The event loop gets its turn
again and again, for others are at the till.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from engine.codes import Refusal
from engine.commands.choices import one_of
from engine.commands.concurrency import TimeSlice
from engine.commands.customers import identity_of
from engine.commands.decisions import Decided, accepted, recorded_of
from engine.commands.earn import VERB, Earning, earning_of, sale_to_find
from engine.commands.identity import bare_key
from engine.commands.issuing import Outcome, issue_many
from engine.commands.problem import Problem
from engine.commands.sales import NOT_KNOWN, Asked, Sale, find_earlier, named
from engine.commands.scope import store_of
from engine.commands.services import Services
from engine.errors import CustomerNotFound, EngineError
from engine.ledger.core import claim_key_of, uuid_bytes
from engine.people.keys import Principal
from engine.programme.brands import Store
from engine.schemas.transactions import Accumulation, BulkItem

SLICE_S = 0.0005
"""How long a part of an upload holds the event loop; there may be a dozen between two turns."""

PARTS = 4
"""An upload is cut by customers, so that one part is prepared while another is made durable."""

CLAIMED = frozenset({0, Refusal.INVOICE_ALREADY_CLAIMED})

Result = Decided | Problem | EngineError
"""What became of one sale."""


@dataclass(slots=True)
class Entry:
    """An item on its way: what is asked for, and whose it is.

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

    def __init__(
        self,
        services: Services,
        principal: Principal,
        report: Callable[[int, str, Result], None],
    ) -> None:
        """`report` is called once an item has its result: with its place, its key as sent, and it.

        A refusal is a Problem.
        """
        self._services = services
        self._principal = principal
        self._report = report
        self._claimed: set[tuple[int, bytes]] = set()
        self._slice = TimeSlice(SLICE_S)

    async def run(self, items: Iterable[tuple[int, BulkItem] | None]) -> None:
        """Report the result of each item, by its place; None is one that could not be read."""
        entries = []
        for item in items:
            if item is not None:
                place, body = item
                try:
                    entries.append(self._entry(place, body))
                except Problem as problem:
                    self._report(place, body.idempotency_key, problem)
            await self._slice.give_way_when_over()
        entries = await self._with_customers(entries)
        while entries:
            first, entries = self._in_order(entries)
            await self._do(first)

    async def _do(self, entries: list[Entry]) -> None:
        """Bring entries to their results, part by part."""
        parts: list[list[Entry]] = [[] for _ in range(PARTS)]
        for entry in entries:
            parts[entry.customer_id[15] % PARTS].append(entry)
        async with asyncio.TaskGroup() as tasks:
            for part in filter(None, parts):
                tasks.create_task(self._commit(await self._earnings(part)))
                await self._slice.give_way()

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

    def _claim_of(self, item: BulkItem) -> tuple[int, bytes] | None:
        store_id = self._principal.store_id if item.store_id is None else item.store_id
        number = item.invoice_number
        if store_id is None or number is None:
            return None
        return store_id, claim_key_of(number.encode())

    async def _commit(self, earnings: list[tuple[Entry, Earning]]) -> None:
        """Bring what is earned to its outcome, and report it as the results of its entries."""
        outcomes = await issue_many(self._services, [earning for _, earning in earnings])
        for (entry, _), outcome in zip(earnings, outcomes, strict=True):
            self._settle(entry, outcome)
            await self._slice.give_way_when_over()

    def _entry(self, place: int, item: BulkItem) -> Entry:
        """Return what an item asks for; raises Problem."""
        kind = one_of(item, "customer_id", "document", "phone")
        entry = Entry(
            place,
            item.idempotency_key,
            bare_key(item.idempotency_key),
            Accumulation(
                amount=item.amount,
                currency=item.currency,
                invoice_number=item.invoice_number,
                store_id=item.store_id,
                occurred_at=item.occurred_at,
                till=item.till,
            ),
            self._claim_of(item),
        )
        if item.customer_id is not None:
            entry.customer_id = uuid_bytes(item.customer_id) or b""
        else:
            # A retired one has its country still, and retries of what was sold there.
            country = self._store_of(entry, with_retired=True).brand.country
            entry.identity = kind, _identity_of(item, country)
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
                self._report(entry.place, entry.sent_key, CustomerNotFound())
            else:
                known.append(entry)
        return known

    async def _earnings(self, entries: list[Entry]) -> list[tuple[Entry, Earning]]:
        """Return what the entries earn; what cannot be asked for has its result."""
        placed = []
        for entry in entries:
            try:
                placed.append((entry, self._store_of(entry)))
            except Problem as problem:
                await self._retry(entry, problem)
        sales = await self._sales(placed)
        earnings: list[tuple[Entry, Earning]] = []
        for entry, store in placed:
            sale = sales.get(entry.place, NOT_KNOWN)
            try:
                earning = earning_of(
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
                earnings.append((entry, earning))
            await self._slice.give_way_when_over()
        return earnings

    async def _sales(self, placed: list[tuple[Entry, Store]]) -> dict[int, Sale]:
        """Return by their place how the sales of the entries stand that are known already."""
        asked: dict[int, Asked] = {}
        for entry, store in placed:
            with suppress(Problem):  # which `earning_of` raises too, where an item has its result
                one = await sale_to_find(self._services, store, entry.body)
                if one is not None:
                    asked[entry.place] = one
        keys = await find_earlier(self._services, asked)
        for place, one in asked.items():
            if place not in keys:
                moment_s = time.time() if one.sold_at_s is None else one.sold_at_s
                with suppress(Problem):
                    keys[place] = named(one.store, one.number, moment_s, one.till).key
        printed = await self._services.invoices.find_many(
            {(asked[place].store.store_id, key) for place, key in keys.items()}
        )
        return {
            place: Sale(key, printed.get((asked[place].store.store_id, key)))
            for place, key in keys.items()
        }

    async def _retry(self, entry: Entry, problem: Problem) -> None:
        """Answer from the books what could not be done any more, else report the problem."""
        try:
            recorded = await recorded_of(
                self._services,
                self._principal,
                entry.customer_id,
                entry.key,
                VERB,
                entry.body,
                problem,
            )
        except Problem:
            self._report(entry.place, entry.sent_key, problem)
        else:
            self._settle(entry, (recorded, True))

    def _settle(self, entry: Entry, outcome: Outcome) -> None:
        """Report what the ledger says of an entry as its result."""
        result: Result
        if isinstance(outcome, EngineError):
            result = outcome
        else:
            if entry.claim is not None and outcome[0].refusal in CLAIMED:
                self._claimed.add(entry.claim)
            try:
                result = accepted(outcome)
            except Problem as problem:
                result = problem
        self._report(entry.place, entry.sent_key, result)


def _identity_of(item: BulkItem, country: str) -> str:
    """Return the normalised identity that names the customer; raises Problem (CUS-2, CUS-5)."""
    try:
        return identity_of(country, document=item.document, phone=item.phone)
    except ValueError as error:
        raise Problem("invalid_request", str(error)) from None

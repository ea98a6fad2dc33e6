"""Invoices that integrated points of sale have printed, claimed or not (INV-1, INV-2).

A store prints as many as it sells, so what comes while one statement is in flight goes into the
next one: one commit for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, Literal
from uuid import UUID

import structlog

from engine.errors import InvoicePaid, OutcomeUnknown, Overloaded
from engine.network.invoice_names import EarlierName
from engine.postgres.connections import NOTHING_WRITTEN, OUT_OF_REACH, CheckViolation, Pool
from engine.postgres.sql import queries

log = structlog.get_logger()
SQL = queries("invoices")

BATCH_INVOICES_MAX = 512
# Any number serves, as long as nothing else locks it: the bytes of "invo".
ADVISORY_LOCK = 0x696E766F
NOT_KNOWN = "Whether this was kept is not known: send it again, which does no harm."

Key = tuple[int, str]
"""What names an invoice: its store and its key; see `engine/network/invoice_names.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A sale as its point of sale has printed it; `amount` in minor units of `currency`."""

    store_id: int
    invoice_key: str
    invoice_number: str
    amount: int
    currency: str
    issued_at: datetime
    till: str | None = None

    @property
    def key(self) -> Key:
        """What names the invoice."""
        return self.store_id, self.invoice_key

    def says(self, other: Printed) -> bool:
        """Return whether both have the same content."""
        return (self.amount, self.currency, self.issued_at) == (
            other.amount,
            other.currency,
            other.issued_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice(Printed):
    """An invoice as it is kept; who claimed it and by which transaction, or None (INV-2).

    `voided_at` is when its point of sale has voided it (INV-5), None where it has not.
    """

    received_at: datetime
    voided_at: datetime | None = None
    customer_id: UUID | None = None
    transaction_id: UUID | None = None

    @property
    def status(self) -> Literal["unclaimed", "claimed", "voided"]:
        """How it stands: `unclaimed`, `claimed` or `voided`."""
        if self.voided_at is not None:
            return "voided"
        return "unclaimed" if self.transaction_id is None else "claimed"


class Invoices:
    """Takes what points of sale print, and finds it again."""

    def __init__(self, pool: Pool, waiting_max: int, remembered_ms: int) -> None:
        self._pool = pool
        self._waiting_max = waiting_max
        self._remembered_s = remembered_ms / 1000
        self._printing: dict[int, tuple[bool, float]] = {}  # by store, and until when to believe it
        self._waiting: list[tuple[Printed, asyncio.Future[tuple[Invoice, bool]]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def put(self, printed: Printed) -> tuple[Invoice, bool]:
        """Return (the invoice of that store and number as it is kept, whether it is new).

        What is kept stays as it is. Returns only after COMMIT. Raises Overloaded (nothing was
        done) and OutcomeUnknown: to send it again does no harm.
        """
        if len(self._waiting) >= self._waiting_max:
            raise Overloaded
        waiter: asyncio.Future[tuple[Invoice, bool]] = asyncio.get_running_loop().create_future()
        self._waiting.append((printed, waiter))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await waiter

    async def prints(self, store_id: int) -> bool:
        """Return whether the point of sale of a store sends what it prints (INV-1).

        A store's first invoice, sent to another worker, is known here a little later.
        """
        prints, until = self._printing.get(store_id, (False, 0.0))
        if until < monotonic():
            prints = bool(await self._pool.fetchval(SQL["prints"], store_id))  # network op
            self._printing[store_id] = prints, monotonic() + self._remembered_s
        return prints

    def prints_nothing(self, store_id: int) -> bool:
        """Return whether the point of sale of a store is remembered to send nothing."""
        prints, until = self._printing.get(store_id, (True, 0.0))
        return not prints and until >= monotonic()

    async def find(self, key: Key) -> Invoice | None:
        """Return one invoice, None where no point of sale has sent it."""
        return (await self.find_many([key])).get(key)

    async def find_many(self, keys: Iterable[Key]) -> dict[Key, Invoice]:
        """Return those of the invoices that there are."""
        wanted = list(keys)
        if not wanted:
            return {}
        rows = await self._pool.fetch(  # network op
            SQL["find"], [store_id for store_id, _ in wanted], [key for _, key in wanted]
        )
        return {(row["store_id"], row["invoice_key"]): invoice_of(row) for row in rows}

    async def newest(
        self,
        store_id: int,
        number: str,
        *,
        since: datetime,
        before: datetime | None = None,
        till_key: str | None,
        unclaimed: bool,
        without_till: bool,
    ) -> Invoice | None:
        """Return the newest invoice of a number by whichever name it stands (INV-4), or None.

        `number` is its key without what else names it. It was issued `since` then, `before` then,
        and, as far as its till is known, at that of `till_key`. `unclaimed` leaves out those that
        were claimed or voided, `without_till` those to whose name a till belongs.
        """
        row = await self._pool.fetchrow(  # network op
            SQL["newest"], store_id, number, since, before, till_key, unclaimed, without_till
        )
        return None if row is None else invoice_of(row)

    async def earlier(
        self, names: Sequence[tuple[int, int, EarlierName]], *, paying: bool = False
    ) -> dict[int, str]:
        """Return by which key sales stand already since their store had another scope (INV-4).

        `names` are (any number for the sale, its store, a name that it may have); the answer is by
        these numbers, without the sales that stand by no such name. `paying` takes names by which
        coins have paid too.
        """
        rows = await self._pool.fetch(  # network op
            SQL["earlier"],
            [sale for sale, _, _ in names],
            [store_id for _, store_id, _ in names],
            [name.low for _, _, name in names],
            [name.high for _, _, name in names],
            [name.since for _, _, name in names],
            [name.until for _, _, name in names],
            [name.till_key for _, _, name in names],
            [paying and name.paid for _, _, name in names],
        )
        found: dict[int, str] = {}
        for row in rows:
            found.setdefault(row["sale"], row["invoice_key"])
        return found

    async def void(self, key: Key) -> Invoice | None:
        """Void an invoice that nobody has claimed (INV-5), and return it as it stands then.

        One that was claimed stays so; None where there is none. Returns only after COMMIT. Raises
        InvoicePaid where coins are paid on it; coins that wait for a code go back later.
        """
        try:
            row = await self._pool.fetchrow(SQL["void"], *key, ADVISORY_LOCK)  # network op
        except CheckViolation:
            raise InvoicePaid from None
        return await self.find(key) if row is None else invoice_of(row)

    async def issued(
        self,
        store_id: int,
        *,
        status: str,
        till_key: str | None,
        since: datetime,
        before: tuple[datetime, str] | None,
        limit: int,
    ) -> list[Invoice]:
        """Return one page of what a store issued `since` then, the newest first (INV-2).

        `status` is that of an invoice, or `all`; `before` is the (issued_at, invoice_key) that the
        page before ended with; `till_key` None is all tills.
        """
        rows = await self._pool.fetch(  # network op
            SQL["issued"], store_id, status, since, *(before or (None, None)), limit, till_key
        )
        return [invoice_of(row) for row in rows]

    async def _write(self) -> None:
        """Write what waits, one batch after the other, until nothing does."""
        while self._waiting:
            await asyncio.sleep(0)  # what is ready on the sockets comes along
            batch = self._waiting[:BATCH_INVOICES_MAX]
            del self._waiting[:BATCH_INVOICES_MAX]
            try:
                stored, fresh = await self._insert([printed for printed, _ in batch])
            except Exception as error:
                nothing_written = isinstance(error, NOTHING_WRITTEN)
                if not nothing_written and not isinstance(error, OUT_OF_REACH):
                    log.exception("invoices_not_written", invoices=len(batch))
                for _, waiter in batch:
                    if not waiter.done():
                        told = error if nothing_written else OutcomeUnknown(NOT_KNOWN)
                        waiter.set_exception(told)
                continue
            for printed, waiter in batch:
                if not waiter.done():
                    waiter.set_result((stored[printed.key], printed is fresh.get(printed.key)))

    async def _insert(
        self, batch: Sequence[Printed]
    ) -> tuple[dict[Key, Invoice], dict[Key, Printed]]:
        """Return what is kept under the keys of a batch, and which of the batch made it so."""
        first: dict[Key, Printed] = {}
        for printed in batch:
            first.setdefault(printed.key, printed)
        ordered = [first[key] for key in sorted(first)]
        rows = await self._pool.fetch(  # network op
            SQL["insert"],
            [printed.store_id for printed in ordered],
            [printed.invoice_key for printed in ordered],
            [printed.invoice_number for printed in ordered],
            [printed.till for printed in ordered],
            [printed.amount for printed in ordered],
            [printed.currency for printed in ordered],
            [printed.issued_at for printed in ordered],
            ADVISORY_LOCK,
        )
        stored = {(row["store_id"], row["invoice_key"]): invoice_of(row) for row in rows}
        for store_id, _ in stored:
            self._printing.pop(store_id, None)
        fresh = {key: first[key] for key in stored}
        stored |= await self.find_many(key for key in first if key not in stored)
        return stored, fresh


def invoice_of(row: Any) -> Invoice:
    """Return the invoice of a row of the table with who claimed it."""
    voided = row["voided_at"] is not None
    return Invoice(
        store_id=row["store_id"],
        invoice_key=row["invoice_key"],
        invoice_number=row["invoice_number"],
        till=row["till"],
        amount=row["amount"],
        currency=row["currency"],
        issued_at=row["issued_at"],
        received_at=row["received_at"],
        voided_at=row["voided_at"],
        customer_id=None if voided else row["customer_id"],
        transaction_id=None if voided else row["transaction_id"],
    )

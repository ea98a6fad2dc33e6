"""What the journal tells a reader: wallets as they are now, history, and single receipts.

Reads come from committed rows, by connections of their own; nothing here writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from engine.codes import DEBT_DAY, Kind
from engine.constants import DAY_SECONDS, EPOCH_DAY, MICROSECONDS
from engine.ledger.core import Ledger
from engine.ledger.journal import SQL, wallet_facts
from engine.ledger.receipts import Receipt, receipt_of
from engine.postgres.connections import Pool


@dataclass(frozen=True, slots=True)
class WalletNow:
    """A wallet at a moment: what is due is gone already. `expiring` is (day, amount), ascending.

    A balance below zero is what the customer owes; nothing expires then.
    """

    asset: int
    balance: int
    held: int
    blocked: bool
    expiring: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class State:
    """What a wallet had at a moment; see WalletNow.

    `due` is how much less that is than its newest row says: it has expired.
    """

    balance: int = 0
    held: int = 0
    due: int = 0
    expiring: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WalletSpan:
    """A wallet over some days; `moved` is what postings moved in all, by their kind."""

    asset: int
    opening: State
    closing: State
    now: State
    moved: dict[int, int]

    @property
    def expired(self) -> int:
        """What expired in these days, written down or not; what was due before is not of it."""
        return self.closing.due - self.opening.due - self.moved.get(Kind.EXPIRY, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which postings of a customer are wanted: a page before (moment, asset, seq), or the newest.

    `days` are the first one and the one after the last. Blocks and unblocks are among them where
    `standing` says so.
    """

    asset: int | None
    brand_id: int | None
    before: tuple[datetime, int, int] | None
    limit: int
    points_only: bool = False
    standing: bool = True
    days: tuple[date, date] | None = None

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the query `history` takes after the customer."""
        return (
            self.asset,
            self.brand_id,
            *(self.before or (None, None, None)),
            self.limit,
            self.points_only,
            self.standing,
            *(self.days or (None, None)),
        )


class Statements:
    """Reads the journal for answers that change nothing."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def wallets(
        self, customer_id: bytes, utc_offset: Callable[[int], int]
    ) -> tuple[list[WalletNow], int]:
        """Return a customer's wallets, and the moment they are of, in microseconds.

        `utc_offset` gives the seconds east of UTC of an asset's country.
        """
        rows = await self._pool.fetch(SQL["wallets"], UUID(customer_id))  # network op
        now = time.time_ns() // 1000
        wallets = []
        for row in rows:
            state = _state_of(customer_id, row, now, utc_offset(row["asset"]))
            blocked = bool(row["flags"] & 1)
            wallets.append(
                WalletNow(row["asset"], state.balance, state.held, blocked, state.expiring)
            )
        return sorted(wallets, key=lambda wallet: wallet.asset), now

    async def receipt(self, customer_id: bytes, transaction_id: bytes) -> Receipt | None:
        """Return the recorded transaction, None where there is none."""
        rows = await self.rows(customer_id, transaction_id)
        return receipt_of(rows) if rows else None

    async def rows(self, customer_id: bytes, transaction_id: bytes) -> list[Any]:
        """Return the rows of a transaction, leg 0 first, for `receipt_of` and `legs_of`."""
        rows: list[Any] = await self._pool.fetch(  # network op
            SQL["find"], [UUID(customer_id)], [UUID(transaction_id)]
        )
        return rows

    async def payment(self, customer_id: bytes, payment_id: bytes) -> list[Receipt]:
        """Return every posting of a payment, its hold first; empty where there is none."""
        rows = await self._pool.fetch(  # network op
            SQL["payment"], UUID(customer_id), UUID(payment_id)
        )
        return [receipt_of([row]) for row in rows]

    async def history(self, customer_id: bytes, page: Page) -> list[Any]:
        """Return one page of postings, newest first, with the columns of the query `history`."""
        rows: list[Any] = await self._pool.fetch(  # network op
            SQL["history"], UUID(customer_id), *page.arguments
        )
        return rows

    async def statement(
        self, customer_id: bytes, page: Page, utc_offset: Callable[[int], int]
    ) -> tuple[list[WalletSpan], list[Any], int]:
        """Return a customer's wallets over the days of `page`, the page, and the moment it is of.

        All of it is of one snapshot. See `wallets` for `utc_offset`, `history` for the page.
        """
        assert page.days is not None
        first, end = page.days
        id_ = UUID(customer_id)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),  # network op
        ):
            states = await connection.fetch(SQL["states"], id_, first, end)  # network op
            moved = await connection.fetch(  # network op
                SQL["moved"], id_, first, end, page.brand_id
            )
            rows: list[Any] = await connection.fetch(  # network op
                SQL["history"], id_, *page.arguments
            )
        now = time.time_ns() // 1000
        spans = []
        for asset in sorted({row["asset"] for row in states}):
            offset = utc_offset(asset)
            of_asset = {row["at"]: row for row in states if row["asset"] == asset}
            moments = {"opening": first, "closing": end, "now": date.max}
            opening, closing, newest = (
                _state_of(customer_id, of_asset.get(at), min(now, _midnight(day, offset)), offset)
                for at, day in moments.items()
            )
            of_kind = {row["kind"]: row["amount"] for row in moved if row["asset"] == asset}
            spans.append(WalletSpan(asset, opening, closing, newest, of_kind))
        return spans, rows, now


def _state_of(customer_id: bytes, row: Any, moment: int, utc_offset: int) -> State:
    """Return what a wallet had at a moment (microseconds), by its newest row then."""
    if row is None:
        return State()
    ledger = Ledger(utc_offset)
    ledger.load_customer(customer_id, 0)
    ledger.load_wallet(customer_id, *wallet_facts(row))
    wallet = ledger.wallet(customer_id, row["asset"])
    assert wallet is not None
    balance, held, lots = wallet.available(moment, utc_offset)
    days: dict[int, int] = {}
    for key, amount in lots:
        if key >> 32 != DEBT_DAY:
            days[key >> 32] = days.get(key >> 32, 0) + amount
    due = row["balance"] + row["held"] - balance - held
    return State(balance, held, due, sorted(days.items()))


def _midnight(day: date, utc_offset: int) -> int:
    """Return the beginning of a day where the offset is, in microseconds since 1970."""
    return ((day - EPOCH_DAY).days * DAY_SECONDS - utc_offset) * MICROSECONDS

"""What the journal tells a reader: wallets as they are now, history, and single receipts.

Reads come from committed rows, by connections of their own; nothing here writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from engine.ledger.core import Ledger
from engine.ledger.journal import SQL, wallet_facts
from engine.ledger.receipts import Receipt, receipt_of
from engine.ledger.vocabulary import DEBT_DAY
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
        ledger = Ledger(utc_offset(0))
        ledger.load_customer(customer_id, 0)
        wallets = []
        for row in rows:
            ledger.load_wallet(customer_id, *wallet_facts(row))
            wallet = ledger.wallet(customer_id, row["asset"])
            assert wallet is not None
            balance, held, lots = wallet.available(now, utc_offset(row["asset"]))
            days: dict[int, int] = {}
            for key, amount in lots:
                if key >> 32 != DEBT_DAY:
                    days[key >> 32] = days.get(key >> 32, 0) + amount
            wallets.append(
                WalletNow(row["asset"], balance, held, bool(row["flags"] & 1), sorted(days.items()))
            )
        return sorted(wallets, key=lambda wallet: wallet.asset), now

    async def wallet(self, customer_id: bytes, asset: int, utc_offset: int) -> WalletNow:
        """Return one wallet of a customer that has it; its country is so many seconds east."""
        wallets, _ = await self.wallets(customer_id, lambda _: utc_offset)
        return next(wallet for wallet in wallets if wallet.asset == asset)

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

    async def history(
        self,
        customer_id: bytes,
        *,
        asset: int | None,
        brand_id: int | None,
        before: tuple[datetime, int, int] | None,
        limit: int,
        points_only: bool = False,
        standing: bool = True,
    ) -> list[Any]:
        """Return one page of postings, newest first, with the columns of the query `history`.

        Blocks and unblocks are among them where `standing` says so.
        """
        moment, last_asset, last_seq = before or (None, None, None)
        rows: list[Any] = await self._pool.fetch(  # network op
            SQL["history"],
            UUID(customer_id),
            asset,
            brand_id,
            moment,
            last_asset,
            last_seq,
            limit,
            points_only,
            standing,
        )
        return rows

"""Customers whom several workers write to at once, and whose turn it is.

The compare-and-set makes it safe to decide on a cache that another worker has overtaken, but dear:
one such account and the whole batch is decided again. So a customer whom another worker has moved
on is *contended* for some seconds, and while there is any,

- nothing is decided on what was cached by an earlier batch: where one was overtaken, others were;
- a contended customer is decided only by the lane that has a lock on it, taken before its wallets
  are read and given back when the batch is settled;
- who does not get the lock is put off to the next batch, and the rest of its batch goes on;
- who had the lock lets one batch go by, so that others get it as well.

The lock is a hint between those who ask for it. Without it all is as right, and slower.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import structlog

from engine.codes import COINS
from engine.ledger.clock import Clock
from engine.ledger.core import Ledger, Operation
from engine.ledger.journal import Journal, Predecessor
from engine.ledger.recent import Recent
from engine.settings import Settings

log = structlog.get_logger()

Heads = dict[tuple[bytes, int], int]
"""The newest sequence number of wallets, by customer and asset; 0 is none."""


class Contention:
    """What one lane knows of the customers that it shares with other workers, and its locks."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._timeout_s = settings.append_timeout_ms / 1000
        self._contended = Recent[bytes](
            clock.monotonic, settings.contended_s, settings.contended_customers_max
        )
        self._held: set[bytes] = set()
        self._rest: set[bytes] = set()
        """Whom the batch before this one had locked."""

    @property
    def any(self) -> bool:
        """Whether any customer is contended now."""
        return bool(self._contended)

    def mark(self, customer_ids: Iterable[bytes]) -> None:
        """Let customers be contended from now on; too many push out those that were it first."""
        self._contended.mark(sorted(customer_ids))

    def mark_moved(self, before: Heads, ledger: Ledger) -> None:
        """Let those be contended whose wallets another worker has moved on, as `ledger` shows."""
        self.mark(
            {place[0] for place, seq in before.items() if seq != _head(ledger, *place)},
        )

    async def find(self, journal: Journal, predecessors: Sequence[Predecessor]) -> None:
        """Let those be contended whom another worker moved on; where that fails, loading tells."""
        async with self._without_fail(journal, "contention_not_found"):
            self.mark(await journal.moved_on(predecessors))

    async def claim(self, journal: Journal, operations: Sequence[Operation]) -> set[bytes]:
        """Lock those customers of `operations` that are contended; return whom to put off.

        Where the connection fails nobody is put off: to load fails as well, and all begins anew.
        """
        if not self.any:
            return set()
        wanted = {op.customer_id for op in operations if op.customer_id in self._contended}
        asked = wanted - self._held - self._rest
        if asked:
            async with self._without_fail(journal, "claim_failed"):
                granted = await journal.lock(sorted(asked))
                self._held |= granted
                self.mark(asked - granted)
        return set() if journal.is_closed else wanted - self._held

    async def release(self, journal: Journal | None) -> None:
        """Leave all customers to others; without its connection a lane has no locks."""
        self._rest, self._held = self._held, set()
        if self._rest and journal is not None:
            async with self._without_fail(journal, "release_failed"):
                await journal.unlock()

    @asynccontextmanager
    async def _without_fail(self, journal: Journal, event: str) -> AsyncIterator[None]:
        """Drop the connection where what is done with it fails: nothing was written by it."""
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except Exception as error:  # noqa: BLE001 - the next round tries again
            log.warning(event, error=type(error).__name__)
            journal.terminate()

    def lost(self) -> None:
        """Know that the connection is gone, and the locks with it."""
        self._held = set()


def heads(ledger: Ledger, operations: Iterable[Operation]) -> Heads:
    """Return which rows are cached as the newest of the wallets that `operations` may go to."""
    places = {(op.customer_id, asset) for op in operations for asset in (op.asset, COINS)}
    return {place: seq for place in places if (seq := _head(ledger, *place))}


def _head(ledger: Ledger, customer_id: bytes, asset: int) -> int:
    wallet = ledger.wallet(customer_id, asset)
    return 0 if wallet is None else wallet.seq

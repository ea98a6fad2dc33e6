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

import time
from collections.abc import Iterable, Sequence

from engine.ledger.core import Ledger, Operation
from engine.ledger.journal import Journal
from engine.ledger.vocabulary import COINS

Heads = dict[tuple[bytes, int], int]
"""The newest sequence number of wallets, by customer and asset; 0 is none."""


class Contention:
    """What one lane knows of the customers that it shares with other workers, and its locks."""

    def __init__(self, customers_max: int, seconds: float) -> None:
        self._customers_max = customers_max
        self._seconds = seconds
        self._until: dict[bytes, float] = {}
        """The contended customers, those first who will be it no more."""
        self._held: set[bytes] = set()
        self._rest: set[bytes] = set()
        """Whom the batch before this one had locked."""

    @property
    def any(self) -> bool:
        """Whether any customer is contended now."""
        now = time.monotonic()
        while self._until and self._until[first := next(iter(self._until))] < now:
            del self._until[first]
        return bool(self._until)

    def mark(self, customer_ids: Iterable[bytes]) -> None:
        """Let customers be contended from now on; too many push out those that were it first."""
        until = time.monotonic() + self._seconds
        for customer_id in customer_ids:
            self._until.pop(customer_id, None)
            self._until[customer_id] = until
        while len(self._until) > self._customers_max:
            del self._until[next(iter(self._until))]

    def mark_moved(self, before: Heads, ledger: Ledger) -> None:
        """Let those be contended whose wallets another worker has moved on, as `ledger` shows."""
        self.mark(
            {place[0] for place, seq in before.items() if seq != _head(ledger, *place)},
        )

    async def claim(self, journal: Journal, operations: Sequence[Operation]) -> set[bytes]:
        """Lock those customers of `operations` that are contended; return whom to put off.

        Raises what asyncpg raises.
        """
        if not self.any:
            return set()
        wanted = {op.customer_id for op in operations if op.customer_id in self._until}
        asked = wanted - self._held - self._rest
        if asked:
            granted = await journal.lock(sorted(asked))
            self._held |= granted
            self.mark(asked - granted)
        return wanted - self._held

    async def release(self, journal: Journal | None) -> None:
        """Leave all customers to others. Raises what asyncpg raises."""
        self._rest, self._held = self._held, set()
        if self._rest and journal is not None:
            await journal.unlock()

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

"""The committer: the lanes of one worker, and the way in.

A customer always goes to the same lane, so two batches in flight never share an account. Which lane
that is does not matter for correctness: the compare-and-set makes any lane of any worker safe for
any customer.
"""

from __future__ import annotations

import asyncio

from engine.errors import CustomerNotFound, Overloaded, PaymentNotFound
from engine.ledger.core import Ledger, Operation
from engine.ledger.lane import Lane, OpenJournal
from engine.ledger.receipts import Answer
from engine.ledger.vocabulary import Outcome
from engine.metrics import Metrics
from engine.settings import Settings


class Committer:
    """Takes operations, and returns when their outcome is durable."""

    def __init__(
        self,
        open_journal: OpenJournal,
        settings: Settings,
        metrics: Metrics,
        *,
        coins_utc_offset: int,
    ) -> None:
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []
        self.lanes = [
            Lane(open_journal, Ledger(coins_utc_offset), settings, metrics)
            for _ in range(settings.lanes)
        ]
        metrics.watch(self._gauges)

    async def submit(self, operation: Operation) -> tuple[Answer, bool]:
        """Return (what the ledger says of `operation`, whether it had said so before).

        Returns only after COMMIT. Raises Overloaded and Unavailable (nothing was done),
        OutcomeUnknown, KeyReused, CustomerNotFound, PaymentNotFound, Quarantined.
        """
        lane = self.lanes[operation.customer_id[15] % len(self.lanes)]
        try:
            decided = lane.submit(operation)
        except Overloaded:
            self._metrics.shed.labels("overloaded").inc()
            raise
        if decided is operation:
            await operation.waiter
        else:
            # Another request waits for the same outcome: its fate must not depend on this one's.
            await asyncio.shield(decided.waiter)
            self._metrics.replays.labels("replay").inc()
        if decided.recorded is not None:
            return decided.recorded, decided.replayed or decided is not operation
        if decided.outcome == Outcome.UNKNOWN_CUSTOMER:
            raise CustomerNotFound
        if decided.outcome == Outcome.UNKNOWN_PAYMENT:
            raise PaymentNotFound
        return decided, decided is not operation

    def start(self) -> None:
        """Start the loops of the lanes."""
        for lane in self.lanes:
            self._tasks.append(asyncio.create_task(lane.run()))
            self._tasks.append(asyncio.create_task(lane.watch()))

    @property
    def connected(self) -> bool:
        """Whether every lane that has been used has its connection."""
        return all(lane.connected or lane.idle for lane in self.lanes)

    async def drain(self, timeout_s: float) -> bool:
        """Bring what was taken to its outcome; return whether that was reached in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(lane.drain() for lane in self.lanes))
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop the loops and let go of the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self.lanes:
            lane.close()

    def _gauges(self) -> dict[str, tuple[str, float]]:
        return {
            "leal_queue_operations": (
                "Operations that wait for a batch.",
                sum(lane.room.waiting for lane in self.lanes),
            ),
            "leal_oldest_waiting_seconds": (
                "Age of the operation that has been under way for the longest time.",
                max(lane.room.oldest_s() for lane in self.lanes),
            ),
            "leal_wallets_cached": (
                "Wallets kept in memory.",
                sum(lane.ledger.wallets for lane in self.lanes),
            ),
            "leal_accounts_locked": (
                "Customers with an operation in a batch in flight or of unknown outcome.",
                sum(len(lane.room.locked) for lane in self.lanes),
            ),
        }

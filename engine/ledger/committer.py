"""The committer: the lanes of one worker, and the way in.

A customer always goes to the same lane, so two batches in flight never share an account. Which lane
that is does not matter for correctness: the compare-and-set makes any lane of any worker safe for
any customer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.codes import Outcome
from engine.errors import (
    CustomerNotFound,
    EngineError,
    ItemTaken,
    KeyReused,
    OutcomeUnknown,
    Overloaded,
    PaymentNotFound,
)
from engine.ledger.clock import SYSTEM_CLOCK, Clock
from engine.ledger.core import Ledger, Operation
from engine.ledger.lane import Lane
from engine.ledger.receipts import Answer
from engine.ledger.repeats import Repeats
from engine.ledger.seen import LookUp
from engine.ledger.timeline import OpenJournal
from engine.metrics import Metrics
from engine.settings import Settings

NOTHING_DONE: dict[int, type[EngineError]] = {
    Outcome.UNKNOWN_CUSTOMER: CustomerNotFound,
    Outcome.UNKNOWN_PAYMENT: PaymentNotFound,
    Outcome.TAKEN: ItemTaken,
}
"""What is raised of an operation that has left no row."""


class Committer:
    """Takes operations, and returns when their outcome is durable."""

    def __init__(
        self,
        open_journal: OpenJournal,
        settings: Settings,
        metrics: Metrics,
        *,
        coins_utc_offset: int,
        chain_key: bytes = b"",
        look_up: LookUp | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._settings = settings
        self._monotonic = clock.monotonic
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []
        self.repeats = Repeats(look_up, settings, metrics, clock)
        self.lanes = [
            Lane(open_journal, Ledger(coins_utc_offset, chain_key), settings, self.repeats, clock)
            for _ in range(settings.lanes)
        ]
        metrics.watch(self._gauges)

    async def submit(self, operation: Operation) -> tuple[Answer, bool]:
        """Return (what the ledger says of `operation`, whether it had said so before).

        Returns only after COMMIT. Raises Overloaded and Unavailable (nothing was done),
        OutcomeUnknown, KeyReused, CustomerNotFound, PaymentNotFound, ItemTaken, AllotmentClosed,
        Quarantined.
        """
        if self.repeats.expects(operation) and await self.repeats.look(operation):
            return self._result(operation, operation)
        decided = self._enter(operation)
        while decided.fingerprint != operation.fingerprint:
            waiter = decided.waiter
            await asyncio.wait({waiter})
            self._leave_key_to(decided, waiter)
            decided = self._enter(operation)
        if decided is operation:
            await operation.waiter
        else:
            # Another request waits for the same outcome: its fate must not depend on this one's.
            await asyncio.shield(decided.waiter)
        return self._result(operation, decided)

    def full_for(self, customer_id: bytes) -> bool:
        """Say whether a customer's lane takes on no more sales, and count that one is refused."""
        full = self.lanes[customer_id[15] % len(self.lanes)].room.full
        if full:
            self._metrics.shed.labels("overloaded").inc()
        return full

    def begin(self, operation: Operation) -> bool:
        """Let an operation wait in its lane; return whether it could, by its key and the room.

        `result` has what came of it once its `waiter` is done.
        """
        return self._lane_of(operation).room.enter_first(operation)

    def result(self, operation: Operation) -> tuple[Answer, bool]:
        """Return or raise what `submit` does, for an operation that was begun and is done."""
        operation.waiter.result()
        return self._result(operation, operation)

    async def submit_many(
        self, operations: Sequence[Operation]
    ) -> list[tuple[Answer, bool] | EngineError]:
        """Return for each of `operations`, in their order, what `submit` returns or raises.

        They enter in rounds that leave room for others: a round has at most a quarter of what a
        lane lets wait, and half of what it lets wait for one customer. Operations of one customer
        keep their order. What has not entered by the deadline of a single answer is Overloaded.
        """
        results = await self._looked_up(operations)
        left = [place for place in range(len(operations)) if place not in results]
        deadline = self._monotonic() + self._settings.answer_timeout_ms / 1000
        while left:
            if self._monotonic() > deadline:
                results |= dict.fromkeys(left, Overloaded())
                break
            entered, left = self._round(operations, left)
            waiting: list[tuple[int, Operation, asyncio.Future[None]]] = []
            for place in entered:
                try:
                    decided = self._enter(operations[place], patient=True)
                except EngineError as error:
                    results[place] = error
                else:
                    waiting.append((place, decided, decided.waiter))
            for _, _, waiter in waiting:
                if not waiter.done():  # once one is, most are: a batch has many of them
                    # Who waits for a future cancels it when giving up; for a set, does not.
                    await asyncio.wait({waiter})
            for place, decided, waiter in waiting:
                operation = operations[place]
                try:
                    if decided is not operation and decided.fingerprint != operation.fingerprint:
                        self._leave_key_to(decided, waiter)
                        left.append(place)
                        continue
                    if waiter.cancelled():  # by another request, which had it first and gave up
                        raise OutcomeUnknown
                    waiter.result()
                    results[place] = self._result(operation, decided)
                except EngineError as error:
                    results[place] = error
        return [results[place] for place in range(len(operations))]

    def lane_of(self, customer_id: bytes) -> int:
        """Return the number of the lane that a customer's operations go to."""
        return customer_id[15] % len(self.lanes)

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

    async def _looked_up(
        self, operations: Sequence[Operation]
    ) -> dict[int, tuple[Answer, bool] | EngineError]:
        """Return by their places what came of operations that were over before; see `Repeats`."""
        places = [at for at, one in enumerate(operations) if self.repeats.expects(one)]
        looks = await asyncio.gather(
            *(self.repeats.look(operations[at]) for at in places), return_exceptions=True
        )
        results: dict[int, tuple[Answer, bool] | EngineError] = {}
        for place, over in zip(places, looks, strict=True):
            if isinstance(over, EngineError):
                results[place] = over
            elif isinstance(over, BaseException):
                raise over
            elif over:
                results[place] = self._result(operations[place], operations[place])
        return results

    def _round(
        self, operations: Sequence[Operation], places: list[int]
    ) -> tuple[list[int], list[int]]:
        """Split the places of operations into those that enter now and those that come later."""
        operations_max = max(1, self._settings.queue_operations_max // 4)
        account_operations_max = max(1, self._settings.account_operations_max // 2)
        of_customer: dict[bytes, int] = {}
        now: list[int] = []
        later: list[int] = []
        for place in places:
            customer_id = operations[place].customer_id
            count = of_customer.get(customer_id, 0)
            if len(now) < operations_max and count < account_operations_max:
                of_customer[customer_id] = count + 1
                now.append(place)
            else:
                later.append(place)
        return now, later

    def _enter(self, operation: Operation, *, patient: bool = False) -> Operation:
        """Let an operation wait in its lane; see `WaitingRoom.enter`."""
        try:
            return self._lane_of(operation).room.enter(operation, patient=patient)
        except Overloaded:
            self._metrics.shed.labels("overloaded").inc()
            raise

    def _lane_of(self, operation: Operation) -> Lane:
        return self.lanes[self.lane_of(operation.customer_id)]

    def _leave_key_to(self, decided: Operation, waiter: asyncio.Future[None]) -> None:
        """Raise where another request under the same key has it, now that this one is over.

        Where it does not, for nothing was done of it or its key was somebody else's too, the key is
        asked for again. Raises KeyReused, OutcomeUnknown.
        """
        error = OutcomeUnknown() if waiter.cancelled() else waiter.exception()
        if isinstance(error, OutcomeUnknown):
            raise OutcomeUnknown
        if error is None and (decided.recorded is not None or decided.outcome == Outcome.POSTED):
            self._metrics.replays.labels("reused").inc()
            raise KeyReused

    def _result(self, operation: Operation, decided: Operation) -> tuple[Answer, bool]:
        """Return what `submit` returns or raises for `operation`, decided as `decided`."""
        joined = decided is not operation
        if joined:
            self._metrics.replays.labels("replay").inc()
        if decided.recorded is not None:
            return decided.recorded, decided.replayed or joined
        nothing_done = NOTHING_DONE.get(decided.outcome)
        if nothing_done is not None:
            raise nothing_done
        return decided, joined

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

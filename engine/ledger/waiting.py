"""The waiting room of a lane: who waits, whose account is locked, and whose key is under way.

An account is in at most one batch in flight. What comes for it meanwhile is parked behind it, in
order, and goes first when it is free. Every place here has a limit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from engine.errors import EngineError, OutcomeUnknown, Overloaded
from engine.ledger.clock import Clock
from engine.ledger.core import Operation
from engine.ledger.pace import Pace
from engine.settings import Settings


class WaitingRoom:
    """Operations between the request and the outcome; for one event loop."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.pace = Pace(
            settings.queue_operations_max,
            settings.batch_operations_max,
            settings.queue_wait_ms_max,
        )
        self._monotonic = clock.monotonic
        self._account_operations_max = settings.account_operations_max
        self._queue: deque[Operation] = deque()
        self._locked: dict[bytes, deque[Operation]] = {}
        self._under_way: dict[bytes, Operation] = {}
        self._patient: set[bytes] = set()
        self._arrived = asyncio.Event()
        self._loop = asyncio.get_running_loop()  # to ask for it anew each time takes a system call
        self.closed = False

    def __repr__(self) -> str:
        return f"<WaitingRoom: {len(self._queue)} queued, {len(self._locked)} accounts locked>"

    def enter(self, operation: Operation, *, patient: bool = False) -> Operation:
        """Queue an operation and return the one whose `waiter` will have the outcome.

        That is another one where the same key is under way already, maybe for another request:
        its fingerprint tells. A `patient` one is of an upload: whoever sent it does not stand at a
        till, so it may wait for long, and counts for nobody else. Raises Overloaded where too much
        waits, here or for the account.
        """
        under_way = self._under_way.get(operation.transaction_id)
        if under_way is not None:
            return self._join(under_way, operation.fingerprint)
        if not self._seat(operation, patient=patient):
            raise Overloaded
        return operation

    def enter_first(self, operation: Operation) -> bool:
        """Queue an operation whose key is not under way; return whether there was room for it."""
        return operation.transaction_id not in self._under_way and self._seat(operation)

    async def someone(self) -> None:
        """Return when an operation waits whose account may be free."""
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()

    def take(self, operations_max: int) -> list[Operation]:
        """Take operations whose account is free, in order, and lock their accounts."""
        queue, locked = self._queue, self._locked
        taken: list[Operation] = []
        accounts: set[bytes] = set()
        while queue and len(taken) < operations_max:
            operation = queue.popleft()
            customer_id = operation.customer_id
            if customer_id not in locked:
                locked[customer_id] = deque()
                accounts.add(customer_id)
            elif customer_id not in accounts:
                locked[customer_id].append(operation)
                continue
            taken.append(operation)
        return taken

    def park(self, operations: Iterable[Operation]) -> None:
        """Put operations of locked accounts before what is parked behind these."""
        for operation in reversed(list(operations)):
            self._locked[operation.customer_id].appendleft(operation)

    def unlock(self, customer_ids: Iterable[bytes]) -> None:
        """Free accounts; who was parked behind them goes first, in order."""
        for customer_id in customer_ids:
            parked = self._locked.pop(customer_id, None)
            if parked:
                self._queue.extendleft(reversed(parked))
                self._arrived.set()

    def finish(self, operation: Operation, error: EngineError | None = None) -> None:
        """Give an operation its outcome."""
        self._under_way.pop(operation.transaction_id, None)
        self._patient.discard(operation.transaction_id)
        if not operation.waiter.done():
            if error is None:
                operation.waiter.set_result(None)
            else:
                operation.waiter.set_exception(error)

    def tell_overdue(self, limit: float) -> None:
        """Tell those who have waited since before `limit` (monotonic) that nothing is known.

        It is never told that an operation failed: it goes on, and a retry will learn what came of
        it.
        """
        for operation in self._under_way.values():
            if operation.waiting_since >= limit:
                break  # who came first stands first
            if not operation.waiter.done():
                operation.waiter.set_exception(OutcomeUnknown())

    @property
    def full(self) -> bool:
        """Whether nothing that can wait elsewhere may wait here."""
        return len(self._queue) - len(self._patient) >= self.pace.operations_max

    @property
    def queued(self) -> int:
        """Operations that wait for a batch."""
        return len(self._queue)

    @property
    def waiting(self) -> int:
        """Operations that wait for a batch, and those parked behind a locked account."""
        return len(self._queue) + sum(map(len, self._locked.values()))

    @property
    def locked(self) -> dict[bytes, deque[Operation]]:
        """The accounts of a batch in flight or of unknown outcome."""
        return self._locked

    @property
    def empty(self) -> bool:
        """Whether nothing is waiting or under way."""
        return not self._under_way

    def oldest_s(self) -> float:
        """Return the age of the operation that has been under way for the longest time."""
        oldest = next(iter(self._under_way.values()), None)
        return 0.0 if oldest is None else self._monotonic() - oldest.waiting_since

    def _seat(self, operation: Operation, *, patient: bool = False) -> bool:
        """Let an operation wait under its own key; return whether there was room for it."""
        queued = len(self._queue)
        if patient:
            room = queued < self.pace.queue_max
        else:
            room = self.pace.allows(operation, queued - len(self._patient))
        if self.closed or not room:
            return False
        parked = self._locked.get(operation.customer_id)
        if parked is not None and len(parked) >= self._account_operations_max:
            return False
        operation.waiter = self._loop.create_future()
        operation.waiting_since = self._monotonic()
        self._under_way[operation.transaction_id] = operation
        if patient:
            self._patient.add(operation.transaction_id)
        if parked is not None:
            parked.append(operation)
        else:
            self._queue.append(operation)
            self._arrived.set()
        return True

    def _join(self, under_way: Operation, fingerprint: int) -> Operation:
        done = under_way.waiter.done()
        if done and under_way.fingerprint == fingerprint:
            # It was told that nothing is known, and asks again.
            under_way.waiter = self._loop.create_future()
            under_way.waiting_since = self._monotonic()
            self._under_way[under_way.transaction_id] = self._under_way.pop(
                under_way.transaction_id
            )
        return under_way

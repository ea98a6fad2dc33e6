"""Attempts: how often an operation is decided, and when it is given up.

An operation is given up only after it failed alone. Of several that fail together, one may keep the
others from being durable; whatever the reason is, halving their batch finds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import Overloaded, Unavailable
from engine.ledger.clock import Clock
from engine.ledger.core import Ledger, Operation
from engine.ledger.waiting import WaitingRoom
from engine.settings import Settings


class Attempts:
    """Counts the attempts at the operations of one lane."""

    def __init__(self, settings: Settings, ledger: Ledger, room: WaitingRoom, clock: Clock) -> None:
        self._settings = settings
        self._monotonic = clock.monotonic
        self._ledger = ledger
        self._room = room

    def again(
        self, operations: Sequence[Operation], *, alone: bool | None = None, overtaken: bool = True
    ) -> list[Operation]:
        """Return the operations that are decided again.

        Where their wallets may be `overtaken` that is on state that is loaded anew. One that has
        failed alone, and often enough, is Overloaded. `alone` says whether it was, where others
        that failed with it are answered already.
        """
        if alone is None:
            alone = len(operations) == 1
        again = []
        for operation in operations:
            if overtaken:
                self._ledger.drop(operation.customer_id)
            operation.tries += 1
            if alone and operation.tries >= self._settings.tries_max:
                self._room.finish(operation, Overloaded())
            else:
                again.append(operation)
        return again

    def are_over(self, operations: Sequence[Operation]) -> bool:
        """Return whether this is one operation that has failed as often as it may.

        One that is barred by now does not conflict any more: it is going to be refused.
        """
        if len(operations) != 1 or operations[0].barred != 0:
            return False
        return operations[0].tries + 1 >= self._settings.tries_max

    def want_halves(self, operations: Sequence[Operation]) -> bool:
        """Return whether operations have failed too often to be decided together once more."""
        tries = max((operation.tries for operation in operations), default=0)
        return len(operations) > 1 and tries >= self._settings.tries_max

    def still_wanted(self, operations: Sequence[Operation]) -> list[Operation]:
        """Fail the operations that nobody waits for any more; nothing of them was sent."""
        limit = self._monotonic() - self._settings.answer_timeout_ms / 1000
        for operation in [op for op in operations if op.waiting_since < limit]:
            self._room.finish(operation, Unavailable())
        return [operation for operation in operations if operation.waiting_since >= limit]

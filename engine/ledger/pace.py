"""The pace of a lane: how fast it settles what waits, and so how much may wait.

A queue of one length is too long where the database is slow, and what is taken on then is answered
after its client has gone; and too short for a burst where it is fast. So what may wait is what is
settled within a time, at the pace of the last batches, and at least one whole batch, for else a
slow database would have small batches too. What comes on top is refused at once, which costs
little, and comes again: overload is kept alive by work that nobody waits for any more.

Coins come last: a payment stands at a till with the customer's phone in hand, while a sale can be
sent again by the point of sale. Where sales are refused, as much again of payments is taken.

Batches are kept alike. Clients that wait for their answer come back together, so a lane that took
all there is would have most of them in one batch and few in the next: PostgreSQL stands still while
a large batch is answered, and the engine while one is written. So a batch takes half of what waits
and what was just settled, which comes again: two batches of the same size, one written while the
other is answered.
"""

from __future__ import annotations

from engine.codes import URGENT
from engine.ledger.core import Operation

KEPT = 0.8
"""How much of what was known a new batch leaves: the last dozen count."""
EVEN_MIN = 16
"""A half of so few is not taken alone: a batch of few costs nearly as much as one of some."""


class Pace:
    """Learns from each batch; `operations_max` may wait, `urgent_max` of what is urgent."""

    def __init__(self, queue_max: int, batch_max: int, wait_ms_max: int) -> None:
        self.queue_max = queue_max
        self._batch_max = batch_max
        self._wait_s = wait_ms_max / 1000
        self._last = 0
        self._operations = 0.0
        self._seconds = 0.0
        self.operations_max = self.urgent_max = queue_max

    def settled(self, operations: int, seconds: float) -> None:
        """Record how long a number of operations took, from being taken to being settled."""
        self._last = operations
        self._operations = KEPT * self._operations + operations
        self._seconds = KEPT * self._seconds + seconds
        within = int(self._operations / max(self._seconds, 1e-6) * self._wait_s)
        self.operations_max = min(self.queue_max, max(self._batch_max, within))
        self.urgent_max = min(self.queue_max, 2 * self.operations_max)

    def share(self, waiting: int) -> int:
        """Return how many of those that wait the next batch takes at most."""
        half = (waiting + self._last + 1) // 2
        return min(self._batch_max, half if half > EVEN_MIN else waiting)

    def allows(self, operation: Operation, waiting: int) -> bool:
        """Return whether one more may wait behind those that wait."""
        return waiting < (self.urgent_max if operation.kind in URGENT else self.operations_max)

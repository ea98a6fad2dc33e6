"""Repeats: claims that probably come second are looked up before they enter a batch.

An invoice that was claimed before makes the append of its whole batch fail: the batch is decided
and written once more, without it. One till that sends the same invoice again and again would halve
what its neighbours get done. So when a claim has come second, its owner (the store, the partner or
the brand) is *watched* for some seconds, and what claims for a watched owner is looked up first, by
a reader's connection: what waits while one look-up is under way goes together with the next. A
retry is answered from the journal, and a claim that another has is refused; both leave the batches
alone.

The look-up only predicts. What it does not find is decided as ever, with the claim's primary key as
the judge.
"""

from __future__ import annotations

import asyncio

import structlog

from engine.codes import Claim
from engine.errors import EngineError, KeyReused
from engine.ledger.clock import Clock
from engine.ledger.core import Operation
from engine.ledger.receipts import Receipt
from engine.ledger.recent import Recent
from engine.ledger.seen import Found, LookUp
from engine.metrics import Metrics
from engine.settings import Settings

log = structlog.get_logger()

Owner = tuple[int, int]
"""The kind of a claim, and the id of the store, partner or brand that it belongs to."""


class Repeats:
    """The owners of claims that are watched, and the look-ups of what claims for them."""

    def __init__(
        self, look_up: LookUp | None, settings: Settings, metrics: Metrics, clock: Clock
    ) -> None:
        self._look_up = look_up
        self.metrics = metrics
        self._watched = Recent[Owner](
            clock.monotonic, settings.repeats_watched_s, settings.repeats_owners_max
        )
        self._waiting: list[tuple[Operation, asyncio.Future[Found | None]]] = []
        self._reader: asyncio.Task[None] | None = None

    def came_second(self, operation: Operation) -> None:
        """Watch the owner of a claim; too many push out those that were watched first."""
        if operation.claim_kind != Claim.NONE and self._look_up is not None:
            self._watched.mark([(operation.claim_kind, operation.claim_owner)])

    def expects(self, operation: Operation) -> bool:
        """Return whether an operation is looked up before it enters a batch."""
        if operation.claim_kind == Claim.NONE:
            return False
        return (operation.claim_kind, operation.claim_owner) in self._watched

    async def look(self, operation: Operation) -> bool:
        """Look an operation up; return whether it is over, with its receipt in `recorded`.

        One whose claim another has is barred, and has to enter a batch like one of which nothing
        is found. Raises KeyReused where its key was used for something else.
        """
        waiter: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, waiter))
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        found = await waiter
        if found is None:
            return False
        receipts, bars = found
        receipt = receipts.get(operation.transaction_id)
        if receipt is not None:
            self.came_second(operation)
            error = replay(operation, receipt, self.metrics, replayed=True)
            if error is not None:
                raise error
            return True
        if (bar := bars.get(operation.transaction_id)) is not None:
            self.came_second(operation)
            operation.bar(*bar)
        return False

    async def _read(self) -> None:
        """Look up what waits, all of it together, until nothing does."""
        assert self._look_up is not None
        while self._waiting:
            asked, self._waiting = self._waiting, []
            try:
                found = await self._look_up([operation for operation, _ in asked])
            except Exception as error:  # noqa: BLE001 - it only predicts; the lane decides
                log.warning("repeats_not_found", error=type(error).__name__)
                found = None
            for _, waiter in asked:
                if not waiter.done():
                    waiter.set_result(found)


def replay(
    operation: Operation, receipt: Receipt, metrics: Metrics, replayed: bool
) -> EngineError | None:
    """Answer an operation from its receipt; return KeyReused where its key is something else's.

    `replayed` is whether an earlier request has written it.
    """
    if receipt.fingerprint != operation.fingerprint:
        metrics.replays.labels("reused").inc()
        return KeyReused()
    operation.recorded = receipt
    operation.replayed = replayed
    metrics.replays.labels("replay").inc(replayed)
    return None

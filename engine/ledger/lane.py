"""A lane: operations wait, a batch of them is decided and made durable, then they answer.

It owns a part of the customers, one connection, and one batch in flight:

    collect ─▶ lock the accounts ─▶ load what is not cached ─▶ decide ─▶ append ─▶ publish, answer

While batch N is being made durable, batch N+1 collects; there is no timer, so the size of a batch
follows the load. An append whose outcome is unknown leaves its accounts locked and goes to a task
of its own that appends the identical batch until it is known; the lane goes on with the others.

`Lane.commit` owns the control flow; what it calls are straight lines.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog

from engine.codes import KIND_WORDS, REFUSAL_WORDS, Kind, Outcome
from engine.errors import (
    AllotmentClosed,
    EngineError,
    ItemTaken,
    OutcomeUnknown,
    Quarantined,
    Unavailable,
)
from engine.ledger.attempts import Attempts
from engine.ledger.clock import Clock
from engine.ledger.contention import Contention, heads
from engine.ledger.core import Batch, Ledger, Operation
from engine.ledger.journal import Journal
from engine.ledger.repeats import Repeats, replay
from engine.ledger.timeline import OpenJournal, Timeline, append_again, usable
from engine.ledger.trouble import Trouble, pause_after, unavailable
from engine.ledger.verdicts import Verdict
from engine.ledger.waiting import WaitingRoom
from engine.settings import Settings

log = structlog.get_logger()

COLLECT_PASSES_MAX = 4
"""Turns of the event loop that an idle lane waits for more, as long as each brings some."""
STALE_MAX = 128
"""Operations that are decided again together: half as many at each try, for one stops them all."""

POSTED = Outcome.POSTED.value

WATCH_INTERVAL_S = 0.25
DRAIN_INTERVAL_S = 0.005
RETRY_PAUSE_S = 0.05
PUT_OFF_PAUSE_S = 0.002
"""The pause of a lane all of whose operations were put off."""


class Lane:
    """One batch in flight for a part of the customers."""

    def __init__(
        self,
        open_journal: OpenJournal,
        ledger: Ledger,
        settings: Settings,
        repeats: Repeats,
        clock: Clock,
    ) -> None:
        self._open_journal = open_journal
        self._settings = settings
        self._metrics = metrics = repeats.metrics
        self._repeats = repeats
        self._clock = clock
        self.ledger = ledger

        # All of the lane's mutable state: who waits, the connection that the cache was read by,
        # and the accounts of batches whose outcome is unknown.
        self.room = WaitingRoom(settings, clock)
        self._journal: Journal | None = None
        self._unresolved: set[bytes] = set()
        self._resolvers: set[asyncio.Task[None]] = set()
        self.connected = self.doubted = False  # doubted: the connection's settings may have changed
        self.trouble = Trouble(settings.statement_timeout_ms, clock)
        self._timeline = Timeline(metrics)
        self._contention = Contention(settings, clock)
        self._attempts = Attempts(settings, self.ledger, self.room, clock)

    def __repr__(self) -> str:
        return f"<Lane: {self.room}, connected {self.connected}, {len(self._unresolved)} in doubt>"

    @property
    def idle(self) -> bool:
        """Whether nothing is waiting or under way."""
        return self.room.empty

    # The loop.

    async def run(self) -> None:
        """Collect and commit until cancelled; accounts are unlocked when their batch is settled."""
        while True:
            operations = await self._collect()
            taken = self._clock.perf_counter()
            try:
                await self.commit(operations)
            except Exception:
                log.exception("commit_broke", operations=len(operations))
                self._disconnect()
                self._fail([op for op in operations if not op.waiter.done()], OutcomeUnknown())
            self.room.pace.settled(len(operations), self._clock.perf_counter() - taken)
            await self._contention.release(self._journal)
            self._unlock(operations)

    async def commit(self, operations: list[Operation]) -> None:
        """Bring every one of `operations` to its outcome: the one place where that is decided."""
        while operations:
            try:
                journal = await self._connected_journal(operations)
            except Unavailable as error:  # nothing was sent
                self._fail(operations, error)
                return
            if journal is not None and not (operations := await self._claim(journal, operations)):
                return
            broken = None if journal is None else await self._load(journal, operations)
            if journal is None or broken is None:
                operations = self._attempts.still_wanted(operations)
                continue
            if broken:
                operations = self._without_broken(operations, broken)
                continue
            batch = self._decide(operations)
            if batch is None:
                return
            verdict = await self._append(journal, batch)
            if verdict is Verdict.DURABLE:
                self.ledger.publish(batch)
                self._answer(operations)
                return
            if verdict is Verdict.AMBIGUOUS:
                self._disconnect()
                self._resolve_apart(batch, journal.timeline)
                return
            predecessors = batch.predecessors
            self.ledger.discard(batch)
            if verdict is Verdict.STALE:
                self._metrics.conflicts.inc()
                await self._contention.find(journal, predecessors)
                operations = self._attempts.again(batch.operations)
                if len(operations) > STALE_MAX >> max((op.tries for op in operations), default=0):
                    operations = await self._after_half(operations)
            elif verdict is Verdict.SEEN:
                free = [op for op in batch.operations if op.barred == 0]
                unseen = await self._without_seen(journal, batch.operations, replayed=True)
                alone = len(operations) == 1
                if alone and self._attempts.are_over(unseen) and not journal.is_closed:
                    self._quarantine(unseen[0], journal.last_sqlstate)
                    return
                # Without a receipt or a new bar the key is that of a row made from its place.
                stale = len(unseen) == len(operations) and not any(op.barred for op in free)
                operations = self._attempts.again(unseen, alone=alone, overtaken=stale)
            elif verdict is Verdict.RETRY:
                await asyncio.sleep(self._clock.uniform(0, RETRY_PAUSE_S))
                operations = self._attempts.still_wanted(self._attempts.again(batch.operations))
            elif verdict is Verdict.UNAVAILABLE:
                self._disconnect()
                self._fail(operations, unavailable(journal.last_sqlstate))
                return
            elif len(operations) == 1:
                self._quarantine(operations[0], journal.last_sqlstate)
                return
            else:
                operations = await self._after_half(batch.operations)
            if self._attempts.want_halves(operations):
                operations = await self._after_half(operations)

    async def watch(self) -> None:
        """Answer those who have waited too long; it is never told that an operation failed."""
        deadline = self._settings.answer_timeout_ms / 1000
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            self.room.tell_overdue(self._clock.monotonic() - deadline)

    async def drain(self) -> None:
        """Take no more operations, and return when all that were taken have their outcome."""
        self.room.closed = True
        while not self.idle:  # noqa: ASYNC110 - it ends once, and nothing on the hot path signals
            await asyncio.sleep(DRAIN_INTERVAL_S)

    def close(self) -> None:
        """Let go of the connection and of batches whose outcome is still unknown."""
        for task in self._resolvers:
            task.cancel()
        if self._journal is not None:
            self._journal.terminate()

    # Straight lines.

    async def _collect(self) -> list[Operation]:
        """Wait for operations, take those whose account is free, and lock their accounts.

        What came while a batch was under way goes off before that batch's answers are written.
        """
        operations_max = self._settings.batch_operations_max
        while True:
            passes = 0 if self.room.queued else COLLECT_PASSES_MAX
            await self.room.someone()
            started = self._clock.perf_counter()
            while passes and (before := self.room.queued) < operations_max:
                await asyncio.sleep(0)
                passes = passes - 1 if self.room.queued > before else 0
            batch = self.room.take(self.room.pace.share(self.room.queued))
            if batch:
                self._metrics.stage["collect"](self._clock.perf_counter() - started)
                return batch

    async def _connected_journal(self, operations: list[Operation]) -> Journal | None:
        """Return the journal, connecting first where there is none; None where that failed.

        Raises ReadOnly and NotDurable: another try would be refused as well.
        """
        if self._journal is None or self._journal.is_closed:
            self._disconnect()
        elif not self.doubted:
            return self._journal
        try:
            self._journal = await usable(self._journal, self._open_journal, self._timeline)
        except Exception as error:  # whatever it is, the database is out of reach
            log.warning("journal_unreachable", error=type(error).__name__, waiting=len(operations))
            self._disconnect()
            self.trouble.met(error)
            if isinstance(error, Unavailable):
                raise
            await asyncio.sleep(self.trouble.pause_s())
            return None
        self.connected, self.doubted = True, False
        return self._journal

    async def _claim(self, journal: Journal, operations: list[Operation]) -> list[Operation]:
        """Put off the operations whose customer another worker is at; return the others."""
        busy = await self._contention.claim(journal, operations)
        if not busy:
            return operations
        put_off = self._attempts.still_wanted([op for op in operations if op.customer_id in busy])
        self.room.park(put_off)
        self._metrics.put_off.inc(len(put_off))
        others = [op for op in operations if op.customer_id not in busy]
        if not others:
            await asyncio.sleep(self._clock.uniform(0, PUT_OFF_PAUSE_S))
        return others

    async def _load(self, journal: Journal, operations: list[Operation]) -> set[bytes] | None:
        """Load what the decision needs; return whose wallets are broken, None where it failed."""
        if journal.is_closed:
            return None
        overtaken = self._contention.any
        missing = {op.customer_id for op in operations if overtaken or self.ledger.needs_load(op)}
        if not missing:
            return set()
        started = self._clock.perf_counter()
        before = heads(self.ledger, operations) if overtaken else {}
        for customer_id in missing:
            self.ledger.drop(customer_id)
        try:
            async with asyncio.timeout(self._settings.append_timeout_ms / 1000):
                broken = await journal.load(self.ledger, sorted(missing))
        except Exception as error:  # noqa: BLE001 - nothing was written; the next round tries again
            log.warning("load_failed", error=type(error).__name__)
            self.trouble.met(error, in_opening=False)
            journal.terminate()
            self._disconnect()
            await asyncio.sleep(self._clock.uniform(0, RETRY_PAUSE_S))
            return None
        self._contention.mark_moved(before, self.ledger)
        self._metrics.stage["load"](self._clock.perf_counter() - started)
        return broken

    def _decide(self, operations: list[Operation]) -> Batch | None:
        """Decide; return None where no operation leaves a row, and all are answered."""
        started = self._clock.perf_counter()
        try:
            batch = self.ledger.decide(operations, self._clock.time_ns() // 1000)
        except Exception:
            log.exception("decide_failed", operations=len(operations))
            for operation in operations:
                self.ledger.drop(operation.customer_id)
            self._fail(operations, Quarantined())
            return None
        self._metrics.stage["decide"](self._clock.perf_counter() - started)
        if batch.postings == 0:
            self.ledger.discard(batch)
            self._answer(operations)
            return None
        return batch

    async def _append(self, journal: Journal, batch: Batch) -> Verdict:
        started = self._clock.perf_counter()
        verdict = await journal.append(batch)
        self._metrics.stage["append"](self._clock.perf_counter() - started)
        self._count(verdict, batch, journal)
        return verdict

    def _count(self, verdict: Verdict, batch: Batch, journal: Journal) -> None:
        self.trouble.judged(verdict, journal.last_sqlstate)
        if verdict is Verdict.DURABLE:
            self._metrics.batch_operations.observe(len(batch.operations))
            self._metrics.postings.inc(batch.postings)
            self._metrics.last_commit.set(self._clock.time_ns() / 1e9)
            self._timeline.answered(batch)
        else:
            self._metrics.retries.labels(journal.last_sqlstate).inc()

    async def _without_seen(
        self, journal: Journal, operations: list[Operation], *, replayed: bool
    ) -> list[Operation]:
        """Answer the operations whose key the journal has, and bar those that come second.

        Those whose unit, turn or allotment is gone are given up: their caller picks again.
        """
        try:
            async with asyncio.timeout(self._settings.append_timeout_ms / 1000):
                receipts = await journal.find(operations)
                others = [op for op in operations if op.transaction_id not in receipts]
                barred = await journal.find_barred(others)
                taken = await journal.find_taken(others)
        except Exception as error:  # noqa: BLE001 - reading only; the next round tries again
            log.warning("find_failed", error=type(error).__name__)
            journal.terminate()
            return operations
        unseen = []
        for operation in operations:
            receipt = receipts.get(operation.transaction_id)
            if receipt is None and operation.transaction_id in taken:
                gone = ItemTaken() if operation.allotment_id is None else AllotmentClosed()
                self.room.finish(operation, gone)
            elif receipt is None:
                if (bar := barred.get(operation.transaction_id)) is not None:
                    self._repeats.came_second(operation)
                    operation.bar(*bar)
                unseen.append(operation)
            else:
                self._repeats.came_second(operation)
                self.room.finish(operation, replay(operation, receipt, self._metrics, replayed))
        return unseen

    def _without_broken(self, operations: list[Operation], broken: set[bytes]) -> list[Operation]:
        """Give up the operations of customers whose wallets contradict themselves."""
        for operation in operations:
            if operation.customer_id in broken:
                self._quarantine(operation, "contradiction")
        return [operation for operation in operations if operation.customer_id not in broken]

    def _answer(self, operations: list[Operation]) -> None:
        posted = Counter(
            (op.kind, op.refusal, op.tries) for op in operations if op.outcome == POSTED
        )
        for (kind, refusal, tries), count in posted.items():
            self._metrics.operations.add((KIND_WORDS[kind], REFUSAL_WORDS[refusal]), count)
            if tries:
                self._metrics.tries.add((str(tries + 1),), count)
        for operation in operations:
            self.room.finish(operation)
        self.ledger.trim(self._settings.wallets_cached_max, self.room.locked)

    def _fail(self, operations: Sequence[Operation], error: EngineError) -> None:
        for operation in operations:
            self.room.finish(operation, error)

    def _quarantine(self, operation: Operation, sqlstate: str) -> None:
        log.error("operation_quarantined", sqlstate=sqlstate, kind=Kind(operation.kind).name)
        self.ledger.drop(operation.customer_id)
        self.room.finish(operation, Quarantined())

    def _unlock(self, operations: Sequence[Operation]) -> None:
        """Free the accounts of settled operations; those of unknown outcome stay locked."""
        self.room.unlock(
            op.customer_id for op in operations if op.customer_id not in self._unresolved
        )

    async def _after_half(self, operations: list[Operation]) -> list[Operation]:
        """Commit a half of operations that are sorted by customer; return what is left to commit.

        A customer's operations stay together where that is possible. Those whose account has got an
        unknown outcome meanwhile are parked.
        """
        middle = len(operations) // 2
        for at in range(middle, len(operations)):
            if operations[at].customer_id != operations[at - 1].customer_id:
                middle = at
                break
        await self.commit(operations[:middle])
        others = operations[middle:]
        self.room.park(op for op in others if op.customer_id in self._unresolved)
        return [op for op in others if op.customer_id not in self._unresolved]

    # A batch whose outcome is unknown.

    def _resolve_apart(self, batch: Batch, timeline: str | None) -> None:
        self._metrics.ambiguous.inc()
        self._unresolved.update(op.customer_id for op in batch.operations)
        task = asyncio.create_task(self._resolve(batch, timeline))
        self._resolvers.add(task)
        task.add_done_callback(self._resolvers.discard)

    async def _resolve(self, batch: Batch, timeline: str | None) -> None:
        """Append the identical batch until its outcome is known; its accounts stay locked.

        It lands, or it cannot land any more because its keys or its places are taken: by itself,
        which the journal then shows, or by others. To look it up without appending would prove
        nothing, for the first attempt may still be on its way.
        """
        operations = batch.operations
        tries = 0
        while operations:
            tries += 1
            await asyncio.sleep(pause_after(tries, self._clock.uniform))
            try:
                journal = await self._open_journal()
                verdict = await append_again(journal, batch, timeline)
            except Exception as error:  # noqa: BLE001 - out of reach; the next round tries again
                log.warning("resolver_failed", error=type(error).__name__)
                continue
            self._count(verdict, batch, journal)
            log.info("ambiguous_batch", verdict=verdict.value, operations=len(operations))
            if verdict is Verdict.DURABLE:
                self._answer(operations)
                operations = []
            elif verdict in (Verdict.STALE, Verdict.SEEN):
                unseen = await self._without_seen(journal, operations, replayed=False)
                if not journal.is_closed:
                    self._requeue(unseen, alone=len(operations) == 1)
                    operations = []
            elif verdict is Verdict.REFUSED:
                self._requeue(operations, alone=len(operations) == 1)
                operations = []
            journal.terminate()
        self._unresolved.difference_update(op.customer_id for op in batch.operations)
        self._unlock(batch.operations)

    def _requeue(self, operations: Sequence[Operation], *, alone: bool) -> None:
        """Let operations that were proved not to be done be decided again, first of all."""
        self.room.park(self._attempts.again(operations, alone=alone))

    def _disconnect(self) -> None:
        """Drop the connection and every wallet that was read by it."""
        if self._journal is not None:
            self._journal.terminate()
        self._journal = None
        self.connected = False
        self._contention.lost()
        self.ledger.clear()

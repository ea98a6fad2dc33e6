"""The time line that the journal is on, and what a failover or a restore does to work in flight.

An asynchronous standby that is promoted, or a backup that is restored to a point in time, may not
have the newest commits. Caches are gone by then, for they live only as long as the connection that
read them. What is left is a batch of unknown outcome: its rows go on from rows that may be missing
now, and no key of the tables would keep it from leaving a gap. And somebody must be told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from engine.codes import Outcome
from engine.ledger.core import Batch, Operation
from engine.ledger.journal import Journal
from engine.ledger.verdicts import Verdict
from engine.metrics import Metrics

log = structlog.get_logger()

OpenJournal = Callable[[], Awaitable[Journal]]


class Timeline:
    """What one lane knows of the server's time line, and the newest posting that it answered."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._known: str | None = None
        self._newest: Operation | None = None

    def answered(self, batch: Batch) -> None:
        """Remember a posting that is durable and about to be answered."""
        if batch.operations[-1].outcome == Outcome.POSTED:
            self._newest = batch.operations[-1]

    async def notice(self, journal: Journal) -> None:
        """Tell loudly of another time line, and whether what was answered is gone with the old one.

        Raises what asyncpg raises.
        """
        if journal.timeline is None:
            return
        if self._known not in (None, journal.timeline):
            lost = self._newest is not None and not await journal.find([self._newest])
            self._metrics.timeline_changes.labels("lost" if lost else "kept").inc()
            log.error(
                "timeline_changed", before=self._known, now=journal.timeline, answered_lost=lost
            )
        self._known = journal.timeline


async def usable(journal: Journal | None, opener: OpenJournal, timeline: Timeline) -> Journal:
    """Return `journal` where it is open and a commit on it is durable still, else a new one.

    Raises ReadOnly and NotDurable, and what asyncpg raises.
    """
    if journal is not None and not journal.is_closed:
        await journal.refuse_unsafe()
        return journal
    journal = await opener()
    try:
        await timeline.notice(journal)
    except BaseException:
        journal.terminate()
        raise
    return journal


async def append_again(journal: Journal, batch: Batch, timeline: str | None) -> Verdict:
    """Append the identical batch, unless the database has lost what it goes on from.

    Then it is STALE: what of it is there is answered, and the rest is decided again. `timeline` is
    the one that the batch was decided on. Raises what asyncpg raises.
    """
    if journal.timeline != timeline:
        try:
            if await journal.moved_on(batch.predecessors):
                return Verdict.STALE
        except BaseException:
            journal.terminate()
            raise
    return await journal.append(batch)

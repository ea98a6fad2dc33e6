"""Events: sales as they are printed, for those who follow a store, whichever worker took them.

PostgreSQL notifies each worker of an invoice when it commits. The table is authoritative: a worker
that falls behind, because the connection was lost or too much waits, reads on there. An invoice's
number of arrival rises in the order of commits, so that nothing is missed and nothing comes twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from engine.constants import EPOCH
from engine.errors import Overloaded, Unavailable
from engine.metrics import Metrics
from engine.network.invoice_names import till_key_of
from engine.network.invoices import Invoice
from engine.postgres.connections import OUT_OF_REACH, Pool
from engine.postgres.listener import Connect, listen
from engine.postgres.sql import queries

SQL = queries("invoices")
CHANNEL = "leal_invoice"
PAGE_EVENTS = 200
TRIED_AGAIN_AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class Event:
    """A printed sale that nobody has claimed, or that is voided.

    `arrival` is its place among those of the network.
    """

    arrival: int
    invoice: Invoice


class Feed:
    """What one follower of a store has yet to read."""

    def __init__(
        self,
        pool: Pool,
        store_id: int,
        *,
        after: int,
        since: datetime,
        waiting_max: int,
        till_key: str | None = None,
    ) -> None:
        self.store_id = store_id
        self._till_key = till_key
        self.ended = False
        self._pool = pool
        self._after = after
        self._since = since
        self._waiting_max = waiting_max
        self._waiting: deque[Event] = deque()
        self._behind = False
        self._news = asyncio.Event()

    @property
    def after(self) -> int:
        """The arrival of what was read last."""
        return self._after

    async def read(self, seconds_max: float) -> list[Event]:
        """Return what has come, each once and in order; nothing if that takes too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                await self._news.wait()
        self._news.clear()
        came = await self._missed() if self._behind else []
        if not self._behind:
            came += [event for event in self._waiting if event.arrival > self._after]
            self._waiting.clear()
        self._after = came[-1].arrival if came else self._after
        return [event for event in came if self._is_wanted(event)]

    def _is_wanted(self, event: Event) -> bool:
        """Return whether an event is of the till that is followed, where it is one (INV-7)."""
        return self._till_key is None or self._till_key == till_key_of(event.invoice.till)

    def put(self, event: Event) -> None:
        """Let an event wait to be read; where too many do, all of them are read from the table."""
        if len(self._waiting) >= self._waiting_max:
            self.fall_behind()
        else:
            self._waiting.append(event)
            self._news.set()

    def fall_behind(self) -> None:
        """Read what comes next from the table."""
        self._waiting.clear()
        self._behind = True
        self._news.set()

    def end(self) -> None:
        """Let the follower know that no more comes."""
        self.ended = True
        self._news.set()

    async def _missed(self) -> list[Event]:
        """Return a page of what came after the last one read; it stays behind until none is left.

        While the database is out of reach that is nothing.
        """
        self._behind = False  # unless it falls behind again meanwhile
        try:
            rows = await self._pool.fetch(  # network op
                SQL["arrived"], self.store_id, self._after, self._since, PAGE_EVENTS
            )
        except OUT_OF_REACH:
            await asyncio.sleep(TRIED_AGAIN_AFTER_S)
            self.fall_behind()
            return []
        if len(rows) == PAGE_EVENTS:
            self.fall_behind()
        missed = [_event(dict(row)) for row in rows]
        self._after = missed[-1].arrival if missed else self._after
        return missed


class Events:
    """The feeds of one worker, and the connection that listens for all of them."""

    def __init__(
        self,
        pool: Pool,
        connect: Connect,
        metrics: Metrics,
        *,
        feeds_max: int,
        feeds_of_store_max: int,
        waiting_max: int,
        days_max: int,
    ) -> None:
        self._pool = pool
        self._connect = connect
        self._feeds_max = feeds_max
        self._feeds_of_store_max = feeds_of_store_max
        self._waiting_max = waiting_max
        self._days_max = days_max
        self._feeds: dict[int, set[Feed]] = {}
        self._wanted = asyncio.Event()
        self._ended = False
        metrics.watch(self._gauges)

    async def open(
        self,
        store_id: int,
        *,
        after: int | None = None,
        since: datetime | None = None,
        till_key: str | None = None,
    ) -> Feed:
        """Follow a store: what comes from now on, what came `after`, or what it issued `since`.

        Of what came before only what nobody has claimed is read, and never what is more than
        `days_max` old, which nobody can claim any more. Raises Overloaded where too many follow,
        it or all of them, Unavailable where the worker ends.
        """
        oldest = datetime.now(UTC) - timedelta(days=self._days_max)
        last = await self._pool.fetchval(SQL["last_arrival"], store_id)  # network op
        if after is None:
            after = last if since is None else 0
        feed = Feed(
            self._pool,
            store_id,
            after=min(after, last),
            since=max(oldest, since or oldest),
            waiting_max=self._waiting_max,
            till_key=till_key,
        )
        if self._ended:
            raise Unavailable
        of_store = len(self._feeds.get(store_id, ()))
        if of_store >= self._feeds_of_store_max or len(self._all()) >= self._feeds_max:
            raise Overloaded
        self._feeds.setdefault(store_id, set()).add(feed)
        self._wanted.set()
        feed.fall_behind()
        return feed

    def close(self, feed: Feed) -> None:
        """Forget a feed."""
        feeds = self._feeds.get(feed.store_id, set())
        feeds.discard(feed)
        if not feeds:
            self._feeds.pop(feed.store_id, None)

    def end(self) -> None:
        """End every feed, and open no more."""
        self._ended = True
        for feed in self._all():
            feed.end()

    async def listen(self) -> None:
        """Listen for ever, once somebody follows a store."""
        await self._wanted.wait()
        await listen(self._connect, CHANNEL, self._heard, self._begin_anew)

    def _begin_anew(self) -> None:
        """Let every feed read what was told while nobody listened."""
        for feed in self._all():
            feed.fall_behind()

    def _heard(self, told: str) -> None:
        """Hand what PostgreSQL tells to those who follow the store."""
        facts = orjson.loads(told)
        feeds = self._feeds.get(facts["store_id"])
        if feeds is None:
            return
        for name in ("issued_at", "received_at", "voided_at"):
            if facts[name] is not None:
                facts[name] = EPOCH + timedelta(microseconds=facts[name])
        event = _event(facts)
        for feed in feeds:
            feed.put(event)

    def _gauges(self) -> dict[str, tuple[str, float]]:
        about = "Followers of stores whose streams of printed sales are open."
        return {"leal_streams_open": (about, len(self._all()))}

    def _all(self) -> list[Feed]:
        return [feed for feeds in self._feeds.values() for feed in feeds]


def _event(facts: dict[str, Any]) -> Event:
    """Return the event of a notice, or of a row of the query `arrived`."""
    return Event(facts.pop("arrival"), Invoice(**facts))

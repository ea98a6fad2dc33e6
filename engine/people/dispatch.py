"""Messages on their way: each is tried again until it is sent or of no use any more (SYS-8).

Nothing waits for a gateway but the messages themselves. So many are under way at most, and so many
of them at a time; an answer waits for its message a short while only, and goes out without it. What
was not sent is told by the metric, and the cashier can send it again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from itertools import count

import structlog

from engine.metrics import Metrics
from engine.people.sender import Message, NotSent, Sender
from engine.settings import Settings

log = structlog.get_logger()

PAUSE_S = 0.125
PAUSE_S_MAX = 15.0


class Dispatch:
    """Takes messages to the sender, in the background."""

    def __init__(self, sender: Sender, settings: Settings, metrics: Metrics) -> None:
        self._sender = sender
        self._timeout_s = settings.send_timeout_ms / 1000
        self._wait_s = settings.send_wait_ms / 1000
        self._under_way_max = settings.messages_waiting_max
        self._turns = asyncio.Semaphore(settings.messages_at_once_max)
        self._counts = {"code": metrics.codes_sent, "notice": metrics.notices_sent}
        self._under_way: dict[str, asyncio.Task[None]] = {}

    @property
    def channels(self) -> frozenset[str]:
        """The channels that messages can go by."""
        return self._sender.channels

    def has(self, message_id: str) -> bool:
        """Return whether this message is under way here."""
        return message_id in self._under_way

    async def send(
        self, message: Message, then: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Send a message, unless it is under way already; `then` is called once it is sent.

        Returns when that is done, or after `send_wait_ms`, whichever comes first.
        """
        task = self._under_way.get(message.message_id)
        if task is None:
            if len(self._under_way) >= self._under_way_max:
                log.error("message_dropped", about=message.about, under_way=len(self._under_way))
                self._counts[message.about].labels("dropped").inc()
                return
            task = asyncio.create_task(self._deliver(message, then))
            self._under_way[message.message_id] = task
            task.add_done_callback(lambda _: self._under_way.pop(message.message_id))
        await asyncio.wait({task}, timeout=self._wait_s)

    async def close(self) -> None:
        """Give what is under way the time of one try, then give it up; close the sender."""
        if self._under_way:
            tasks = set(self._under_way.values())
            _, late = await asyncio.wait(tasks, timeout=self._timeout_s)
            for task in late:
                task.cancel()
            log.info("messages_ended", sent_or_given_up=len(tasks) - len(late), left=len(late))
        await self._sender.close()

    async def _deliver(self, message: Message, then: Callable[[], Awaitable[None]] | None) -> None:
        """Try until it is sent, its time is up, or no other try may do."""
        outcomes = self._counts[message.about]
        for tries in count(1):
            failure = await self._failure(message)
            if failure is None:
                outcomes.labels("sent").inc()
                if then is not None:
                    await then()
                return
            wait_s = random.uniform(0.5, 1) * min(PAUSE_S * 2**tries, PAUSE_S_MAX)  # noqa: S311
            again = failure.again and time.time() + wait_s < message.until
            log.warning(
                "message_not_sent",
                about=message.about,
                channel=message.channel,
                reason=failure.reason,
                tries=tries,
                again=again,
            )
            outcomes.labels("retried" if again else "failed").inc()
            if not again:
                return
            await asyncio.sleep(wait_s)

    async def _failure(self, message: Message) -> NotSent | None:
        """Try once, when it is its turn; return why it was not sent, None where it was."""
        try:
            async with self._turns, asyncio.timeout(self._timeout_s):
                if time.time() >= message.until:
                    return NotSent("too late", again=False)
                await self._sender.send(message)
        except NotSent as failure:
            return failure
        except OSError as error:
            return NotSent(type(error).__name__, again=True)
        except Exception:
            log.exception("sender_broke", about=message.about, channel=message.channel)
            return NotSent("sender broke", again=False)
        return None

"""Where codes and messages to customers go (SYS-8).

A sender takes one message and returns when it is out of our hands, or says why not. `Outbox` is the
embedded one: it writes each message as a line of `outbox.ndjson`, where a person or a script can
read it. Gateways to e-mail and SMS are in engine.people.gateways; trying again is not their matter
but that of engine.people.dispatch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

import orjson
import structlog

from engine.people.contacts import mask_email, mask_tail

log = structlog.get_logger()

CHANNELS = frozenset({"sms", "email"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to one customer: `channel` is 'sms' or 'email', `to` the phone or the address.

    `message_id` is the same each time it is tried. After `until` (Unix seconds) it is of no use.
    What is in it is shown by no log.
    """

    message_id: str
    about: Literal["code", "notice"]
    channel: str
    to: str = field(repr=False)
    text: str = field(repr=False)
    until: float


class NotSent(Exception):
    """A message was not sent; `again` says whether another try may do."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again


class Sender(Protocol):
    """Takes one message at a time to one customer each, by the `channels` that it has."""

    channels: frozenset[str]

    async def send(self, message: Message) -> None:
        """Send it; raises NotSent, or OSError where another try may do."""

    async def close(self) -> None:
        """Let go of connections."""


class Outbox:
    """Appends messages to a file that only its owner may read."""

    channels = CHANNELS

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, message: Message) -> None:
        """Append one line `{at, channel, to, text}`; whole lines, whoever else appends."""
        line = {
            "at": datetime.now(UTC).isoformat(),
            "channel": message.channel,
            "to": message.to,
            "text": message.text,
        }
        # A line is short and goes to the page cache: it takes less time than a thread would.
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, orjson.dumps(line) + b"\n")
        finally:
            os.close(file)
        log.info("message_sent", channel=message.channel, outbox=str(self._path))

    async def close(self) -> None:
        """Nothing is open between two messages."""


class Log:
    """Writes messages, codes too, into the log: for a machine without a place for an outbox."""

    channels = CHANNELS

    async def send(self, message: Message) -> None:
        """Log it; to whom it goes is masked."""
        mask = mask_tail if message.channel == "sms" else mask_email
        log.info("message", channel=message.channel, to=mask(message.to), text=message.text)

    async def close(self) -> None:
        """Nothing is open."""


class ByChannel:
    """Several senders: a message goes to the first that has its channel."""

    def __init__(self, senders: Sequence[Sender]) -> None:
        self._senders = senders
        self.channels = frozenset().union(*(sender.channels for sender in senders))

    async def send(self, message: Message) -> None:
        """Send it; raises what the sender raises, NotSent where none has the channel."""
        for sender in self._senders:
            if message.channel in sender.channels:
                return await sender.send(message)
        raise NotSent("no sender has the channel", again=False)

    async def close(self) -> None:
        """Close all of them."""
        for sender in self._senders:
            await sender.close()

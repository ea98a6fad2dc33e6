"""Where codes and messages to customers go (SYS-8).

`Outbox` is the embedded sender: it writes each message as a line of `outbox.ndjson`, where a person
or a script can read it. A gateway to SMS or e-mail has the same one method.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import orjson
import structlog

log = structlog.get_logger()


class Sender(Protocol):
    """Takes one message to one customer."""

    async def send(self, channel: str, to: str, text: str) -> None:
        """Send `text` by `channel` ('sms' or 'email'); raises OSError where it cannot."""


class Outbox:
    """Appends messages to a file that only its owner may read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, channel: str, to: str, text: str) -> None:
        """Append one line `{at, channel, to, text}`; whole lines, whoever else appends."""
        line = {"at": datetime.now(UTC).isoformat(), "channel": channel, "to": to, "text": text}
        # A line is short and goes to the page cache: it takes less time than a thread would.
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, orjson.dumps(line) + b"\n")
        finally:
            os.close(file)
        log.info("message_sent", channel=channel, outbox=str(self._path))

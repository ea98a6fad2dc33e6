"""Anchoring: an engine writes an anchor of the journal at each interval, one worker at a time.

An anchor is a file, see engine/ledger/anchors.py. Where the target is a URL the files are kept in
the data folder, and the statement of each is posted with its signature: its receiver can say
later which anchors there were. A file is posted until it was accepted, in the order of the series,
so an anchor that nobody accepted is posted again with the next one.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.errors import EngineError
from engine.keyfiles import anchor_key, anchor_key_file
from engine.ledger.anchors import (
    SQL,
    Anchor,
    anchor_files,
    new_key,
    newest,
    number_of,
    read,
    signing_key_of,
    take,
)
from engine.metrics import Metrics
from engine.postgres.connections import Connection, connect
from engine.settings import Settings

log = structlog.get_logger()

TIMEOUT_S: Final = 3600.0
LOOKS_OF_INTERVAL: Final = 10
LOOK_S_MIN: Final = 1.0
LOOK_S_MAX: Final = 60.0
FOLDER: Final = "anchors"
"""Where the anchors are in the data folder if the target is a URL."""
POSTED_FILE: Final = "posted"
"""Has the number of the last anchor that the webhook accepted."""


class NotPosted(EngineError):
    """The webhook did not accept an anchor."""


class AnotherTurn(EngineError):
    """An engine is writing an anchor right now. Try again in a moment."""


def folder_of(settings: Settings) -> Path:
    """Return the folder of the anchors."""
    return settings.data_dir / FOLDER if "://" in settings.anchor else Path(settings.anchor)


class Anchoring:
    """Writes anchors into the folder of the settings, and posts them where that is wanted."""

    def __init__(self, dsn: str, settings: Settings, metrics: Metrics) -> None:
        self._dsn = dsn
        self._settings = settings
        self._metrics = metrics
        self._folder = folder_of(settings)

    async def run(self) -> None:
        """Write an anchor at each interval for ever; returns at once where none are wanted."""
        interval_s = self._settings.anchor_interval_s
        if not self._settings.anchor or interval_s == 0:
            return
        look_s = min(max(interval_s / LOOKS_OF_INTERVAL, LOOK_S_MIN), LOOK_S_MAX)
        while True:
            try:
                await self.step(interval_s)
            except AnotherTurn:
                pass  # it writes the one that is due
            except Exception as error:  # noqa: BLE001 - it is tried again
                self._metrics.anchor_failures.inc()
                log.warning("anchor_failed", error=type(error).__name__, detail=str(error))
            await asyncio.sleep(look_s)

    async def step(self, interval_s: float) -> None:
        """Write an anchor if the newest one is older, and post what is not posted yet.

        Raises AnotherTurn, NotPosted, OSError and what PostgreSQL raises.
        """
        unposted = await asyncio.to_thread(self._unposted)
        if not unposted and not await self._is_due(interval_s):
            return
        async with self._turn() as connection:
            if await self._is_due(interval_s):
                await self._write(connection)
            await self._post_all()

    async def write(self, progress: Callable[[int], None]) -> Anchor:
        """Write an anchor now, and post it; `progress` gets the wallets written so far.

        Raises what `step` raises.
        """
        async with self._turn() as connection:
            anchor = await self._write(connection, progress)
            await self._post_all()
        return anchor

    async def _is_due(self, interval_s: float) -> bool:
        last = await asyncio.to_thread(newest, self._folder)
        if last is None:
            return True
        self._metrics.last_anchor.set(last.statement.at.timestamp())
        return (datetime.now(UTC) - last.statement.at).total_seconds() >= interval_s

    async def _write(
        self, connection: Connection, progress: Callable[[int], None] = lambda _wallets: None
    ) -> Anchor:
        anchor = await take(
            connection,
            self._folder,
            await asyncio.to_thread(self._key),
            full_every=self._settings.anchor_full_every,
            progress=progress,
        )
        said = anchor.statement
        self._metrics.last_anchor.set(said.at.timestamp())
        log.info("anchor_written", name=said.name, wallets=said.wallets, full=said.since is None)
        return anchor

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Connection]:
        """Give a connection that has the turn to write anchors; raises AnotherTurn."""
        connection = await connect(
            self._dsn,
            statement_timeout_ms=self._settings.statement_timeout_ms,
            lock_timeout_ms=self._settings.lock_timeout_ms,
            application_name="leal-anchor",
            command_timeout_seconds=TIMEOUT_S,
        )
        try:
            if not await connection.fetchval(SQL["take_turn"]):  # network op
                raise AnotherTurn
            yield connection
        finally:
            connection.terminate()

    def _key(self) -> Ed25519PrivateKey:
        pem = anchor_key(self._settings, new_key)
        return signing_key_of(pem, anchor_key_file(self._settings))

    def _unposted(self) -> list[Path]:
        """Return the anchors that the webhook has not accepted, where there is one."""
        if "://" not in self._settings.anchor or not self._folder.is_dir():
            return []
        file = self._folder / POSTED_FILE
        posted = int(file.read_text()) if file.exists() else 0
        return [path for path in anchor_files(self._folder) if number_of(path) > posted]

    async def _post_all(self) -> None:
        """Post the anchors that the webhook has not accepted yet; raises NotPosted."""
        unposted = await asyncio.to_thread(self._unposted)
        if not unposted:
            return
        key = await asyncio.to_thread(self._key)
        timeout = aiohttp.ClientTimeout(total=self._settings.send_timeout_ms / 1000)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for path in unposted:
                await self._post(session, await asyncio.to_thread(read, path), key)
                number = str(number_of(path))
                await asyncio.to_thread((self._folder / POSTED_FILE).write_text, number)

    async def _post(
        self, session: aiohttp.ClientSession, anchor: Anchor, key: Ed25519PrivateKey
    ) -> None:
        """Post an anchor without its lines, signed as Standard Webhooks says; raises NotPosted."""
        name = anchor.path.name
        body = orjson.dumps(
            {
                "type": "anchor",
                "name": name,
                "root": anchor.statement.root,
                "statement": anchor.signed.decode(),
                "signature": anchor.signature.hex(),
            }
        )
        stamp = str(int(datetime.now(UTC).timestamp()))
        signature = key.sign(f"{name}.{stamp}.".encode() + body)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1a,{b64encode(signature).decode()}",
        }
        request: Any = session.post(
            self._settings.anchor, data=body, headers=headers, allow_redirects=False
        )
        try:
            async with request as response:
                reason = "" if 200 <= response.status < 300 else f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = type(error).__name__
        if reason:
            raise NotPosted(
                f"The webhook did not accept {name} ({reason}). It is posted again with the next"
                " anchor."
            )
        log.info("anchor_posted", name=name)

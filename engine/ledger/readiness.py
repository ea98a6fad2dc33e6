"""Readiness: whether a sale can be made durable here, looked at now and then beside the lanes.

What a lane met says so at once. A lane without sales meets nothing, so a connection like theirs is
kept for looking: at the settings of the server, the role's rights and the locks on the tables. It
writes no row. In trouble it is opened anew for each look, as a lane would do for the next sale.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from engine.ledger.journal import COLUMNS
from engine.ledger.lane import Lane
from engine.ledger.trouble import OUT_OF_REACH, words_of
from engine.ledger.verdicts import sqlstate_of
from engine.postgres.connections import Connection, Pool
from engine.postgres.durability import SQL, state_of
from engine.settings import Settings

log = structlog.get_logger()

TABLES = list(COLUMNS)
LOCKS = f"lock table {', '.join(TABLES)} in row exclusive mode nowait; select 1"
"""Takes the locks of an append, or fails at once. Statements sent together are a transaction."""
LOOK_S_MAX = 5.0
LOCKED = "55P03"


class Readiness:
    """Looks at the database of one worker, and tells why no sale can be made durable."""

    def __init__(
        self,
        open_like_a_lane: Callable[[], Awaitable[Connection]],
        lanes: Sequence[Lane],
        pools: Sequence[Pool],
        settings: Settings,
    ) -> None:
        """`open_like_a_lane` raises where the journal cannot be opened, or is not durable."""
        self._open = open_like_a_lane
        self._lanes = lanes
        self._pools = pools
        self._settings = settings
        self._connection: Connection | None = None
        self._loaded_at: datetime | None = None
        self._locked_since: float | None = None
        self._found: str | None = None
        self._told: str | None = None

    @property
    def reason(self) -> str | None:
        """Why a sale cannot be made durable, None where it can. Costs nothing."""
        troubles = (lane.trouble.reason for lane in self._lanes)
        return self._found or next((reason for reason in troubles if reason), None)

    async def run(self) -> None:
        """Look for as long as the worker lives, after the first look of its start."""
        try:
            while True:
                await asyncio.sleep(self._settings.database_look_ms / 1000)
                await self.look()
        finally:
            self._drop()

    async def look(self) -> None:
        """Look once. What is found is in `reason`; lanes whose trouble is over are recovered."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                self._found = await self._find()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason
            self._drop()
            self._found = words_of(error)
            # A lane that has a connection may go on although there is none for a look.
            if self._found == OUT_OF_REACH and all(lane.connected for lane in self._lanes):
                self._found = None
        else:
            if self._found is None:
                for lane in self._lanes:
                    lane.trouble.over_unless_new(began)
        await self._tell()

    async def _find(self) -> str | None:
        """Return what keeps a sale from being durable; raises what shows that by itself."""
        in_opening = any(lane.trouble.any and lane.trouble.in_opening for lane in self._lanes)
        if in_opening or self._connection is None or self._connection.is_closed():
            self._drop()
            self._connection = await self._open()
        connection = self._connection
        state = await state_of(connection)
        if state.loaded_at != self._loaded_at:
            if self._loaded_at is not None:
                await self._doubt_all()
            self._loaded_at = state.loaded_at
        state.refuse(allow_data_loss=self._settings.allow_data_loss)
        missing = await connection.fetch(SQL["unwritable"], TABLES)  # network op
        if missing:
            return f"no right to insert into {', '.join(row['name'] for row in missing)} (42501)"
        if any(lane.trouble.disk_full for lane in self._lanes):
            await connection.execute(SQL["write_a_file"])  # network op
        return await self._locked(connection)

    async def _locked(self, connection: Connection) -> str | None:
        """Return which table has been locked for longer than a statement may take."""
        try:
            await connection.execute(LOCKS)  # network op
        except Exception as error:
            if sqlstate_of(error) != LOCKED:
                raise
            now = time.monotonic()
            self._locked_since = self._locked_since or now
            lasted_ms = 1000 * (now - self._locked_since)
            late = lasted_ms >= self._settings.statement_timeout_ms
            return f"a table is locked ({error})" if late else self._found
        self._locked_since = None
        return None

    async def _doubt_all(self) -> None:
        """Let every connection be looked at before its next use: the configuration was reloaded."""
        for lane in self._lanes:
            lane.doubted = True
        for pool in self._pools:
            await pool.renew()

    async def _tell(self) -> None:
        """Log a change; connections that were opened in trouble take no writes, and are renewed."""
        reason = self.reason
        if reason == self._told:
            return
        self._told = reason
        if reason is None:
            log.info("ready_again")
            for pool in self._pools:
                await pool.renew()
        else:
            log.warning("not_ready", reason=reason)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None

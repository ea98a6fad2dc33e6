"""Administration: every change of what brands configure, one after the other, and who made it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from engine.errors import OutcomeUnknown
from engine.people.keys import Principal
from engine.postgres.connections import OUT_OF_REACH, Pool, PooledConnection
from engine.postgres.sql import queries
from engine.programme.catalogue import Catalogue

SQL = queries("administration")


@dataclass(slots=True)
class Change:
    """One change under way: the connection of its transaction, and the id of what it is about."""

    connection: PooledConnection
    at: datetime
    subject: Any = ""


class Administration:
    """Makes changes of the catalogue; this worker knows each of them before it is answered.

    One change at a time takes one of the readers' connections, however many are asked for.
    """

    def __init__(self, pool: Pool, catalogue: Catalogue, wait_ms_max: int) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._wait_s_max = wait_ms_max / 1000
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def change(
        self,
        principal: Principal | None,
        action: str,
        *,
        subject: Any = "",
        content: Any = None,
    ) -> AsyncIterator[Change]:
        """Run statements on `change.connection` as one change, recorded in the table `change`.

        `action` is like 'store created'; `content` is what was asked for, without anything secret
        or personal; a new thing's id is put into `change.subject`. No principal stands for the
        command line. Whatever the statements raise (UniqueViolation, Problem) takes all of it back.
        Raises OutcomeUnknown where the database is lost while it commits.
        """
        name = "command line" if principal is None else f"key:{principal.key_id}"
        async with asyncio.timeout(self._wait_s_max):
            await self._turn.acquire()
        try:
            async with self._pool.acquire() as connection:
                transaction = connection.transaction()  # network op
                await transaction.start()
                try:
                    version = await connection.fetchval(SQL["touch"])  # network op
                    change = Change(connection, datetime.now(UTC), subject)
                    yield change
                    told = None if content is None else msgspec.json.encode(content).decode()
                    await connection.execute(  # network op
                        SQL["insert_change"], change.at, name, action, str(change.subject), told
                    )
                except BaseException:
                    with suppress(*OUT_OF_REACH):
                        await transaction.rollback()
                    raise
                try:
                    await transaction.commit()
                except OUT_OF_REACH:
                    raise OutcomeUnknown(UNKNOWN) from None
        finally:
            self._turn.release()
        try:
            await self._catalogue.catch_up(version)
        except OUT_OF_REACH:
            raise OutcomeUnknown(UNKNOWN) from None


UNKNOWN = "Whether this was done is not known: read the list before it is sent again."

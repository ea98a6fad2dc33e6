"""The connections of a worker that are opened again and again: each as its user needs it."""

from __future__ import annotations

from engine.ledger.journal import Journal
from engine.postgres.connections import Connection, connect
from engine.settings import Settings


async def open_journal(settings: Settings, dsn: str, name: str = "leal-writer") -> Journal:
    """Open a journal on a connection of its own. Raises what Journal.open raises."""
    connection = await connect(
        dsn,
        statement_timeout_ms=settings.statement_timeout_ms,
        lock_timeout_ms=settings.lock_timeout_ms,
        application_name=name,
        command_timeout_seconds=settings.append_timeout_ms / 1000,
        look_ups_only=True,
    )
    try:
        return await Journal.open(
            connection, settings.append_timeout_ms, allow_data_loss=settings.allow_data_loss
        )
    except BaseException:
        connection.terminate()
        raise


async def open_like_a_lane(settings: Settings, dsn: str) -> Connection:
    """Open a connection on which a journal could be opened, to look whether it still can be."""
    return (await open_journal(settings, dsn, "leal-readiness")).connection


async def open_listener(settings: Settings, dsn: str) -> Connection:
    """Open a connection that listens. Raises what `connect` raises."""
    return await connect(
        dsn,
        statement_timeout_ms=settings.statement_timeout_ms,
        lock_timeout_ms=settings.lock_timeout_ms,
        application_name="leal-listener",
    )

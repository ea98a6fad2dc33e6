"""Cashiers: users of one brand, made and reset by its administrator alone (USR-1).

User names are kept in lower case. Changes run in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.people.tries import subject_of
from engine.postgres.connections import Pool, PooledConnection
from engine.postgres.sql import queries

SQL = queries("cashiers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cashier:
    """A cashier; without a store they work at any of the brand."""

    cashier_id: int
    brand_id: int
    store_id: int | None
    user_name: str
    name: str
    password_set_at: datetime
    disabled_at: datetime | None
    created_at: datetime


async def list_cashiers(pool: Pool, brand_id: int) -> list[Cashier]:
    """Return the cashiers of a brand, in no order."""
    return [_cashier(row) for row in await pool.fetch(SQL["list"], brand_id)]  # network op


async def find_cashier(
    connection: PooledConnection | Pool, brand_id: int, cashier_id: int
) -> Cashier | None:
    """Return a cashier of the brand; None where there is none."""
    row = await connection.fetchrow(SQL["cashier"], cashier_id, brand_id)  # network op
    return None if row is None else _cashier(row)


async def insert_cashier(
    connection: PooledConnection,
    *,
    brand_id: int,
    store_id: int | None,
    user: str,
    name: str,
    password_hash: str,
    at: datetime,
) -> Cashier:
    """Make a cashier; raises UniqueViolation where the brand has that user already."""
    row = await connection.fetchrow(  # network op
        SQL["insert"], brand_id, store_id, user.lower(), name, password_hash, at
    )
    return _cashier(row)


async def save_cashier(connection: PooledConnection, cashier: Cashier, at: datetime) -> None:
    """Keep a cashier's name, store and state, read in the same transaction.

    Their sessions end where they may not work any more: all, or those at other stores.
    """
    await connection.execute(  # network op
        *(SQL["update"], cashier.cashier_id, cashier.name, cashier.store_id, cashier.disabled_at),
    )
    if cashier.disabled_at is not None:
        await connection.execute(SQL["end_sessions"], cashier.cashier_id, at, None)  # network op
    elif cashier.store_id is not None:
        await connection.execute(  # network op
            SQL["end_sessions"], cashier.cashier_id, at, cashier.store_id
        )


async def set_password(
    connection: PooledConnection, cashier: Cashier, password_hash: str, at: datetime
) -> Cashier:
    """Give a cashier another password: sessions end, and pauses after wrong tries too.

    No device is known any more: on each the first sign-in is a stranger's again.
    """
    row = await connection.fetchrow(  # network op
        SQL["set_password"], cashier.cashier_id, password_hash, at
    )
    await connection.execute(SQL["end_sessions"], cashier.cashier_id, at, None)  # network op
    await connection.execute(SQL["forget_devices"], cashier.cashier_id)  # network op
    await connection.execute(  # network op
        SQL["forget_tries"], subject_of(cashier.brand_id, cashier.user_name)
    )
    return _cashier(row)


async def end_sessions(connection: PooledConnection, cashier: Cashier, at: datetime) -> int:
    """End all sessions of a cashier; return how many there were."""
    ended = await connection.fetch(  # network op
        SQL["end_sessions"], cashier.cashier_id, at, None
    )
    return len(ended)


def _cashier(row: Any) -> Cashier:
    return Cashier(**dict(row))

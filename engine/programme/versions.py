"""Versions of programmes as they are kept: each is added once, and none is rewritten (PTS-2)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from engine.postgres.connections import PooledConnection
from engine.postgres.sql import queries

SQL = queries("administration")


class CoinTerms(NamedTuple):
    """How a version of a programme stands with coins (COI-2)."""

    coins: int = 0
    coins_amount: int = 100_000
    issuer: bool = False
    receiver: bool = False


async def coin_terms_at(connection: PooledConnection, brand_id: int, moment: datetime) -> CoinTerms:
    """Return the terms of the version in force at a moment; before the first there are no coins."""
    row = await connection.fetchrow(SQL["coins_at"], brand_id, moment)  # network op
    return CoinTerms() if row is None else CoinTerms(**row)


async def insert_version(
    connection: PooledConnection,
    brand_id: int,
    begins: datetime,
    *,
    points: int,
    points_amount: int,
    points_validity_days: int,
    terms: CoinTerms,
) -> int:
    """Add a version; return its number, which no version of the brand has had.

    Raises UniqueViolation where one begins at the same moment.
    """
    version: int = await connection.fetchval(  # network op
        SQL["insert_programme"],
        brand_id,
        begins,
        points,
        points_amount,
        points_validity_days,
        *terms,
    )
    return version


async def delete_version(
    connection: PooledConnection, brand_id: int, version: int, now: datetime
) -> bool:
    """Delete a version that is not in force at `now`; return whether there was one."""
    found = await connection.fetchval(  # network op
        SQL["delete_programme"], brand_id, version, now
    )
    return found is not None

"""What issuers have paid for: how a fund stands, its switch, and its deposits (COI-2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from engine.postgres.connections import Pool, PooledConnection
from engine.postgres.sql import queries

SQL = queries("funds")


@dataclass(frozen=True, slots=True)
class FundState:
    """A fund: `deposited` in all, and the `balance`, which is not issued yet."""

    prepaid: bool = False
    deposited: int = 0
    balance: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """Coins that were deposited; `fingerprint` is what the request meant."""

    brand_id: int
    coins: int
    reference: str
    fingerprint: int
    deposited_at: datetime


async def find_fund(pool: Pool, brand_id: int) -> FundState:
    """Return how the fund of a brand stands; a brand that never had one is postpaid."""
    row = await pool.fetchrow(SQL["fund"], brand_id)  # network op
    return FundState() if row is None else FundState(**row)


async def switch_fund(
    connection: PooledConnection, brand_id: int, prepaid_since: datetime | None
) -> None:
    """Make an issuer prepaid from a moment on, or postpaid; one that is prepaid stays so."""
    await connection.execute(SQL["switch"], brand_id, prepaid_since)  # network op


async def find_deposit(pool: Pool, deposit_id: UUID) -> Deposit | None:
    """Return a deposit by its id, None where there is none."""
    row = await pool.fetchrow(SQL["deposit"], deposit_id)  # network op
    return None if row is None else Deposit(**row)


async def insert_deposit(
    connection: PooledConnection, deposit_id: UUID, deposit: Deposit, principal: str
) -> None:
    """Add coins to a fund; raises UniqueViolation for an id or a reference that is taken."""
    await connection.execute(  # network op
        SQL["insert_deposit"],
        deposit_id,
        deposit.brand_id,
        deposit.coins,
        deposit.reference,
        deposit.fingerprint,
        deposit.deposited_at,
        principal,
    )
    await connection.execute(SQL["add"], deposit.brand_id, deposit.coins)  # network op

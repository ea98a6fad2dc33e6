"""Who coins come from or go to: partner programmes (SYS-9) and organisations (COI-8)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engine.postgres.connections import PooledConnection
from engine.postgres.sql import queries

SQL = queries("administration")


@dataclass(frozen=True, slots=True)
class Party:
    """A partner programme or an organisation."""

    party_id: int
    name: str
    retired: bool


@dataclass(frozen=True, slots=True)
class Rate:
    """One version of a partner's rate: `coins` for each `points` of the partner's."""

    partner_id: int
    effective_from: float  # seconds since 1970
    coins: int
    points: int

    def coins_for(self, partner_points: int) -> int:
        """Return the coins that so many points become, rounded down."""
        return partner_points * self.coins // self.points


@dataclass(frozen=True, slots=True)
class Partner(Party):
    """A partner programme; `rates` are its versions, oldest first."""

    rates: tuple[Rate, ...] = ()

    def rate_at(self, moment_s: float) -> Rate | None:
        """Return the version in force at `moment_s` (seconds since 1970), None before the first."""
        at = bisect_right(self.rates, moment_s, key=lambda rate: rate.effective_from)
        return self.rates[at - 1] if at else None


PartyNoun = Literal["partner", "organisation"]
"""The sorts of parties, as statements name them."""


async def insert_party(connection: PooledConnection, noun: PartyNoun, name: str) -> int:
    """Add a party; return its id."""
    party_id: int = await connection.fetchval(SQL[f"insert_{noun}"], name)  # network op
    return party_id


async def update_party(
    connection: PooledConnection, noun: PartyNoun, party_id: int, name: str | None
) -> None:
    """Give a party another name; None leaves it as it is."""
    await connection.execute(SQL[f"update_{noun}"], party_id, name)  # network op


async def retire_party(
    connection: PooledConnection, noun: PartyNoun, party_id: int, at: datetime
) -> None:
    """Retire a party; one that is retired keeps its moment."""
    await connection.execute(SQL[f"retire_{noun}"], party_id, at)  # network op


async def insert_rate(
    connection: PooledConnection, partner_id: int, begins: datetime, *, coins: int, points: int
) -> None:
    """Put a rate of a partner in force from `begins` on."""
    await connection.execute(  # network op
        SQL["insert_rate"], partner_id, begins, coins, points
    )

"""Reports: what the sums and the rows that are not folded yet come to, together, at one moment.

The sums have whole days. What a report needs beyond them it reads from the journal in the same
snapshot: the rows of the transactions that the sums have not reached, and, for a moment within a
day, those of that day, found by the transactions that wrote it. So a report agrees with the journal
at every moment, however far the sums reach.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple

from engine.codes import PARTNER_BIT, Counter
from engine.network.folding import SumsOfAnotherServer
from engine.postgres.connections import Pool
from engine.postgres.sql import queries

SQL = queries("sums")

NO_TRANSACTIONS: Final = (1, 0)
"""From 1 on and to 0: none."""


class Cut(NamedTuple):
    """Where a report begins or ends: before a day (of each country's calendar) or a moment."""

    day: date | None = None
    moment: datetime | None = None


NOW: Final = Cut(day=date.max)
"""After all that is in the journal; PostgreSQL knows this day as infinity."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the sums reach that a report was read from.

    They have all that was recorded before `until`; `rows_added` rows came from the journal.
    """

    xid: int
    until: datetime
    rows_added: int


class Party(NamedTuple):
    """Who takes part in a settlement."""

    kind: Literal["brand", "partner", "organisation"]
    id: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Coins of an issuer that a party received, and why."""

    issuer: Party
    receiver: Party
    reason: Literal["payment", "donation", "repayment"]
    coins: int


@dataclass(slots=True)
class Position:
    """What somebody gets of the others and owes them, in coins; what they issued, and breakage."""

    party: Party
    receives: int = 0
    pays: int = 0
    issued: int = 0
    expired: int = 0

    @property
    def net(self) -> int:
        """What is to be paid to them, or by them where it is below zero."""
        return self.receives - self.pays


@dataclass(frozen=True, slots=True)
class Settlement:
    """Who owes whom; the nets of the positions add up to zero (COI-9)."""

    flows: list[Flow]
    positions: list[Position]
    reach: Reach


@dataclass(frozen=True, slots=True)
class Account:
    """An account and its balance: what it got, less what came from it. NONE is the customers'."""

    counter: Counter
    party: int
    balance: int


@dataclass(frozen=True, slots=True)
class AssetBooks:
    """The books of an asset: what customers have, and the accounts on the other side.

    `available` and `held` are what was posted; `lots` is what the lots come to, which are moved by
    other columns of the journal. The books balance where that and the accounts add up to zero.
    """

    asset: int
    available: int
    held: int
    lots: int
    accounts: list[Account]

    @property
    def difference(self) -> int:
        """What is left of both sides: 0."""
        return self.lots + sum(account.balance for account in self.accounts)


REASONS: Final[dict[int, Literal["payment", "donation", "repayment"]]] = {
    Counter.COINS_SETTLED: "payment",
    Counter.COINS_DONATED: "donation",
    Counter.NONE: "repayment",
}


class Reports:
    """Reads the reports, each of one snapshot."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def settlement(self, start: Cut, end: Cut, brand_id: int | None = None) -> Settlement:
        """Return whose coins went where from one cut to another (COI-9).

        With `brand_id` only what this brand issued or received. Raises SumsOfAnotherServer.
        """
        async with self._snapshot() as (connection, reach):
            rows = await connection.fetch(  # network op
                SQL["settlement"],
                reach.xid,
                *start,
                *end,
                *await _transactions_of(connection, start),
                *await _transactions_of(connection, end),
                brand_id,
            )
        flows, positions = [], dict[Party, Position]()
        for row in rows:
            issuer, coins = issuer_of(row["issuer"]), row["coins"]
            of_issuer = positions.setdefault(issuer, Position(issuer))
            if row["counter"] == Counter.COINS_EXPIRED:
                of_issuer.expired += coins
            elif row["counter"] not in REASONS:
                of_issuer.issued -= coins
            else:
                receiver = _receiver_of(row["counter"], row["party"])
                flows.append(Flow(issuer, receiver, REASONS[row["counter"]], coins))
                of_issuer.pays += coins
                positions.setdefault(receiver, Position(receiver)).receives += coins
        return Settlement(flows, sorted(positions.values(), key=lambda one: one.party), reach)

    async def outstanding(
        self, end: Cut, places: list[tuple[int, int]]
    ) -> tuple[list[dict[int, int]], Reach]:
        """Return for each (asset, issuer) what was open or held then, by its last day.

        What is owed, which has no last day, is under the day 0. Raises SumsOfAnotherServer.
        """
        async with self._snapshot() as (connection, reach):
            cut = (reach.xid, *end, *await _transactions_of(connection, end))
            found = []
            for place in places:
                rows = await connection.fetch(SQL["outstanding"], *cut, *place)  # network op
                found.append({row["expires_day"]: row["amount"] for row in rows})
        return found, reach

    async def trial_balance(self, end: Cut) -> tuple[list[AssetBooks], Reach]:
        """Return the books of every asset, coins first. Raises SumsOfAnotherServer."""
        async with self._snapshot() as (connection, reach):
            cut = (reach.xid, *end, *await _transactions_of(connection, end))
            rows = await connection.fetch(SQL["accounts"], *cut)  # network op
            lots = dict(await connection.fetch(SQL["lots_in_all"], *cut))  # network op
        by_asset: dict[int, list[Any]] = {asset: [] for asset in lots}
        for row in rows:
            by_asset.setdefault(row["asset"], []).append(row)
        books = [
            AssetBooks(
                asset,
                available=sum(row["available"] for row in of_asset),
                held=sum(row["held"] for row in of_asset),
                lots=lots.get(asset, 0),
                accounts=[
                    Account(Counter(row["counter"]), row["party"], -row["available"] - row["held"])
                    for row in of_asset
                    if row["counter"] != Counter.NONE
                ],
            )
            for asset, of_asset in sorted(by_asset.items())
        ]
        return books, reach

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[tuple[Any, Reach]]:
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),  # network op
        ):
            reach = await connection.fetchrow(SQL["reach"])  # network op
            if not reach["at_home"]:
                raise SumsOfAnotherServer
            tail = await connection.fetchrow(SQL["tail"], reach["xid"])  # network op
            until = tail["recorded_at"] or tail["at"]
            yield connection, Reach(reach["xid"], until, tail["rows"])


def issuer_of(number: int) -> Party:
    """Return the issuer that a lot's key names."""
    if number & PARTNER_BIT:
        return Party("partner", number & ~PARTNER_BIT)
    return Party("brand", number)


def _receiver_of(counter: int, party: int) -> Party:
    if counter == Counter.COINS_DONATED:
        return Party("organisation", party)
    return issuer_of(party)


async def _transactions_of(connection: Any, cut: Cut) -> tuple[int, int]:
    """Return the first and the last transaction that wrote the day of a moment."""
    if cut.moment is None:
        return NO_TRANSACTIONS
    row = await connection.fetchrow(SQL["hours"], cut.moment)  # network op
    return NO_TRANSACTIONS if row["first"] is None else (row["first"], row["last"])

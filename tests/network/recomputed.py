"""The sums over the journal once more, in plain Python and from nothing but its rows."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any

from engine.codes import COINS, DEBT_DAY, PARTNER_BIT, Counter, Kind
from engine.network.reports import Cut, Party
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS

ROWS = (
    "select xid, customer_id, asset, seq, kind, counter, counter_party, amount, held_amount, moved,"
    " recorded_at from journal order by customer_id, asset, seq"
)
REASONS = {
    Counter.COINS_SETTLED: "payment",
    Counter.COINS_DONATED: "donation",
    Counter.NONE: "repayment",
}


class Recomputed:
    """What rows come to; `countries` are those of the brands."""

    def __init__(self, rows: Iterable[Any], countries: dict[int, str]) -> None:
        self.countries = countries
        self.accounts: Tally[Any] = Tally()  # (day, asset, counter, party): available, held
        self.held: Tally[Any] = Tally()
        self.lots: Tally[Any] = Tally()  # (asset, issuer, day, expires_day): amount
        self.coins: Tally[Any] = Tally()  # (day, issuer, counter, party): coins
        for row in rows:
            self._add(row)

    def day_of(self, moment: datetime, asset: int) -> date:
        country = self.countries.get(asset, COINS_COUNTRY)
        return (moment + timedelta(seconds=UTC_OFFSETS[country])).date()

    def _add(self, row: Any) -> None:
        day, asset = self.day_of(row["recorded_at"], row["asset"]), row["asset"]
        place = (day, asset, row["counter"], row["counter_party"])
        self.accounts[place] += row["amount"]
        self.held[place] += row["held_amount"]
        moved = list(zip(row["moved"][::2], row["moved"][1::2], strict=True))
        leaves_or_comes = row["counter"] != Counter.NONE
        if leaves_or_comes or row["kind"] == Kind.REPAYMENT:
            for key, amount in moved:
                self.lots[asset, key & 0xFFFFFFFF, day, key >> 32] += amount
        if asset == COINS and leaves_or_comes:
            for key, amount in moved:
                self.coins[day, key & 0xFFFFFFFF, row["counter"], row["counter_party"]] -= amount
        if asset == COINS and row["kind"] == Kind.REPAYMENT:
            for whose, to_whom, coins in repayments(moved):
                self.coins[day, whose, Counter.NONE, to_whom] += coins

    def settlement(self) -> dict[tuple[Party, Party, str], int]:
        """Coins by (issuer, receiver, reason)."""
        flows: Tally[Any] = Tally()
        for (_, issuer, counter, party), coins in self.coins.items():
            if counter in REASONS:
                organisation = counter == Counter.COINS_DONATED
                receiver = Party("organisation", party) if organisation else party_of(party)
                flows[party_of(issuer), receiver, REASONS[counter]] += coins
        return nonzero(flows)

    def of_issuers(self, counters: set[int], sign: int) -> dict[Party, int]:
        """What of the issuers' coins went to these accounts."""
        found: Tally[Any] = Tally()
        for (_, issuer, counter, _), coins in self.coins.items():
            if counter in counters:
                found[party_of(issuer)] += sign * coins
        return nonzero(found)

    def outstanding(self, asset: int, issuer: int) -> dict[int, int]:
        """Amounts by last day."""
        found: Tally[Any] = Tally()
        for (of_asset, of_issuer, _, expires_day), amount in self.lots.items():
            if (of_asset, of_issuer) == (asset, issuer):
                found[expires_day] += amount
        return nonzero(found)

    def balances(self) -> dict[tuple[int, int, int], int]:
        """Balances by (asset, counter, party); what customers have is no account."""
        found: Tally[Any] = Tally()
        for place in {*self.accounts, *self.held}:
            _, asset, counter, party = place
            if counter != Counter.NONE:
                found[asset, counter, party] -= self.accounts[place] + self.held[place]
        return nonzero(found)


def repayments(moved: list[tuple[int, int]]) -> Iterable[tuple[int, int, int]]:
    """Give (whose coins, to whom they were owed, how many): the earliest lots repay the debts."""
    debts = [[key & 0xFFFFFFFF, amount] for key, amount in moved if key >> 32 == DEBT_DAY]
    lots = [[key & 0xFFFFFFFF, -amount] for key, amount in moved if key >> 32 != DEBT_DAY]
    while debts:
        coins = min(debts[0][1], lots[0][1])
        yield lots[0][0], debts[0][0], coins
        for queue in (debts, lots):
            queue[0][1] -= coins
            if queue[0][1] == 0:
                queue.pop(0)
    assert not lots


def party_of(number: int) -> Party:
    if number >= PARTNER_BIT:
        return Party("partner", number - PARTNER_BIT)
    return Party("brand", number)


def before(cut: Cut, computed_day: Callable[[datetime, int], date]) -> Callable[[Any], bool]:
    """Return what says whether a row is before a cut."""
    if cut.moment is not None:
        return lambda row: row["recorded_at"] < cut.moment
    return lambda row: computed_day(row["recorded_at"], row["asset"]) < cut.day


def nonzero(tally: dict[Any, int]) -> dict[Any, int]:
    return {place: amount for place, amount in tally.items() if amount}

"""Who coins come from or go to: partner programmes (SYS-9) and organisations (COI-8)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass


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

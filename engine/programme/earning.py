"""What a sale earns (PTS-2, COI-2). Integers only; fractions of a point or coin are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from engine.programme.calendar import COINS_VALIDITY_MONTHS, add_months


@dataclass(frozen=True, slots=True)
class Programme:
    """One version of a brand's programme: `points` for each `points_amount` minor units, …"""

    brand_id: int
    version: int
    effective_from: float  # seconds since 1970
    points: int
    points_amount: int
    points_validity_days: int
    coins: int
    coins_amount: int
    issuer: bool
    receiver: bool

    def points_for(self, amount: int) -> int:
        """Return the points that a bill of `amount` minor units earns, rounded down."""
        return amount * self.points // self.points_amount

    def coins_for(self, amount: int) -> int:
        """Return the coins that a bill of `amount` minor units earns, rounded down."""
        return amount * self.coins // self.coins_amount if self.issuer else 0

    def points_expire(self, day: int) -> int:
        """Return the last day of points earned on `day` (PTS-4)."""
        return day + self.points_validity_days


@lru_cache(maxsize=64)
def coins_expire(day: int) -> int:
    """Return the last day of coins earned on `day`: 24 months later (COI-4)."""
    return add_months(day, COINS_VALIDITY_MONTHS)

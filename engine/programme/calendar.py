"""Days in the network's countries. None of them has summer time, so an offset is a number.

Days are counted since 1970-01-01; a lot can be spent to the end of its last day (PTS-4, COI-4).
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal

from engine.constants import DAY_SECONDS, EPOCH_DAY, MICROSECONDS

Country = Literal["CO", "SV", "GT", "PA"]
Currency = Literal["COP", "USD", "GTQ"]

UTC_OFFSETS: dict[str, int] = {"CO": -5 * 3600, "PA": -5 * 3600, "SV": -6 * 3600, "GT": -6 * 3600}
"""Seconds east of UTC, by ISO 3166 country."""

CURRENCIES: dict[str, Currency] = {"CO": "COP", "SV": "USD", "PA": "USD", "GT": "GTQ"}
"""ISO 4217 currency by country."""

COINS_COUNTRY = "CO"
COINS_VALIDITY_MONTHS = 24


def local_day(moment_s: float, utc_offset: int) -> int:
    """Return the calendar day at `moment_s` (seconds since 1970 UTC) where the offset is."""
    return int((moment_s + utc_offset) // DAY_SECONDS)


def local_date(moment_s: float, utc_offset: int) -> date:
    """Return the date at `moment_s` (seconds since 1970 UTC) where the offset is."""
    return EPOCH_DAY + timedelta(days=local_day(moment_s, utc_offset))


def add_months(day: int, months: int) -> int:
    """Return the same day of the month `months` later, or the last day of that month."""
    start = EPOCH_DAY + timedelta(days=day)
    year, month0 = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = monthrange(year, month0 + 1)[1]
    return (date(year, month0 + 1, min(start.day, last)) - EPOCH_DAY).days


def iso_day(day: int) -> str:
    """Return `YYYY-MM-DD` of a day."""
    return (EPOCH_DAY + timedelta(days=day)).isoformat()


def iso_moment(microseconds: int) -> str:
    """Return RFC 3339 in UTC, with microseconds, of a moment since 1970."""
    seconds, fraction = divmod(microseconds, MICROSECONDS)
    return f"{_iso_second(seconds)}.{fraction:06d}Z"


@lru_cache(maxsize=256)
def _iso_second(seconds: int) -> str:
    """Return a moment to the second; most answers are of the same few."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"

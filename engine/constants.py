"""Numbers that hold everywhere: where time begins, how it is counted, and how large an id is."""

from __future__ import annotations

from datetime import UTC, date, datetime

EPOCH_DAY = date(1970, 1, 1)
"""Day 0; lots, sums and business days are counted from it."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_SECONDS = 86_400
MICROSECONDS = 1_000_000
"""Microseconds of a second."""
ID_MAX = 2**31 - 1
"""Largest id of what is administered: PostgreSQL's type integer ends there."""

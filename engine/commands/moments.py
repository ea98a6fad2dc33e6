"""When a sale happened, as a point of sale says it."""

from __future__ import annotations

import time
from datetime import datetime

from engine.commands.problem import Problem
from engine.constants import DAY_SECONDS

FUTURE_SECONDS_MAX = 300
"""How far ahead of ours the clock of a point of sale may be."""


def occurred_at_s(occurred_at: datetime | None, days_max: int, name: str = "occurred_at") -> float:
    """Return when a sale happened, in seconds since 1970; raises Problem where that cannot be.

    `name` is what the field is called that says so.
    """
    now = time.time()
    if occurred_at is None:
        return now
    if occurred_at.tzinfo is None:
        raise Problem("invalid_request", f"`{name}` needs its offset, like 2026-01-31T10:00:00Z.")
    moment = occurred_at.timestamp()
    if moment > now + FUTURE_SECONDS_MAX:
        raise Problem("occurred_at_out_of_range", f"`{name}` lies in the future.")
    if moment < now - days_max * DAY_SECONDS:
        raise Problem("occurred_at_out_of_range", f"`{name}` lies more than {days_max} days back.")
    return moment

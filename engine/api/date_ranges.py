"""Days and moments of a query string: where a report begins, where it ends, what it is as of.

A day is one of the calendar of the country in question, and counts whole; today counts as far as it
has got.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from time import time

import msgspec
from aiohttp import web

from engine.commands.problem import Problem
from engine.constants import MICROSECONDS
from engine.http.headers import query_text
from engine.ledger.receipts import microseconds
from engine.network.reports import NOW, Cut
from engine.programme.calendar import iso_moment, local_date

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
YEARS = range(1970, 9999)
"""Those that can be asked for: there is room for an offset and a day on either side."""


@dataclass(frozen=True, slots=True)
class Period:
    """From one cut to another; `start` and `end` are how they are told."""

    start: str
    end: str
    cuts: tuple[Cut, Cut]


@dataclass(frozen=True, slots=True)
class AsOf:
    """A cut after what is counted, the day it lies in, and how it is told."""

    told: str
    cut: Cut
    day: date


def query_period(request: web.BaseRequest, utc_offset: int, days_max: int) -> Period:
    """Return the period of `from` and `to`: today where they are left out; raises Problem.

    A moment in `from` counts, one in `to` does not, so that periods follow on each other.
    """
    today = local_date(time(), utc_offset)
    start = _day_or_moment(request, "from") or today
    end = _day_or_moment(request, "to") or max(today, _day_of(start, utc_offset))
    first, last = (_day_of(one, utc_offset) for one in (start, end))
    if first > today:
        raise Problem("invalid_request", f"`from` lies in the future: today is {today}.")
    both_moments = isinstance(start, datetime) and isinstance(end, datetime)
    if first > last or (both_moments and start > end):
        raise Problem("invalid_request", "`from` is after `to`; swap them.")
    if (min(last, today) - first).days >= days_max:
        raise Problem("invalid_request", f"A period has at most {days_max} days; ask for parts.")
    ends = Cut(moment=end) if isinstance(end, datetime) else Cut(day=min(end, today) + DAY)
    starts = Cut(moment=start) if isinstance(start, datetime) else Cut(day=start)
    return Period(_told(start), _told(end), (starts, ends))


def query_days(
    request: web.BaseRequest, days: int, days_max: int, today: date
) -> tuple[date, date]:
    """Return the days of `from` and `to`, both counted: the last `days` where they are left out.

    Raises Problem.
    """
    last = query_day(request, "to") or today
    first = query_day(request, "from") or min(last, today) - timedelta(days=days - 1)
    if first > last:
        raise Problem("invalid_request", "`from` is after `to`; swap them.")
    if (min(last, today) - first).days >= days_max:
        raise Problem("invalid_request", f"A statement has at most {days_max} days.")
    return first, last


def query_as_of(request: web.BaseRequest, utc_offset: int) -> AsOf:
    """Return `as_of`: a day to its end, a moment with what was recorded in it, now where it is left
    out; raises Problem for what is yet to come.
    """
    now = time()
    today = local_date(now, utc_offset)
    asked = _day_or_moment(request, "as_of")
    if asked is None:
        return AsOf(iso_moment(int(now * MICROSECONDS)), NOW, today)
    day = _day_of(asked, utc_offset)
    if day > today or (isinstance(asked, datetime) and asked.timestamp() > now):
        raise Problem("invalid_request", f"`as_of` lies in the future: today is {today}.")
    if isinstance(asked, datetime):
        return AsOf(_told(asked), Cut(moment=asked + MICROSECOND), day)
    return AsOf(_told(asked), Cut(day=day + DAY), day)


def query_moment(request: web.BaseRequest, name: str) -> datetime | None:
    """Return a moment of the query string, None where it is not there; raises Problem."""
    text = query_text(request, name)
    if text is None:
        return None
    moment = _moment_of(text)
    if moment is None:
        detail = f"`{name}` is a moment with its offset, like 2026-01-31T10:00:00Z."
        raise Problem("invalid_request", detail)
    return moment


def query_day(request: web.BaseRequest, name: str) -> date | None:
    """Return a day of the query string, None where it is not there; raises Problem."""
    text = query_text(request, name)
    if text is None:
        return None
    day = _date_of(text)
    if day is None:
        raise Problem("invalid_request", f"`{name}` is a day since 1970, like 2026-01-31.")
    return day


def _day_or_moment(request: web.BaseRequest, name: str) -> date | None:
    """Return what the query string says: a date, a datetime, which is one too, or None."""
    text = query_text(request, name)
    if text is None:
        return None
    found = _date_of(text) or _moment_of(text)
    if found is None or found.year not in YEARS:
        detail = (
            f"`{name}` is a day since 1970, like 2026-01-31, or a moment with its offset, like"
            " 2026-01-31T10:00:00Z."
        )
        raise Problem("invalid_request", detail)
    return found


def _date_of(text: str) -> date | None:
    try:
        day = msgspec.convert(text, date)
    except msgspec.ValidationError:
        return None
    return day if day.year in YEARS else None


def _moment_of(text: str) -> datetime | None:
    """Return the moment that a text names; the `+` of its offset may have become a space."""
    try:
        moment = msgspec.convert(text.replace(" ", "+"), datetime)
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        return None


def _day_of(asked: date, utc_offset: int) -> date:
    """Return the day that a date is, or that a datetime lies in where the offset is."""
    if isinstance(asked, datetime):
        return local_date(asked.timestamp(), utc_offset)
    return asked


def _told(asked: date) -> str:
    return iso_moment(microseconds(asked)) if isinstance(asked, datetime) else asked.isoformat()

"""Logs: one JSON object a line on standard error, with the fields that were named and no others.

Nothing personal is logged: no document, phone, e-mail, name, code, key or body. What goes wrong
many times a second is logged a few times, with the number of lines that were left out.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, MutableMapping
from traceback import extract_tb
from typing import Any

import orjson
import structlog
from structlog.typing import ExcInfo

BURST_LINES_MAX = 10
LINES_A_SECOND_MAX = 1
"""The limits of one event of trouble: lines at once, then lines each second."""


class Limiter:
    """Drops lines of trouble of which there are too many; a later line has their number.

    Trouble is what has the level warning or above, and the request that failed. The number is in
    the next line of the same event that is let through, as `suppressed`, or where none comes, in a
    line `lines_suppressed` beside whatever is logged next after a second.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._room: dict[str, tuple[float, float]] = {}
        self._suppressed: dict[str, int] = {}

    def __call__(
        self, logger: Any, name: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Return the line, or raise DropEvent; a processor of structlog."""
        event = str(line.get("event"))
        if name in ("debug", "info") and line.get("status", 0) < 500:
            self._tell_of_others(logger)
            return line
        now = self._clock()
        room, before = self._room.get(event, (float(BURST_LINES_MAX), now))
        room = min(BURST_LINES_MAX, room + (now - before) * LINES_A_SECOND_MAX)
        if room < 1:
            self._room[event] = room, now
            self._suppressed[event] = self._suppressed.get(event, 0) + 1
            raise structlog.DropEvent
        self._room[event] = room - 1, now
        if suppressed := self._suppressed.pop(event, 0):
            line["suppressed"] = suppressed
        self._tell_of_others(logger)
        return line

    def _tell_of_others(self, logger: Any) -> None:
        """Write the numbers of events of which no line has come for a second."""
        if self._suppressed:
            now = self._clock()
            for event in [one for one in self._suppressed if now - self._room[one][1] > 1]:
                count = self._suppressed.pop(event)
                told = {"event": "lines_suppressed", "of": event, "suppressed": count}
                stamped = STAMP(logger, "warning", told | {"level": "warning"})
                logger.msg(_dumps(stamped))


STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp")


def configure() -> None:
    """Make every logger of the process write JSON lines."""
    structlog.configure(
        processors=[
            Limiter(),
            structlog.processors.add_log_level,
            STAMP,
            structlog.processors.ExceptionRenderer(_where_it_broke),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_JsonHandler()], force=True)


def _where_it_broke(exc_info: ExcInfo) -> list[str]:
    """Return an error's class and its places in the code.

    Neither its text nor any value: PostgreSQL, for one, quotes the row that it refuses.
    """
    places = [f"{one.filename}:{one.lineno} {one.name}" for one in extract_tb(exc_info[2])]
    return [exc_info[0].__name__, *places]


def _dumps(value: Any, **_options: Any) -> bytes:
    return orjson.dumps(value, default=str)


class _JsonHandler(logging.Handler):
    """Takes what libraries log, without their arguments: those may hold anything."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger().log(
            record.levelno, "library", logger=record.name, text=record.msg, error=error
        )

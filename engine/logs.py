"""Logs: one JSON object a line on standard error, with the fields that were named and no others.

Nothing personal is logged: no document, phone, e-mail, name, code, key or body.
"""

from __future__ import annotations

import logging
import sys
from traceback import extract_tb
from typing import Any

import orjson
import structlog
from structlog.typing import ExcInfo


def configure() -> None:
    """Make every logger of the process write JSON lines."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
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

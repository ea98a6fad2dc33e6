"""Pages of lists in the order of their ids: `?limit=` entries at most, `?cursor=` the id before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

from aiohttp import web

from engine.commands.problem import Problem
from engine.http.bodies import query_int
from engine.http.headers import query_text

LISTED_MAX = 1000
LISTED = 100

Row = TypeVar("Row")


def page_of(
    request: web.BaseRequest, rows: Iterable[Row], id_of: Callable[[Row], int]
) -> tuple[list[Row], str | None]:
    """Return (one page of `rows` in the order of their ids, the cursor of the next or None).

    Raises Problem for a limit or a cursor that is none.
    """
    limit = query_int(request, "limit", LISTED, LISTED_MAX)
    cursor = query_text(request, "cursor")
    after = "0" if cursor is None else cursor
    if not after.isascii() or not after.isdigit() or len(after) > 19:
        raise Problem("invalid_request", "`cursor` must be a `next_cursor` that this list gave.")
    wanted = (row for row in sorted(rows, key=id_of) if id_of(row) > int(after))
    page = list(islice(wanted, limit + 1))
    return page[:limit], str(id_of(page[limit - 1])) if len(page) > limit else None

"""The head of a request is read as strictly as its body: each parameter and each header once.

What a client sends and nobody reads is a mistake that shows much later: `?dry_run=true` books, and
`?type=redemption` lists everything. The names that a route takes stand in its declaration
(`Declaration.query`), which the document is made from too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import web
from multidict import CIMultiDictProxy

from engine.commands.problem import Problem
from engine.schemas.texts import tidied

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]-]{0,39}")
"""A parameter that is not known is repeated where it looks like one; else it may be personal."""
DECIDING: Mapping[str, str] = {
    "Authorization": "invalid_request",
    "Idempotency-Key": "idempotency_key_invalid",
    "Last-Event-ID": "invalid_request",
    "Content-Encoding": "invalid_request",
}
"""Headers that decide what a request does, and the code where they come with several values.

`Content-Length` and `Host` are not here: the parser refuses a request that has them twice.
"""


def check_headers(headers: CIMultiDictProxy[str]) -> None:
    """Refuse headers that decide and contradict each other; raises Problem.

    A hop may take the first one, the last one, or join them: each would be another request.
    """
    for name, code in DECIDING.items():
        values = headers.getall(name, ())
        if len(values) > 1 and len(set(values)) > 1:
            raise Problem(code, f"The header {name} comes with several values: send one.")


def check_query(request: web.BaseRequest, known: frozenset[str]) -> None:
    """Refuse query parameters that are unknown, empty, or contradict each other; raises Problem."""
    if not request.rel_url.raw_query_string:
        return
    query = request.query
    for name in query:
        if name not in known:
            unknown = f"`{name}` is" if NAME.fullmatch(name) else "One of those sent is"
            taken = ", ".join(f"`{one}`" for one in sorted(known)) or "none"
            raise Problem(
                "invalid_request", f"{unknown} no query parameter of this call; it has {taken}."
            )
        values = {tidied(value) for value in query.getall(name)}
        if "" in values:
            raise Problem("invalid_request", f"`{name}` is empty: give it a value or leave it out.")
        if len(values) > 1:
            raise Problem("invalid_request", f"`{name}` comes with several values: send one.")


def query_text(request: web.BaseRequest, name: str) -> str | None:
    """Return a query parameter with its ends tidied, None where it is left out."""
    return tidied(request.query.get(name, "")) or None

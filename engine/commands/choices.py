"""Bodies in which exactly one of several fields is sent."""

from __future__ import annotations

from msgspec import Struct

from engine.commands.problem import Problem


def one_of(body: Struct, *names: str) -> str:
    """Return which one of these fields is there; raises Problem where it is not exactly one."""
    given = [name for name in names if getattr(body, name) is not None]
    if len(given) != 1:
        choice = ", ".join(names)
        raise Problem("invalid_request", f"Send exactly one of {choice}; {len(given)} were sent.")
    return given[0]

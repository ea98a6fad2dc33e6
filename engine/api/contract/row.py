"""Rows of calls whose handlers do not declare themselves yet: declarations by method and path."""

from __future__ import annotations

from engine.http.operation import Declaration as Row
from engine.http.operation import Shown, Text

Rows = dict[tuple[str, str], Row]
"""Rows by (method, path), as in engine.api.routes."""

__all__ = ["Row", "Rows", "Shown", "Text"]

"""Declarations of the calls whose handlers are not declared with `engine.http.operation` yet.

To convert one, move its row to its handler: the row's arguments become those of the decorator, the
body a parameter of the handler, and the answer the Struct that it returns.
"""

from __future__ import annotations

from engine.api.contract import coins, customers, payments, transactions
from engine.api.contract.row import Row, Rows
from engine.http.dispatcher import OpenRoute, Route
from engine.http.operation import Declaration, Endpoint

ROWS: Rows = customers.ROWS | transactions.ROWS | payments.ROWS | coins.ROWS


def declaration_of(route: Route | OpenRoute) -> Declaration:
    """Return what a route takes and gives; raises KeyError where nobody has declared it."""
    if isinstance(route.handler, Endpoint):
        return route.handler.declaration
    return ROWS[route.method, route.path]


__all__ = ["ROWS", "Row", "declaration_of"]

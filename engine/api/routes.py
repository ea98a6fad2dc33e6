"""The routes: every call of the contract, and which roles may make it, in one table.

The busiest stand first, for that is the order in which a path is matched.
"""

from __future__ import annotations

from aiohttp import web

from engine.api import accumulations, customers, operations, payments, redemptions, wallets
from engine.api.door import Handler, Route, guarded, nothing_here
from engine.people.keys import Role

CASHIERS = frozenset({Role.NETWORK, Role.BRAND, Role.STORE})
EVERYONE = frozenset(Role)

CUSTOMER = "/v1/customers/{customer_id}"
PAYMENT = CUSTOMER + "/payments/{payment_id}"


def _route(method: str, path: str, roles: frozenset[Role], handler: Handler) -> Route:
    return Route(method, path, roles, handler)


ROUTES: tuple[Route, ...] = (
    _route("POST", CUSTOMER + "/accumulations", CASHIERS, accumulations.accumulate),
    _route("POST", "/v1/customers/lookup", EVERYONE, customers.lookup),
    _route("POST", CUSTOMER + "/redemptions", CASHIERS, redemptions.redeem),
    _route("POST", CUSTOMER + "/payments", CASHIERS, payments.pay),
    _route("POST", PAYMENT + "/confirm", CASHIERS, payments.confirm),
    _route("POST", PAYMENT + "/resend", CASHIERS, payments.resend),
    _route("POST", PAYMENT + "/void", CASHIERS, payments.void),
    _route("GET", PAYMENT, CASHIERS, payments.get),
    _route("GET", CUSTOMER + "/wallets", EVERYONE, wallets.wallets),
    _route("GET", CUSTOMER + "/transactions", EVERYONE, wallets.transactions),
    _route("GET", CUSTOMER + "/transactions/{transaction_id}", EVERYONE, wallets.transaction),
    _route("POST", "/v1/customers", EVERYONE, customers.register),
    _route("GET", CUSTOMER, EVERYONE, customers.get),
)


def add_routes(app: web.Application) -> None:
    """Register every route, the probes and metrics, and the answer to anything else."""
    for route in ROUTES:
        app.router.add_route(route.method, route.path, guarded(route))
    operations.add_routes(app)
    app.router.add_route("*", "/{tail:.*}", nothing_here)

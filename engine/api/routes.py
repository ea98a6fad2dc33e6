"""The routes: every call of the contract, and which roles may make it, in one table."""

from __future__ import annotations

from engine.api import accumulations, customers, operations, payments, redemptions, wallets
from engine.api.door import Handler, OpenRoute, Route
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


OPEN_ROUTES: tuple[OpenRoute, ...] = (
    OpenRoute("GET", "/livez", operations.livez),
    OpenRoute("GET", "/readyz", operations.readyz),
    OpenRoute("GET", "/startupz", operations.startupz),
    OpenRoute("GET", "/metrics", operations.metrics),
)
"""For those who run the engine; no key is needed."""

"""The routes: every call of the contract, and which roles may make it, in one table."""

from __future__ import annotations

from dataclasses import replace

from engine.api import (
    accumulations,
    blocks,
    brands,
    bulk,
    cashiers,
    coins,
    customers,
    funds,
    invoices,
    keys,
    offers,
    operations,
    payments,
    programmes,
    redemptions,
    reports,
    reversals,
    sessions,
    statements,
    stores,
    streams,
    wallets,
)
from engine.api.contract import declaration_of
from engine.api.documentation import Documentation
from engine.api.items import GIFTS, PROMOTIONS, REWARDS
from engine.api.openapi import Section
from engine.api.parties import ORGANISATIONS, PARTNERS
from engine.http.dispatcher import Handler, OpenRoute, Route
from engine.http.fast_path import FastRoute
from engine.http.plain import accumulation_text
from engine.people.keys import ADMINISTRATORS, Role

CASHIERS = frozenset({Role.NETWORK, Role.BRAND, Role.STORE, Role.CASHIER})
EVERYONE = frozenset(Role)
NETWORK = frozenset({Role.NETWORK})
APP = frozenset({Role.APP})
ONLINE = frozenset({Role.NETWORK, Role.APP})
SIGNED_IN = frozenset({Role.CASHIER})
OF_SESSIONS = ADMINISTRATORS | SIGNED_IN

CUSTOMER = "/v1/customers/{customer_id}"
PAYMENT = CUSTOMER + "/payments/{payment_id}"
TRANSACTION = CUSTOMER + "/transactions/{transaction_id}"
BRAND = "/v1/brands/{brand_id}"
CASHIER = BRAND + "/cashiers/{cashier_id}"
KEY = "/v1/keys/{key_id}"
STORE = "/v1/stores/{store_id}"
REWARD = BRAND + "/rewards/{reward_id}"
PROMOTION = BRAND + "/promotions/{promotion_id}"
GIFT = BRAND + "/gifts/{gift_id}"
PARTNER = "/v1/partners/{partner_id}"
ORGANISATION = "/v1/organisations/{organisation_id}"


def _route(method: str, path: str, roles: frozenset[Role], handler: Handler) -> Route:
    """Return a route that takes the query parameters that its call is declared with."""
    route = Route(method, path, roles, handler)
    return replace(route, query=frozenset(declaration_of(route).query))


DOCUMENTATION = Documentation(lambda: SECTIONS)

SECTIONS: tuple[Section, ...] = (
    Section(
        "Customers",
        "One registration serves the whole network (CUS-1). Personal data travels in bodies, never "
        "in a URL.",
        (
            _route("POST", "/v1/customers", EVERYONE, customers.register),
            _route("POST", "/v1/customers/lookup", EVERYONE, customers.lookup),
            _route("GET", CUSTOMER, EVERYONE, customers.get),
            _route("PATCH", CUSTOMER, EVERYONE, customers.change),
            _route("POST", CUSTOMER + "/block", NETWORK, blocks.block),
            _route("POST", CUSTOMER + "/unblock", NETWORK, blocks.unblock),
            _route("POST", CUSTOMER + "/qr", APP, customers.show),
            _route("GET", CUSTOMER + "/wallets", EVERYONE, wallets.wallets),
            _route("GET", CUSTOMER + "/transactions", EVERYONE, wallets.transactions),
            _route("GET", CUSTOMER + "/statement", EVERYONE, statements.statement),
        ),
    ),
    Section(
        "Transactions",
        "What earns and what spends. All of it is under the customer, takes an idempotency key, "
        "and is answered when it is durable.",
        (
            _route("POST", CUSTOMER + "/accumulations", CASHIERS, accumulations.accumulate),
            _route("POST", CUSTOMER + "/redemptions", CASHIERS, redemptions.redeem),
            _route("GET", TRANSACTION, EVERYONE, wallets.transaction),
            _route("POST", "/v1/transactions", CASHIERS, bulk.upload),
        ),
    ),
    Section(
        "Payments",
        "Coins pay a bill, in whole or in part: they are held, a code goes to the customer, and "
        "the code captures them (COI-3, COI-6).",
        (
            _route("POST", CUSTOMER + "/payments", CASHIERS, payments.pay),
            _route("POST", PAYMENT + "/confirm", CASHIERS, payments.confirm),
            _route("POST", PAYMENT + "/resend", CASHIERS, payments.resend),
            _route("POST", PAYMENT + "/void", CASHIERS, payments.void),
            _route("GET", PAYMENT, CASHIERS, payments.get),
        ),
    ),
    Section(
        "Coins and reversals",
        "Coins that come and go at once, and how a mistake is undone: what was taken back and had "
        "been spent is owed, and the next earnings repay it.",
        (
            _route("POST", CUSTOMER + "/conversions", ONLINE, coins.convert),
            _route("POST", CUSTOMER + "/cashbacks", ONLINE, coins.give_cashback),
            _route("POST", CUSTOMER + "/donations", ONLINE, coins.donate),
            _route("POST", CUSTOMER + "/reversals", CASHIERS, reversals.reverse),
        ),
    ),
    Section(
        "Invoices",
        "Sales that an integrated point of sale sends as they are printed; a cashier claims them.",
        (
            _route("PUT", STORE + "/invoices/{number}", CASHIERS, invoices.put),
            _route("GET", STORE + "/invoices/{number}", CASHIERS, invoices.get),
            _route("DELETE", STORE + "/invoices/{number}", CASHIERS, invoices.void),
            _route("GET", STORE + "/invoices", CASHIERS, invoices.listed),
            _route("GET", STORE + "/invoices/stream", CASHIERS, streams.stream),
        ),
    ),
    Section(
        "Rewards, promotions and gifts",
        "What a brand gives for points, for coins or for nothing, and what a customer can take.",
        (
            _route("GET", CUSTOMER + "/offers", EVERYONE, offers.offers),
            _route("GET", BRAND + "/rewards", EVERYONE, REWARDS.listed),
            _route("POST", BRAND + "/rewards", ADMINISTRATORS, REWARDS.create),
            _route("GET", REWARD, EVERYONE, REWARDS.get),
            _route("PATCH", REWARD, ADMINISTRATORS, REWARDS.change),
            _route("DELETE", REWARD, ADMINISTRATORS, REWARDS.retire),
            _route("GET", BRAND + "/promotions", EVERYONE, PROMOTIONS.listed),
            _route("POST", BRAND + "/promotions", ADMINISTRATORS, PROMOTIONS.create),
            _route("GET", PROMOTION, EVERYONE, PROMOTIONS.get),
            _route("PATCH", PROMOTION, ADMINISTRATORS, PROMOTIONS.change),
            _route("DELETE", PROMOTION, ADMINISTRATORS, PROMOTIONS.retire),
            _route("GET", BRAND + "/gifts", EVERYONE, GIFTS.listed),
            _route("POST", BRAND + "/gifts", ADMINISTRATORS, GIFTS.create),
            _route("GET", GIFT, EVERYONE, GIFTS.get),
            _route("PATCH", GIFT, ADMINISTRATORS, GIFTS.change),
            _route("DELETE", GIFT, ADMINISTRATORS, GIFTS.retire),
        ),
    ),
    Section(
        "Brands and stores",
        "Who belongs to the network, and what a sale earns there; partners and organisations too.",
        (
            _route("GET", "/v1/brands", EVERYONE, brands.listed),
            _route("POST", "/v1/brands", NETWORK, brands.create),
            _route("GET", BRAND, EVERYONE, brands.get),
            _route("PATCH", BRAND, ADMINISTRATORS, brands.change),
            _route("DELETE", BRAND, NETWORK, brands.retire),
            _route("GET", BRAND + "/programme", EVERYONE, programmes.get),
            _route("POST", BRAND + "/programme", ADMINISTRATORS, programmes.create),
            _route("DELETE", BRAND + "/programme/{version}", ADMINISTRATORS, programmes.withdraw),
            _route("GET", "/v1/stores", EVERYONE, stores.listed),
            _route("POST", "/v1/stores", ADMINISTRATORS, stores.create),
            _route("GET", STORE, EVERYONE, stores.get),
            _route("PATCH", STORE, ADMINISTRATORS, stores.change),
            _route("DELETE", STORE, ADMINISTRATORS, stores.retire),
            _route("GET", "/v1/partners", EVERYONE, PARTNERS.listed),
            _route("POST", "/v1/partners", NETWORK, PARTNERS.create),
            _route("GET", PARTNER, EVERYONE, PARTNERS.get),
            _route("PATCH", PARTNER, NETWORK, PARTNERS.change),
            _route("DELETE", PARTNER, NETWORK, PARTNERS.retire),
            _route("GET", "/v1/organisations", EVERYONE, ORGANISATIONS.listed),
            _route("POST", "/v1/organisations", NETWORK, ORGANISATIONS.create),
            _route("GET", ORGANISATION, EVERYONE, ORGANISATIONS.get),
            _route("PATCH", ORGANISATION, NETWORK, ORGANISATIONS.change),
            _route("DELETE", ORGANISATION, NETWORK, ORGANISATIONS.retire),
        ),
    ),
    Section(
        "Funds",
        "Issuers that pay for their coins before they issue them.",
        (
            _route("GET", BRAND + "/fund", ADMINISTRATORS, funds.get),
            _route("PATCH", BRAND + "/fund", NETWORK, funds.change),
            _route("POST", BRAND + "/fund/deposits", NETWORK, funds.deposit),
        ),
    ),
    Section(
        "Cashiers and keys",
        "Who may ask: cashiers sign in, systems have keys.",
        (
            OpenRoute("POST", "/v1/sessions", sessions.sign_in, counted=True),
            _route("GET", "/v1/sessions", OF_SESSIONS, sessions.listed),
            _route("DELETE", "/v1/sessions/{session_id}", OF_SESSIONS, sessions.end_one),
            _route("GET", "/v1/sessions/current", SIGNED_IN, sessions.get),
            _route("DELETE", "/v1/sessions/current", SIGNED_IN, sessions.end),
            _route("GET", BRAND + "/cashiers", ADMINISTRATORS, cashiers.listed),
            _route("POST", BRAND + "/cashiers", ADMINISTRATORS, cashiers.create),
            _route("GET", CASHIER, ADMINISTRATORS, cashiers.get),
            _route("PATCH", CASHIER, ADMINISTRATORS, cashiers.change),
            _route("DELETE", CASHIER, ADMINISTRATORS, cashiers.disable),
            _route("POST", CASHIER + "/password", ADMINISTRATORS, cashiers.reset_password),
            _route("DELETE", CASHIER + "/sessions", ADMINISTRATORS, cashiers.end_all_sessions),
            _route("GET", "/v1/keys", ADMINISTRATORS, keys.listed),
            _route("POST", "/v1/keys", ADMINISTRATORS, keys.create),
            _route("GET", KEY, ADMINISTRATORS, keys.get),
            _route("POST", KEY + "/rotate", ADMINISTRATORS, keys.rotate),
            _route("DELETE", KEY, ADMINISTRATORS, keys.revoke),
        ),
    ),
    Section(
        "Reports",
        "For finance, at any moment: sums that are folded in the background, and what was posted "
        "since, together.",
        (
            _route("GET", "/v1/settlements", ADMINISTRATORS, reports.settlement),
            _route("GET", BRAND + "/liability", ADMINISTRATORS, reports.liability),
            _route("GET", "/v1/trial-balance", NETWORK, reports.trial_balance),
        ),
    ),
    Section(
        "Operations",
        "For those who run the engine; no key is needed.",
        (
            OpenRoute("GET", "/livez", operations.livez),
            OpenRoute("GET", "/readyz", operations.readyz),
            OpenRoute("GET", "/startupz", operations.startupz),
            OpenRoute("GET", "/metrics", operations.metrics),
            *DOCUMENTATION.routes,
        ),
    ),
)
"""Every call under its heading, in the order in which the document shows them."""

ALL_ROUTES = tuple(route for section in SECTIONS for route in section.routes)
ROUTES = tuple(route for route in ALL_ROUTES if isinstance(route, Route))
OPEN_ROUTES = tuple(route for route in ALL_ROUTES if isinstance(route, OpenRoute))
"""For those who run the engine or sign in; no key is needed."""


def _route_of(handler: Handler) -> Route:
    """Return the route of a handler."""
    return next(route for route in ROUTES if route.handler is handler)


FAST_ROUTES: tuple[FastRoute, ...] = (
    FastRoute(
        _route_of(accumulations.accumulate), accumulations.accumulation_at_once, accumulation_text
    ),
)
"""The calls that the fast path takes where nothing about them is unusual."""

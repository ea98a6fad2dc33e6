"""Coins that come and go at once: conversions (SYS-9), cashbacks (COI-2) and donations (COI-8)."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import msgspec
import orjson

from engine.codes import Refusal
from engine.commands.decisions import Decided, accepted, recorded_under
from engine.commands.identity import fingerprint, transaction_id
from engine.commands.issuing import issue
from engine.commands.problem import Problem
from engine.commands.scope import store_of
from engine.commands.services import Services
from engine.ledger import operations
from engine.ledger.core import Operation
from engine.people.keys import Principal
from engine.programme.brands import Brand, Store
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS, local_day
from engine.programme.catalogue import Snapshot
from engine.programme.earning import coins_expire
from engine.schemas.scalars import AMOUNT_MAX
from engine.schemas.transactions import Cashback, Conversion, Donation


@dataclass(frozen=True, slots=True)
class Asked:
    """What identifies a command of these: whose it is, its id, and the fingerprint of its body."""

    customer_id: bytes
    transaction_id: bytes
    fingerprint: int


@dataclass(frozen=True, slots=True)
class Giving:
    """Coins that a brand gives for an online order; each try is another operation made from this.

    `barred` is why it issues none, 0 where it does.
    """

    brand: Brand
    store_id: int
    asked: Asked
    order: str
    coins: int
    expires_day: int
    occurred_at: int
    barred: int

    @property
    def customer_id(self) -> bytes:
        """Who gets the coins."""
        return self.asked.customer_id

    def operation(self, allotment_id: bytes | None = None) -> Operation:
        """Return a new operation; `allotment_id` is what pays for the coins of a prepaid issuer."""
        return operations.cashback(
            customer_id=self.asked.customer_id,
            transaction_id=self.asked.transaction_id,
            fingerprint=self.asked.fingerprint,
            brand_id=self.brand.brand_id,
            store_id=self.store_id,
            order=self.order.encode(),
            coins=self.coins,
            expires_day=self.expires_day,
            occurred_at=self.occurred_at,
            details=orjson.dumps({"order": self.order}),
            allotment_id=allotment_id,
            barred=self.barred,
        )

    def unfunded(self) -> Operation:
        """Return a new operation for a brand that has no coins left: it is refused."""
        return replace(self, barred=Refusal.NOT_AVAILABLE).operation()


async def convert(
    services: Services, principal: Principal, customer_id: bytes, key: str, body: Conversion
) -> Decided:
    """Turn a partner's points into coins by the rate in force (SYS-9); raises Problem."""
    asked = _asked(principal, customer_id, key, "conversion", body)
    try:
        coins = _coins_for(services.catalogue.now, body)
    except Problem as problem:
        return await _retried(services, asked, problem)
    details = {
        "partner_id": body.partner_id,
        "partner_points": body.partner_points,
        "reference": body.reference,
    }
    operation = operations.conversion(
        customer_id=customer_id,
        transaction_id=asked.transaction_id,
        fingerprint=asked.fingerprint,
        partner_id=body.partner_id,
        reference=body.reference.encode(),
        coins=coins,
        expires_day=_last_day(),
        occurred_at=time.time_ns() // 1000,
        details=orjson.dumps(details),
    )
    return accepted(await services.committer.submit(operation))


async def give_cashback(
    services: Services, principal: Principal, customer_id: bytes, key: str, body: Cashback
) -> Decided:
    """Give the coins that the brand of a store issues for an order (COI-2); raises Problem."""
    asked = _asked(principal, customer_id, key, "cashback", body)
    try:
        store = store_of(services.catalogue.now, principal, body.store_id)
    except Problem as problem:
        return await _retried(services, asked, problem)
    giving = Giving(
        store.brand,
        store.store_id,
        asked,
        order=body.order,
        coins=body.coins,
        expires_day=_last_day(),
        occurred_at=time.time_ns() // 1000,
        barred=0 if _issues(store) else Refusal.NOT_AVAILABLE,
    )
    return accepted(await issue(services, giving))


async def donate(
    services: Services, principal: Principal, customer_id: bytes, key: str, body: Donation
) -> Decided:
    """Give coins to an organisation (COI-8), in the books of the principal; raises Problem."""
    asked = _asked(principal, customer_id, key, "donation", body)
    organisation = services.catalogue.now.organisations.get(body.organisation_id)
    if organisation is None or organisation.retired:
        problem = Problem(
            "organisation_not_found", f"There is no organisation {body.organisation_id}."
        )
        return await _retried(services, asked, problem)
    operation = operations.donation(
        customer_id=customer_id,
        transaction_id=asked.transaction_id,
        fingerprint=asked.fingerprint,
        brand_id=0 if principal.brand_id is None else principal.brand_id,
        store_id=0 if principal.store_id is None else principal.store_id,
        organisation_id=body.organisation_id,
        coins=body.coins,
        occurred_at=time.time_ns() // 1000,
        details=orjson.dumps({"organisation_id": body.organisation_id}),
    )
    return accepted(await services.committer.submit(operation))


def _asked(
    principal: Principal,
    customer_id: bytes,
    key: str,
    verb: str,
    body: Conversion | Cashback | Donation,
) -> Asked:
    place = 0 if principal.store_id is None else principal.store_id
    return Asked(
        customer_id,
        transaction_id(principal, customer_id, key),
        fingerprint(verb, msgspec.json.encode(body), place),
    )


async def _retried(services: Services, asked: Asked, problem: Problem) -> Decided:
    """Return what was decided of the same request; raises `problem` where it is no retry."""
    recorded = await recorded_under(
        services, asked.customer_id, asked.transaction_id, asked.fingerprint, problem
    )
    return accepted((recorded, True))


def _coins_for(snapshot: Snapshot, body: Conversion) -> int:
    """Return the coins that a partner's points become by the rate in force; raises Problem."""
    partner = snapshot.partners.get(body.partner_id)
    rate = None if partner is None or partner.retired else partner.rate_at(time.time())
    if rate is None:
        raise Problem("partner_not_found", f"There is no partner {body.partner_id}.")
    coins = rate.coins_for(body.partner_points)
    if not 1 <= coins <= AMOUNT_MAX:
        raise Problem(
            "invalid_request",
            f"{rate.points} of this partner's points become {rate.coins} coins: send as many"
            f" `partner_points` as become 1 to {AMOUNT_MAX} coins.",
        )
    return coins


def _issues(store: Store) -> bool:
    """Return whether the brand of a store issues coins now (COI-2)."""
    programme = store.brand.programme_at(time.time())
    return programme is not None and programme.issuer


def _last_day() -> int:
    """Return the last day of coins that are earned now (COI-4)."""
    return coins_expire(local_day(time.time(), UTC_OFFSETS[COINS_COUNTRY]))

"""Who stands before the till: look-ups by a QR, and payments without a code (COI-6, COI-10)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID

from engine.codes import Refusal
from engine.commands.problem import Problem, refusal_problem
from engine.commands.purchases import Purchase
from engine.commands.services import Services
from engine.errors import CustomerNotFound
from engine.people.customers import Customer
from engine.people.keys import Principal
from engine.people.presence import presence_token, read_presence
from engine.people.qr import LIFETIME_S, is_fresh, known_qr, make_qr, read_qr
from engine.schemas.transactions import Payment

QR_SECONDS_WAITED_MAX = 2


@dataclass(frozen=True, slots=True)
class ShownPresence:
    """A customer's presence as a store gets it; `expires_at` in microseconds since 1970."""

    token: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class ShownQr:
    """A QR for the customer's app; `expires_at` in microseconds since 1970."""

    text: str
    expires_at: int


async def new_qr(services: Services, customer_id: bytes) -> ShownQr:
    """Return a QR that has neither paid nor been looked up; raises Problem.

    Where many were used within seconds, the next second is waited for.
    """
    for _ in range(QR_SECONDS_WAITED_MAX + 1):
        now = time.time()
        second = await services.presences.free_second(customer_id, int(now))
        if second is not None:
            text = make_qr(services.code_secret, customer_id, second)
            return ShownQr(text, (second + LIFETIME_S) * 1_000_000)
        await asyncio.sleep(1 - now % 1)
    raise Problem(
        "overloaded",
        "This customer's QRs are used as fast as they are made. Try again in a moment.",
    )


async def found_by_qr(
    services: Services, principal: Principal, qr: str
) -> tuple[Customer | None, ShownPresence | None]:
    """Return whose a QR is, and their presence as a store gets it; None to others.

    Raises CustomerNotFound for what we have not made, and Problem `qr_invalid` for a QR that is
    over, has paid, or serves another store (COI-10).
    """
    now_s = int(time.time())
    shown = known_qr(services.code_secret, qr, now_s)
    if shown is None:
        raise CustomerNotFound
    if not is_fresh(shown, now_s):
        raise refusal_problem(Refusal.QR_INVALID)
    customer = await services.customers.get(UUID(bytes=shown.customer_id))
    if customer is None or customer.erased_at is not None:
        return None, None
    if principal.store_id is None:
        if not await services.presences.serves(shown, None):
            raise refusal_problem(Refusal.QR_INVALID)
        return customer, None
    presence = await services.presences.look_up(shown, principal.store_id, now_s)
    if presence is None:
        raise refusal_problem(Refusal.QR_INVALID)
    token = presence_token(services.code_secret, presence)
    return customer, ShownPresence(token, presence.expires_at_s * 1_000_000)


async def proof_of(
    services: Services, customer_id: bytes, purchase: Purchase, body: Payment
) -> int | None:
    """Return the second of the QR by which a customer is there (COI-6, COI-10).

    0 where what was sent is not valid, None where a code is asked for: nothing was sent, or a
    presence for more than `presence_coins_max` coins. Raises Problem where two things were sent.
    """
    now_s, store_id = int(time.time()), purchase.store.store_id
    if body.presence is not None:
        if body.qr is not None:
            raise Problem("invalid_request", "Send one of `qr` and `presence`.")
        presence = read_presence(services.code_secret, body.presence, now_s)
        if presence is None or (presence.customer_id, presence.store_id) != (customer_id, store_id):
            return 0
        above = purchase.coins > services.settings.presence_coins_max
        return None if above else presence.issued_at_s
    if body.qr is None:
        return None
    shown = read_qr(services.code_secret, body.qr, now_s)
    if shown is None or shown.customer_id != customer_id:
        return 0
    return shown.issued_at_s if await services.presences.serves(shown, store_id) else 0

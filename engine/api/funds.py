"""Funds of prepaid issuers: switched on and off, filled by deposits, and read (COI-2)."""

from __future__ import annotations

from uuid import UUID

import msgspec

from engine.api.example_values import BRAND_ID, REGISTERED
from engine.commands.identity import fingerprint, transaction_id
from engine.commands.problem import Problem
from engine.commands.scope import brand_of, refuse_retired
from engine.commands.services import Services
from engine.errors import KeyReused
from engine.http.dispatcher import Call
from engine.http.operation import Answered, Unread, operation
from engine.http.parameters import idempotency_key_of
from engine.postgres.connections import UniqueViolation
from engine.programme import deposits
from engine.programme.brands import Brand
from engine.programme.calendar import COINS_COUNTRY
from engine.schemas.funds import Deposit, Fund, FundChange, NewDeposit

FUND = Fund(brand_id=BRAND_ID, prepaid=True, deposited=500_000, issued=54_000, balance=446_000)
REFERENCE = "transfer 2026-11-0042"


@operation(
    "readFund",
    summary="Read what an issuer has deposited, and what of it is not issued yet (COI-2)",
    answer_example=FUND,
)
async def get(services: Services, call: Call) -> Fund:
    """`GET /v1/brands/{brand_id}/fund`."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    return await _fund(services, brand)


@operation(
    "changeFund",
    summary="Make an issuer prepaid or postpaid (COI-2)",
    about="A prepaid issuer issues no more coins than were deposited. Where its fund has fewer "
    "left, a sale earns its points and `coins` is null, and a cashback is `not_available`.",
    body_example=FundChange(prepaid=True),
    answer_example=FUND,
    problems=("retired",),
)
async def change(services: Services, call: Call, body: FundChange) -> Fund:
    """`PATCH /v1/brands/{brand_id}/fund`: prepaid or postpaid from now on, on every worker."""
    brand = _issuer(services, call)
    refuse_retired(brand)
    async with services.administration.change(
        call.principal, "fund changed", subject=brand.brand_id, content=body
    ) as change:
        since = change.at if body.prepaid else None
        await deposits.switch_fund(change.connection, brand.brand_id, since)
    return await _fund(services, brand)


@operation(
    "depositCoins",
    summary="Deposit coins that an issuer has paid for (COI-2)",
    about="A reference is deposited once. An issuer that is postpaid may have deposits too.",
    key="required",
    body_example=NewDeposit(coins=500_000, reference=REFERENCE),
    status=201,
    answer_example=Deposit(BRAND_ID, 500_000, REFERENCE, REGISTERED),
    problems=("deposit_exists", "retired"),
)
async def deposit(services: Services, call: Call, sent: Unread[NewDeposit]) -> Answered[Deposit]:
    """`POST /v1/brands/{brand_id}/fund/deposits`: coins that were paid for, once by a reference."""
    key = str(idempotency_key_of(call.request))
    body = await sent.read()
    brand = _issuer(services, call)
    # As the idempotency key of a transaction is, with the brand for the customer.
    deposit_id = UUID(bytes=transaction_id(call.principal, brand.brand_id.to_bytes(16, "big"), key))
    meaning = fingerprint("deposit", msgspec.json.encode(body), brand.brand_id)
    if recorded := await _recorded(services, deposit_id, meaning):
        return Answered(_shown(recorded), replayed=True)
    refuse_retired(brand)
    try:
        async with services.administration.change(
            call.principal, "coins deposited", subject=brand.brand_id, content=body
        ) as change:
            made = deposits.Deposit(
                brand_id=brand.brand_id,
                coins=body.coins,
                reference=body.reference,
                fingerprint=meaning,
                deposited_at=change.at,
            )
            principal = f"key:{call.principal.key_id}"
            await deposits.insert_deposit(change.connection, deposit_id, made, principal)
    except UniqueViolation:
        if recorded := await _recorded(services, deposit_id, meaning):
            return Answered(_shown(recorded), replayed=True)
        raise Problem(
            "deposit_exists", "A reference is deposited once; take a new one for more coins."
        ) from None
    return Answered(_shown(made))


def _issuer(services: Services, call: Call) -> Brand:
    """Return the brand of the path; raises Problem where it can issue no coins (COI-1)."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    if brand.country != COINS_COUNTRY:
        raise Problem("invalid_request", "Coins exist in Colombia only: this brand issues none.")
    return brand


async def _recorded(services: Services, deposit_id: UUID, meaning: int) -> deposits.Deposit | None:
    """Return what was deposited under an idempotency key before; raises KeyReused."""
    found = await deposits.find_deposit(services.pool, deposit_id)
    if found is not None and found.fingerprint != meaning:
        raise KeyReused
    return found


def _shown(kept: deposits.Deposit) -> Deposit:
    return Deposit(kept.brand_id, kept.coins, kept.reference, kept.deposited_at)


async def _fund(services: Services, brand: Brand) -> Fund:
    """Return the fund of a brand as it is."""
    state = await deposits.find_fund(services.pool, brand.brand_id)
    return Fund(
        brand_id=brand.brand_id,
        prepaid=state.prepaid,
        deposited=state.deposited,
        issued=state.deposited - state.balance,
        balance=state.balance,
    )

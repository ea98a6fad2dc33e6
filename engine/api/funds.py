"""Funds of prepaid issuers: switched on and off, filled by deposits, and read (COI-2)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from engine.commands.identity import fingerprint, transaction_id
from engine.commands.problem import Problem
from engine.commands.scope import brand_of, refuse_retired
from engine.commands.services import Services
from engine.errors import KeyReused
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import idempotency_key_of
from engine.http.response import Response
from engine.postgres.connections import UniqueViolation
from engine.programme.brands import Brand
from engine.programme.calendar import COINS_COUNTRY
from engine.programme.funds import SQL
from engine.schemas.funds import Deposit, Fund, FundChange, NewDeposit

CHANGE = BodyDecoder(FundChange)
DEPOSIT = BodyDecoder(NewDeposit)


async def get(services: Services, call: Call) -> Response:
    """`GET /v1/brands/{brand_id}/fund`."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    return await _told(services, brand)


async def change(services: Services, call: Call) -> Response:
    """`PATCH /v1/brands/{brand_id}/fund`: prepaid or postpaid from now on, on every worker."""
    body: FundChange = CHANGE.decode(await read_body(services, call.request))
    brand = _issuer(services, call)
    refuse_retired(brand)
    async with services.administration.change(
        call.principal, "fund changed", subject=brand.brand_id, content=body
    ) as change:
        await change.connection.execute(  # network op
            SQL["switch"], brand.brand_id, change.at if body.prepaid else None
        )
    return await _told(services, brand)


async def deposit(services: Services, call: Call) -> Response:
    """`POST /v1/brands/{brand_id}/fund/deposits`: coins that were paid for, once by a reference."""
    key = str(idempotency_key_of(call.request))
    body: NewDeposit = DEPOSIT.decode(await read_body(services, call.request))
    brand = _issuer(services, call)
    # As the idempotency key of a transaction is, with the brand in the place of the customer.
    deposit_id = UUID(bytes=transaction_id(call.principal, brand.brand_id.to_bytes(16, "big"), key))
    meaning = fingerprint("deposit", msgspec.json.encode(body), brand.brand_id)
    if recorded := await _recorded(services, deposit_id, meaning):
        return answer(msgspec.json.encode(recorded), 201, replayed=True)
    refuse_retired(brand)
    try:
        async with services.administration.change(
            call.principal, "coins deposited", subject=brand.brand_id, content=body
        ) as change:
            made = Deposit(brand.brand_id, body.coins, body.reference, change.at)
            await change.connection.execute(  # network op
                SQL["insert_deposit"],
                deposit_id,
                *(made.brand_id, made.coins, made.reference, meaning, made.deposited_at),
                f"key:{call.principal.key_id}",
            )
            await change.connection.execute(  # network op
                SQL["add"], brand.brand_id, body.coins
            )
    except UniqueViolation:
        if recorded := await _recorded(services, deposit_id, meaning):
            return answer(msgspec.json.encode(recorded), 201, replayed=True)
        raise Problem(
            "deposit_exists", "A reference is deposited once; take a new one for more coins."
        ) from None
    return answer(msgspec.json.encode(made), 201)


def _issuer(services: Services, call: Call) -> Brand:
    """Return the brand of the path; raises Problem where it can issue no coins (COI-1)."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    if brand.country != COINS_COUNTRY:
        raise Problem("invalid_request", "Coins exist in Colombia only: this brand issues none.")
    return brand


async def _recorded(services: Services, deposit_id: UUID, meaning: int) -> Deposit | None:
    """Return what was deposited under an idempotency key before; raises KeyReused."""
    row: Any = await services.pool.fetchrow(SQL["deposit"], deposit_id)  # network op
    if row is None:
        return None
    if row["fingerprint"] != meaning:
        raise KeyReused
    return Deposit(row["brand_id"], row["coins"], row["reference"], row["deposited_at"])


async def _told(services: Services, brand: Brand) -> Response:
    """Answer with the fund as it is; a brand that never had one is postpaid."""
    row: Any = await services.pool.fetchrow(SQL["fund"], brand.brand_id)  # network op
    prepaid, deposited, balance = (False, 0, 0) if row is None else row
    fund = Fund(
        brand_id=brand.brand_id,
        prepaid=prepaid,
        deposited=deposited,
        issued=deposited - balance,
        balance=balance,
    )
    return answer(msgspec.json.encode(fund))

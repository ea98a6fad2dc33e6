"""Programmes: what a bill earns at a brand, in versions, of which none is rewritten (PTS-2)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import msgspec

from engine.api.door import Call, answer, read_body
from engine.api.places import brand_of, number_of
from engine.api.problems import Problem
from engine.api.reply import Reply
from engine.api.services import Services
from engine.api.shapes.administration import NewProgramme, Programme, Programmes
from engine.api.wire import Wire
from engine.postgres.connections import UniqueViolation
from engine.programme.administration import SQL
from engine.programme.brands import Brand
from engine.programme.calendar import COINS_COUNTRY

NEW = Wire(NewProgramme)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def get(services: Services, call: Call) -> Reply:
    """`GET /v1/brands/{brand_id}/programme`: the version in force, and all of them."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    versions = [programme_body(brand, number) for number in range(1, len(brand.programmes) + 1)]
    return answer(msgspec.json.encode(Programmes(current=current_of(brand), versions=versions)))


async def create(services: Services, call: Call) -> Reply:
    """`POST /v1/brands/{brand_id}/programme`: a version from now on, or from a moment to come.

    Nothing begins in the past: a sale that is claimed days later earns what it would have earned.
    """
    body: NewProgramme = NEW.decode(await read_body(services, call.request))
    brand = brand_of(
        services.catalogue.now, call.principal, call.params["brand_id"], to_change=True
    )
    _refuse_coins_elsewhere(brand, body)
    try:
        async with services.administration.change(
            call.principal, "programme created", subject=brand.brand_id, content=body
        ) as change:
            begins = body.effective_from or change.at
            _refuse_moment(begins, change.at, services.settings.programme_ahead_days_max)
            await change.connection.execute(  # network op
                SQL["insert_programme"],
                brand.brand_id,
                begins,
                body.points,
                body.points_amount,
                body.points_validity_days,
                body.coins,
                body.coins_amount,
                body.issuer,
                body.receiver,
            )
    except UniqueViolation:
        raise Problem(
            "programme_exists", "Delete that version first, or choose another moment."
        ) from None
    brand = services.catalogue.now.brands[brand.brand_id]
    number = brand.starts.index(begins.timestamp()) + 1
    return answer(msgspec.json.encode(programme_body(brand, number)), 201)


async def withdraw(services: Services, call: Call) -> Reply:
    """`DELETE /v1/brands/{brand_id}/programme/{version}`: a version that is not in force yet.

    The versions after it move up by one number.
    """
    brand = brand_of(
        services.catalogue.now, call.principal, call.params["brand_id"], to_change=True
    )
    number = number_of(call.params["version"])
    if not 1 <= number <= len(brand.programmes):
        raise Problem("programme_not_found", f"The programme has no version {number}.")
    withdrawn = programme_body(brand, number)
    async with services.administration.change(
        call.principal, "programme withdrawn", subject=brand.brand_id, content=withdrawn
    ) as change:
        if withdrawn.effective_from <= change.at:
            raise Problem("programme_in_force", "Make a new version instead of taking this back.")
        found = await change.connection.fetchval(  # network op
            SQL["delete_programme"], brand.brand_id, withdrawn.effective_from, change.at
        )
        if found is None:
            raise Problem("programme_not_found", f"The programme has no version {number}.")
    return answer(msgspec.json.encode(withdrawn))


def current_of(brand: Brand) -> Programme | None:
    """Return the version in force at this moment, None before the first."""
    programme = brand.programme_at(time.time())
    if programme is None:
        return None
    return programme_body(brand, brand.starts.index(programme.effective_from) + 1)


def programme_body(brand: Brand, number: int) -> Programme:
    """Return a version, counted from 1, as it is told."""
    programme = brand.programmes[number - 1]
    microseconds = round(programme.effective_from * 1_000_000)
    return Programme(
        version=number,
        effective_from=EPOCH + timedelta(microseconds=microseconds),
        points=programme.points,
        points_amount=programme.points_amount,
        points_validity_days=programme.points_validity_days,
        coins=programme.coins,
        coins_amount=programme.coins_amount,
        issuer=programme.issuer,
        receiver=programme.receiver,
        currency=brand.currency,
    )


def _refuse_coins_elsewhere(brand: Brand, body: NewProgramme) -> None:
    """Coins are in Colombia only (COI-1), and who issues them gives some."""
    if brand.country != COINS_COUNTRY and (body.coins or body.issuer or body.receiver):
        raise Problem(
            "invalid_request",
            "Coins exist in Colombia only: leave out `coins`, `issuer` and `receiver`.",
        )
    if body.issuer and not body.coins:
        raise Problem("invalid_request", "An issuer gives coins: send `coins` for `coins_amount`.")


def _refuse_moment(begins: datetime, now: datetime, days_max: int) -> None:
    if begins.tzinfo is None:
        raise Problem(
            "invalid_request", "`effective_from` needs its offset, like 2026-01-31T10:00:00Z."
        )
    if not now <= begins <= now + timedelta(days=days_max):
        raise Problem(
            "invalid_request",
            "`effective_from` lies ahead, by "
            f"{days_max} days at most; leave it out for a version that begins now.",
        )

"""Programmes: what a bill earns at a brand, in versions, of which none is rewritten (PTS-2)."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET

from engine.commands.problem import Problem
from engine.commands.scope import brand_of, number_of
from engine.commands.services import Services
from engine.constants import EPOCH, MICROSECONDS
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.response import Response
from engine.postgres.connections import PooledConnection, UniqueViolation
from engine.programme import earning
from engine.programme.administration import SQL
from engine.programme.brands import Brand
from engine.programme.calendar import COINS_COUNTRY
from engine.schemas.administration import NewProgramme, Programme, Programmes

NEW = BodyDecoder(NewProgramme)
NO_COINS = {"coins": 0, "coins_amount": 100_000, "issuer": False, "receiver": False}
"""What a brand begins with."""


async def get(services: Services, call: Call) -> Response:
    """`GET /v1/brands/{brand_id}/programme`: the version in force, and all of them."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    versions = [_body(brand, programme) for programme in brand.programmes]
    return answer(msgspec.json.encode(Programmes(current=current_of(brand), versions=versions)))


async def create(services: Services, call: Call) -> Response:
    """`POST /v1/brands/{brand_id}/programme`: a version from now on, or from a moment to come.

    Nothing begins in the past: a sale that is claimed days later earns what it would have earned.
    What is left out about coins stays as it is, so that new points do not switch them off.
    """
    body: NewProgramme = NEW.decode(await read_body(services, call.request))
    brand = brand_of(
        services.catalogue.now, call.principal, call.params["brand_id"], to_change=True
    )
    try:
        async with services.administration.change(
            call.principal, "programme created", subject=brand.brand_id, content=body
        ) as change:
            begins = change.at if body.effective_from is None else body.effective_from
            _refuse_moment(begins, change.at, services.settings.programme_ahead_days_max)
            coins = await _coins(change.connection, brand, body, begins)
            version = await change.connection.fetchval(  # network op
                SQL["insert_programme"],
                brand.brand_id,
                begins,
                body.points,
                body.points_amount,
                body.points_validity_days,
                *coins,
            )
    except UniqueViolation:
        raise Problem(
            "programme_exists", "Delete that version first, or choose another moment."
        ) from None
    brand = services.catalogue.now.brands[brand.brand_id]
    return answer(msgspec.json.encode(_body(brand, _version_of(brand, version))), 201)


async def withdraw(services: Services, call: Call) -> Response:
    """`DELETE /v1/brands/{brand_id}/programme/{version}`: a version that is not in force yet.

    The others keep their numbers, and no other one ever gets this number.
    """
    brand = brand_of(
        services.catalogue.now, call.principal, call.params["brand_id"], to_change=True
    )
    withdrawn = _body(brand, _version_of(brand, number_of(call.params["version"])))
    async with services.administration.change(
        call.principal, "programme withdrawn", subject=brand.brand_id, content=withdrawn
    ) as change:
        if withdrawn.effective_from <= change.at:
            raise Problem("programme_in_force", "Make a new version instead of taking this back.")
        found = await change.connection.fetchval(  # network op
            SQL["delete_programme"], brand.brand_id, withdrawn.version, change.at
        )
        if found is None:
            raise _no_version(withdrawn.version)
    return answer(msgspec.json.encode(withdrawn))


def current_of(brand: Brand) -> Programme | None:
    """Return the version in force at this moment, None before the first."""
    programme = brand.programme_at(time.time())
    return None if programme is None else _body(brand, programme)


def _version_of(brand: Brand, number: int) -> earning.Programme:
    """Return the version of this number; raises Problem where there is none."""
    for programme in brand.programmes:
        if programme.version == number:
            return programme
    raise _no_version(number)


def _no_version(number: int) -> Problem:
    return Problem("programme_not_found", f"The programme has no version {number}.")


def _body(brand: Brand, programme: earning.Programme) -> Programme:
    """Return a version as it is told."""
    microseconds = round(programme.effective_from * MICROSECONDS)
    return Programme(
        version=programme.version,
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


async def _coins(
    connection: PooledConnection, brand: Brand, body: NewProgramme, begins: datetime
) -> list[int | bool]:
    """Return `coins`, `coins_amount`, `issuer` and `receiver` of a new version; raises Problem.

    Coins are in Colombia only (COI-1), and who issues them gives some.
    """
    row = await connection.fetchrow(SQL["coins_at"], brand.brand_id, begins)  # network op
    coins = dict(NO_COINS if row is None else row)
    for name in coins:
        if (sent := getattr(body, name)) is not UNSET:
            coins[name] = sent
    given = coins["coins"] or coins["issuer"] or coins["receiver"]
    if brand.country != COINS_COUNTRY and given:
        raise Problem(
            "invalid_request",
            "Coins exist in Colombia only: leave out `coins`, `issuer` and `receiver`.",
        )
    if coins["issuer"] and not coins["coins"]:
        raise Problem(
            "invalid_request",
            "An issuer gives coins: send `coins` for `coins_amount`, or `issuer: false`.",
        )
    return list(coins.values())


def _refuse_moment(begins: datetime, now: datetime, days_max: int) -> None:
    if begins.tzinfo is None:
        raise Problem(
            "invalid_request",
            "`effective_from` is a time with its offset, like 2026-01-31T10:00:00Z.",
        )
    if not now <= begins <= now + timedelta(days=days_max):
        raise Problem(
            "invalid_request",
            "`effective_from` must lie ahead, by "
            f"{days_max} days at most; leave it out for a version that begins now.",
        )

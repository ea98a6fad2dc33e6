"""Programmes: what a bill earns at a brand, in versions, of which none is rewritten (PTS-2)."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from msgspec import UNSET
from msgspec.structs import replace

from engine.api.example_values import REGISTERED
from engine.commands.problem import Problem
from engine.commands.scope import brand_of, number_of
from engine.commands.services import Services
from engine.constants import EPOCH, MICROSECONDS
from engine.http.dispatcher import Call
from engine.http.operation import operation
from engine.postgres.connections import UniqueViolation
from engine.programme import earning, versions
from engine.programme.brands import Brand
from engine.programme.calendar import COINS_COUNTRY
from engine.programme.versions import CoinTerms
from engine.schemas.administration import NewProgramme, Programme, Programmes

PROGRAMME = Programme(
    version=1,
    effective_from=REGISTERED,
    points=1,
    points_amount=100_000,
    points_validity_days=365,
    coins=1,
    coins_amount=10_000,
    issuer=True,
    receiver=True,
    currency="COP",
)


@operation(
    "readProgramme",
    summary="Read a brand's programme: the version in force, and all of them (PTS-2)",
    answer_example=Programmes(current=PROGRAMME, versions=[PROGRAMME]),
)
async def get(services: Services, call: Call) -> Programmes:
    """`GET /v1/brands/{brand_id}/programme`: the version in force, and all of them."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    kept = [_shown(brand, programme) for programme in brand.programmes]
    return Programmes(current=current_of(brand), versions=kept)


@operation(
    "addProgrammeVersion",
    summary="Add a version, from now on or from a moment to come (PTS-2)",
    body_example=NewProgramme(
        points=1,
        points_amount=100_000,
        points_validity_days=365,
        coins=1,
        coins_amount=10_000,
        issuer=True,
        receiver=True,
    ),
    status=201,
    answer_example=PROGRAMME,
    problems=("programme_exists", "retired"),
)
async def create(services: Services, call: Call, body: NewProgramme) -> Programme:
    """`POST /v1/brands/{brand_id}/programme`: a version from now on, or from a moment to come.

    Nothing begins in the past: a sale that is claimed days later earns what it would have earned.
    What is left out about coins stays as it is, so that new points do not switch them off.
    """
    brand = brand_of(
        services.catalogue.now, call.principal, call.params["brand_id"], to_change=True
    )
    try:
        async with services.administration.change(
            call.principal, "programme created", subject=brand.brand_id, content=body
        ) as change:
            begins = change.at if body.effective_from is None else body.effective_from
            _refuse_moment(begins, change.at, services.settings.programme_ahead_days_max)
            before = await versions.coin_terms_at(change.connection, brand.brand_id, begins)
            version = await versions.insert_version(
                change.connection,
                brand.brand_id,
                begins,
                points=body.points,
                points_amount=body.points_amount,
                points_validity_days=body.points_validity_days,
                terms=_terms(brand, body, before),
            )
    except UniqueViolation:
        raise Problem(
            "programme_exists", "Delete that version first, or choose another moment."
        ) from None
    brand = services.catalogue.now.brands[brand.brand_id]
    return _shown(brand, _version_of(brand, version))


@operation(
    "withdrawProgrammeVersion",
    summary="Withdraw a version that is not in force yet (PTS-2)",
    answer_example=replace(PROGRAMME, version=2),
    problems=("programme_not_found", "programme_in_force", "retired"),
)
async def withdraw(services: Services, call: Call) -> Programme:
    """`DELETE /v1/brands/{brand_id}/programme/{version}`: a version that is not in force yet.

    The others keep their numbers, and no other one ever gets this number.
    """
    brand = brand_of(
        services.catalogue.now, call.principal, call.params["brand_id"], to_change=True
    )
    withdrawn = _shown(brand, _version_of(brand, number_of(call.params["version"])))
    async with services.administration.change(
        call.principal, "programme withdrawn", subject=brand.brand_id, content=withdrawn
    ) as change:
        if withdrawn.effective_from <= change.at:
            raise Problem("programme_in_force", "Make a new version instead of taking this back.")
        if not await versions.delete_version(
            change.connection, brand.brand_id, withdrawn.version, change.at
        ):
            raise _no_version(withdrawn.version)
    return withdrawn


def current_of(brand: Brand) -> Programme | None:
    """Return the version in force at this moment, None before the first."""
    programme = brand.programme_at(time.time())
    return None if programme is None else _shown(brand, programme)


def _version_of(brand: Brand, number: int) -> earning.Programme:
    """Return the version of this number; raises Problem where there is none."""
    for programme in brand.programmes:
        if programme.version == number:
            return programme
    raise _no_version(number)


def _no_version(number: int) -> Problem:
    return Problem("programme_not_found", f"The programme has no version {number}.")


def _shown(brand: Brand, programme: earning.Programme) -> Programme:
    """Return a version as clients see it."""
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


def _terms(brand: Brand, body: NewProgramme, before: CoinTerms) -> CoinTerms:
    """Return how a new version stands with coins, `before` being what it follows; raises Problem.

    Coins are in Colombia only (COI-1), and who issues them gives some.
    """
    terms = CoinTerms(
        coins=before.coins if body.coins is UNSET else body.coins,
        coins_amount=before.coins_amount if body.coins_amount is UNSET else body.coins_amount,
        issuer=before.issuer if body.issuer is UNSET else body.issuer,
        receiver=before.receiver if body.receiver is UNSET else body.receiver,
    )
    if brand.country != COINS_COUNTRY and (terms.coins or terms.issuer or terms.receiver):
        raise Problem(
            "invalid_request",
            "Coins exist in Colombia only: leave out `coins`, `issuer` and `receiver`.",
        )
    if terms.issuer and not terms.coins:
        raise Problem(
            "invalid_request",
            "An issuer gives coins: send `coins` for `coins_amount`, or `issuer: false`.",
        )
    return terms


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

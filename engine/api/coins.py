"""Coins that come and go at once: conversions (SYS-9), cashbacks (COI-2) and donations (COI-8)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from engine.api.answers import recorded_answer
from engine.api.replays import recorded_under
from engine.codes import Kind, Refusal
from engine.commands.identity import fingerprint, transaction_id
from engine.commands.issuing import Facts, issue
from engine.commands.problem import Problem
from engine.commands.refusals import raise_refusal
from engine.commands.scope import store_of
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of, idempotency_key_of
from engine.http.response import Response
from engine.ledger.core import Operation
from engine.people.keys import Principal
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS, local_day
from engine.programme.catalogue import Snapshot
from engine.programme.earning import coins_expire
from engine.schemas.scalars import AMOUNT_MAX
from engine.schemas.transactions import Cashback, Conversion, Donation

CONVERSION = BodyDecoder(Conversion)
CASHBACK = BodyDecoder(Cashback)
DONATION = BodyDecoder(Donation)


async def convert(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/conversions`: a partner's points become coins (SYS-9)."""
    return await _post(services, call, Kind.CONVERSION, CONVERSION, _conversion)


async def give_cashback(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/cashbacks`: coins for an online purchase (COI-2)."""
    return await _post(services, call, Kind.CASHBACK, CASHBACK, _cashback)


async def donate(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/donations`: coins for a social organisation (COI-8)."""
    return await _post(services, call, Kind.DONATION, DONATION, _donation)


async def _post(
    services: Services,
    call: Call,
    kind: Kind,
    decoder: BodyDecoder[Any],
    facts_of: Callable[[Snapshot, Principal, Any], Facts],
) -> Response:
    """Post what a body asks for; a retry is answered from the books where it cannot be any more."""
    customer_id = customer_id_of(call.params)
    key = str(idempotency_key_of(call.request))
    body = decoder.decode(await read_body(services, call.request))
    own_id = transaction_id(call.principal, customer_id, key)
    place = 0 if call.principal.store_id is None else call.principal.store_id
    meaning = fingerprint(kind.name.lower(), msgspec.json.encode(body), place)
    try:
        facts = facts_of(services.catalogue.now, call.principal, body)
    except Problem as problem:
        recorded = await recorded_under(services, customer_id, own_id, meaning, problem)
        raise_refusal(recorded, replayed=True)
        return answer(recorded_answer(recorded), 201, replayed=True)
    facts |= {
        "kind": kind,
        "customer_id": customer_id,
        "transaction_id": own_id,
        "fingerprint": meaning,
        "occurred_at": time.time_ns() // 1000,
    }
    if kind is Kind.CASHBACK:
        brand = services.catalogue.now.brands[facts["brand_id"]]
        decided, replayed = await issue(services, brand, facts)
    else:
        decided, replayed = await services.committer.submit(Operation(**facts))
    raise_refusal(decided, replayed=replayed)
    return answer(recorded_answer(decided), 201, replayed=replayed)


def _conversion(snapshot: Snapshot, _principal: Principal, body: Conversion) -> Facts:
    """Return the coins that the points become by the rate in force; raises Problem."""
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
    return {
        "party_id": body.partner_id,
        "claim_reference": body.reference.encode(),
        "requested": coins,
        "expires_day": _last_day(),
        "details": orjson.dumps(
            {
                "partner_id": body.partner_id,
                "partner_points": body.partner_points,
                "reference": body.reference,
            }
        ),
    }


def _cashback(snapshot: Snapshot, principal: Principal, body: Cashback) -> Facts:
    """Return the coins that the brand of a store issues, if it does now; raises Problem."""
    store = store_of(snapshot, principal, body.store_id)
    programme = store.brand.programme_at(time.time())
    issues = programme is not None and programme.issuer
    return {
        "brand_id": store.brand.brand_id,
        "store_id": store.store_id,
        "claim_reference": body.order.encode(),
        "requested": body.coins,
        "expires_day": _last_day(),
        "details": orjson.dumps({"order": body.order}),
        "barred": 0 if issues else Refusal.NOT_AVAILABLE,
    }


def _donation(snapshot: Snapshot, principal: Principal, body: Donation) -> Facts:
    """Return the coins for an organisation, given where the principal is; raises Problem."""
    organisation = snapshot.organisations.get(body.organisation_id)
    if organisation is None or organisation.retired:
        raise Problem("organisation_not_found", f"There is no organisation {body.organisation_id}.")
    return {
        "brand_id": 0 if principal.brand_id is None else principal.brand_id,
        "store_id": 0 if principal.store_id is None else principal.store_id,
        "party_id": body.organisation_id,
        "requested": body.coins,
        "details": orjson.dumps({"organisation_id": body.organisation_id}),
    }


def _last_day() -> int:
    """Return the last day of coins that are earned now (COI-4)."""
    return coins_expire(local_day(time.time(), UTC_OFFSETS[COINS_COUNTRY]))

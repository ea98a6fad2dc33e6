"""Coins that come and go at once: conversions (SYS-9), cashbacks (COI-2) and donations (COI-8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec import Struct

from engine.api.answers import coins_answer
from engine.commands import coins
from engine.commands.decisions import Decided
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of, idempotency_key_of
from engine.http.response import Response
from engine.people.keys import Principal
from engine.schemas.transactions import Cashback, Conversion, Donation

Body = TypeVar("Body", bound=Struct)

CONVERSION = BodyDecoder(Conversion)
CASHBACK = BodyDecoder(Cashback)
DONATION = BodyDecoder(Donation)


async def convert(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/conversions`: a partner's points become coins (SYS-9)."""
    return await _post(services, call, CONVERSION, coins.convert)


async def give_cashback(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/cashbacks`: coins for an online purchase (COI-2)."""
    return await _post(services, call, CASHBACK, coins.give_cashback)


async def donate(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/donations`: coins for a social organisation (COI-8)."""
    return await _post(services, call, DONATION, coins.donate)


async def _post(
    services: Services,
    call: Call,
    decoder: BodyDecoder[Body],
    command: Callable[[Services, Principal, bytes, str, Body], Awaitable[Decided]],
) -> Response:
    customer_id, key = customer_id_of(call.params), idempotency_key_of(call.request)
    body = decoder.decode(await read_body(services, call.request))
    done = await command(services, call.principal, customer_id, key, body)
    return answer(coins_answer(done.answer), 201, replayed=done.replayed)

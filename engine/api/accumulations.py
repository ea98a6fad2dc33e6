"""Accumulations: a sale earns points, and at an issuer brand coins (PTS-3, COI-2)."""

from __future__ import annotations

from engine.commands import earn
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of, idempotency_key_of
from engine.http.plain import PlainRequest, accumulation_text
from engine.http.response import Response
from engine.ledger.core import Operation
from engine.people.keys import Principal
from engine.schemas.transactions import Accumulation

WIRE = BodyDecoder(Accumulation)


async def accumulate(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/accumulations`."""
    customer_id, key = customer_id_of(call.params), idempotency_key_of(call.request)
    body = WIRE.decode(await read_body(services, call.request))
    done = await earn.accumulate(services, call.principal, customer_id, key, body)
    return answer(accumulation_text(done.answer), 201, replayed=done.replayed)


def accumulation_at_once(
    services: Services,
    principal: Principal,
    customer_id: bytes,
    request: PlainRequest,
    sent: bytes,
) -> Operation | None:
    """Return the operation of a sale for the fast path, None where more is needed."""
    key = idempotency_key_of(request)
    return earn.accumulation_at_once(services, principal, customer_id, key, WIRE.decode(sent))

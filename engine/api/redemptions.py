"""Redemptions: points become a reward, a promotion or a gift, at once (RED-1…RED-3, RED-5)."""

from __future__ import annotations

from engine.api.answers import redemption_answer
from engine.commands.redeem import redeem as redeem_item
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of, idempotency_key_of
from engine.http.response import Response
from engine.schemas.transactions import Redemption

WIRE = BodyDecoder(Redemption)


async def redeem(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/redemptions`."""
    customer_id, key = customer_id_of(call.params), idempotency_key_of(call.request)
    body = WIRE.decode(await read_body(services, call.request))
    done = await redeem_item(services, call.principal, customer_id, key, body)
    return answer(redemption_answer(done.answer), 201, replayed=done.replayed)

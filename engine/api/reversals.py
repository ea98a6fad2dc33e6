"""Reversals: a transaction is undone once and whole, lot by lot (PTS-8, RED-7)."""

from __future__ import annotations

from engine.api.answers import reversal_answer
from engine.commands.reverse import reverse as reverse_transaction
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of, idempotency_key_of
from engine.http.response import Response
from engine.schemas.transactions import Reversal

WIRE = BodyDecoder(Reversal)


async def reverse(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/reversals`: what was spent by then is owed."""
    customer_id, key = customer_id_of(call.params), idempotency_key_of(call.request)
    body = WIRE.decode(await read_body(services, call.request))
    done = await reverse_transaction(services, call.principal, customer_id, key, body)
    return answer(reversal_answer(done.answer), 201, replayed=done.replayed)

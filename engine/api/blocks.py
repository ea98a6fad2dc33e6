"""Standing: a customer is blocked, and unblocked again, with a reason (CUS-9, FRD-2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from engine.api.customers import customer_body, json_of
from engine.commands import blocks
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import customer_id_of, optional_idempotency_key_of
from engine.http.response import Response
from engine.people.keys import Principal
from engine.schemas.people import Standing

STANDING = BodyDecoder(Standing)

Command = Callable[[Services, Principal, bytes, str | None, Standing], Awaitable[blocks.Stands]]


async def block(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/block`: from its answer on nothing is earned or spent."""
    return await _post(services, call, blocks.block)


async def unblock(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/unblock`."""
    return await _post(services, call, blocks.unblock)


async def _post(services: Services, call: Call, command: Command) -> Response:
    customer_id, key = customer_id_of(call.params), optional_idempotency_key_of(call.request)
    body = STANDING.decode(await read_body(services, call.request))
    done = await command(services, call.principal, customer_id, key, body)
    shown = customer_body(done.customer, call.principal, blocked=done.blocked)
    return answer(json_of(shown), replayed=done.replayed)

"""Payments with coins: at once by a QR; or hold, code, confirm, or void (COI-3…COI-7)."""

from __future__ import annotations

from engine.api.answers import payment_answer
from engine.commands import pay as payments
from engine.commands.pay import Named, PaymentState
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.parameters import (
    customer_id_of,
    idempotency_key_of,
    optional_idempotency_key_of,
    payment_id_of,
)
from engine.http.response import Response
from engine.schemas.transactions import Confirmation, Nothing, Payment

PAYMENT = BodyDecoder(Payment)
CONFIRMATION = BodyDecoder(Confirmation)
NOTHING = BodyDecoder(Nothing)


async def pay(services: Services, call: Call) -> Response:
    """`POST /v1/customers/{customer_id}/payments`: by a code, or at once by the QR (COI-6)."""
    customer_id, key = customer_id_of(call.params), idempotency_key_of(call.request)
    body = PAYMENT.decode(await read_body(services, call.request))
    return _answer(await payments.pay(services, call.principal, customer_id, key, body), 201)


async def confirm(services: Services, call: Call) -> Response:
    """`POST …/payments/{payment_id}/confirm`: capture the hold with the code that was typed."""
    body = CONFIRMATION.decode(await read_body(services, call.request))
    named, key = _named(call), optional_idempotency_key_of(call.request)
    return _answer(await payments.confirm(services, named, key, body))


async def resend(services: Services, call: Call) -> Response:
    """`POST …/payments/{payment_id}/resend`: a new code to the same person (*Reenviar código*)."""
    NOTHING.decode(await read_body(services, call.request))
    named, key = _named(call), optional_idempotency_key_of(call.request)
    return _answer(await payments.resend(services, named, key))


async def void(services: Services, call: Call) -> Response:
    """`POST …/payments/{payment_id}/void`: the held coins go back."""
    NOTHING.decode(await read_body(services, call.request))
    named, key = _named(call), optional_idempotency_key_of(call.request)
    return _answer(await payments.void(services, named, key))


async def get(services: Services, call: Call) -> Response:
    """`GET …/payments/{payment_id}`: how the payment stands."""
    return _answer(await payments.state_of(services, _named(call)))


def _named(call: Call) -> Named:
    """Return the payment of the path; raises Problem for what is no id."""
    payment_id = payment_id_of(call.params)
    return Named(call.principal, customer_id_of(call.params), payment_id)


def _answer(state: PaymentState, status: int = 200) -> Response:
    body = payment_answer(state.newest, state.status, state.hold)
    return answer(body, status, replayed=state.replayed)

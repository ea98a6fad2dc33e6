"""A call is declared at its handler, and the example says no other type than the signature."""

from __future__ import annotations

import pytest
from aiohttp import web
from msgspec import Struct

from engine.commands.services import Services
from engine.http.dispatcher import Call
from engine.http.operation import Answered, Unread, examples_of, operation
from engine.schemas.texts import Sent


class Order(Sent, frozen=True):
    """A body."""

    name: str


class Receipt(Struct):
    """An answer."""

    name: str


async def serve(_services: Services, _call: Call, body: Order) -> Receipt:
    return Receipt(body.name)


async def serve_later(_services: Services, _call: Call, sent: Unread[Order]) -> Answered[Receipt]:
    return Answered(Receipt((await sent.read()).name), 202)


async def serve_any(_services: Services, _call: Call, body: Struct) -> Struct:
    return body


async def serve_text(_services: Services, _call: Call) -> web.Response:
    return web.Response()


@pytest.mark.parametrize("handler", [serve, serve_later])
@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (None, Receipt("x")),
        (Receipt("x"), Receipt("x")),
        (Order("x"), None),
        (Order("x"), Order("x")),
    ],
    ids=["no body", "another body", "no answer", "another answer"],
)
def test_an_example_of_another_type_than_the_signature_is_refused(handler, body, shown):
    with pytest.raises(TypeError):
        operation("serve", body_example=body, answer_example=shown)(handler)


@pytest.mark.parametrize("handler", [serve, serve_later, serve_any])
def test_examples_of_the_types_of_the_signature_are_taken(handler):
    endpoint = operation("serve", body_example=Order("x"), answer_example=Receipt("y"))(handler)
    assert endpoint.declaration.operation == "serve"
    assert examples_of(endpoint.declaration.body) == [Order("x")]
    assert endpoint.declaration.answers == {200: Receipt("y")}


def test_a_handler_that_writes_its_answer_itself_needs_no_example():
    endpoint = operation("serve", other_answers={304: None})(serve_text)
    assert endpoint.declaration.answers == {200: None, 304: None}

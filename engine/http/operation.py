"""Declares a call of the contract at its handler: what it takes, what it gives, and its words.

    @operation(
        "addStore",
        summary="Add a store (PTS-2)",
        body_example=NewStore(name="Chapinero", city="Bogotá"),
        status=201,
        answer_example=STORE,
        problems=("retired",),
    )
    async def create(services: Services, call: Call, body: NewStore) -> Store:

The types of the body and of the answer are those of the signature. The body is decoded before the
handler runs, and the Struct that it returns is encoded. A handler that checks something before its
body takes an `Unread[NewStore]` and awaits its `read`; one whose status varies, or whose answer may
be a replayed one, returns an `Answered[Store]`; one that writes its answer itself, as streams and
tables are, returns a Response. `/openapi.json` is made from the declarations and the routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import update_wrapper
from inspect import signature
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web
from msgspec import Struct

from engine.codes import Kind
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body

Body = TypeVar("Body", bound=Struct)
Made = TypeVar("Made", bound=Struct)


@dataclass(frozen=True, slots=True)
class Text:
    """A body of no Struct: its media type, an example of it, and its type in JSON's terms."""

    media_type: str
    example: Any
    type: str = "string"


Shown = Struct | Mapping[str, Struct] | list[Struct] | tuple[Text, ...] | None
"""A body by an example of it: a Struct of its type, or several, each with a name.

A list is a JSON array of them; a tuple is of bodies that are not JSON, by media type; None is no
body at all.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a call takes and gives, as the document has it.

    `operation` is its operationId, which never changes. `lines` is how its body may be sent line by
    line instead, and `texts` what it may be answered with instead of JSON. `answers` are by status.
    `verbs` are the kinds of postings that it asks for: their refusals are added from engine.codes.
    `problems` are the other codes that are particular to it: what its path, its body, its key or
    any request may run into is added by engine.api.openapi. `query` are types of the query string
    by name, with the description in their `Meta`. `key` says whether it takes the header
    Idempotency-Key: "required", "optional" or "". `summary` is for a handler whose docstring does
    not begin with one, `about` what else a client must know.
    """

    operation: str
    answers: Mapping[int, Shown]
    body: Shown = None
    lines: tuple[Text, ...] = ()
    texts: tuple[Text, ...] = ()
    verbs: tuple[Kind, ...] = ()
    problems: tuple[str, ...] = ()
    query: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    summary: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Answered(Generic[Made]):
    """An answer whose status is not always the declared one, or that was given before."""

    body: Made
    status: int | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Unread(Generic[Body]):
    """A body that is read when the handler asks for it."""

    _services: Services
    _request: web.BaseRequest
    _decoder: BodyDecoder[Body]

    async def read(self) -> Body:
        """Return the body; raises Problem where it is none that the call takes."""
        return self._decoder.decode(await read_body(self._services, self._request))


class Endpoint:
    """A handler with its declaration; it takes a request and returns a response, as routes want.

    It is called with the services and a Call, or, where no key is needed, with the request.
    """

    def __init__(
        self, handler: Callable[..., Awaitable[Any]], declaration: Declaration, status: int
    ) -> None:
        update_wrapper(self, handler)
        self.declaration = declaration
        self._handler = handler
        self._status = status
        body, lazy = _body_of(handler, declaration)
        self._decoder: BodyDecoder[Any] | None = None if body is None else BodyDecoder(body)
        self._lazy = lazy
        _check_answer(handler, declaration.answers[status])

    async def __call__(self, services: Services, asked: Call | web.BaseRequest) -> Any:
        """Read the body where there is one, handle the request, and encode what comes of it."""
        if self._decoder is None:
            made = await self._handler(services, asked)
        else:
            request = asked.request if isinstance(asked, Call) else asked
            body: Any = Unread(services, request, self._decoder)
            made = await self._handler(services, asked, body if self._lazy else await body.read())
        if isinstance(made, Struct):
            return answer(msgspec.json.encode(made), self._status)
        if isinstance(made, Answered):
            status = self._status if made.status is None else made.status
            return answer(msgspec.json.encode(made.body), status, replayed=made.replayed)
        return made


Declares = Callable[[Callable[..., Awaitable[Any]]], Endpoint]
"""What stands above a handler."""


def operation(
    name: str,
    *,
    summary: str = "",
    about: str = "",
    body_example: Shown = None,
    lines: tuple[Text, ...] = (),
    status: int = 200,
    answer_example: Shown = None,
    other_answers: Mapping[int, Shown] | None = None,
    texts: tuple[Text, ...] = (),
    verbs: tuple[Kind, ...] = (),
    problems: tuple[str, ...] = (),
    query: Mapping[str, Any] | None = None,
    key: str = "",
) -> Declares:
    """Declare the call that a handler answers; see `Declaration` for what the arguments say.

    `status` is that of the answer that has `answer_example`; `other_answers` are by status.
    """
    declaration = Declaration(
        operation=name,
        answers={status: answer_example, **(other_answers or {})},
        body=body_example,
        lines=lines,
        texts=texts,
        verbs=verbs,
        problems=problems,
        query=query or {},
        key=key,
        summary=summary,
        about=about,
    )
    return lambda handler: Endpoint(handler, declaration, status)


def examples_of(shown: Shown) -> list[Struct]:
    """Return the examples that a declaration has of a JSON body: none, one, or several."""
    if shown is None or isinstance(shown, Struct):
        return [] if shown is None else [shown]
    found = shown.values() if isinstance(shown, Mapping) else shown
    return [one for one in found if isinstance(one, Struct)]


def _body_of(
    handler: Callable[..., Any], declaration: Declaration
) -> tuple[type[Struct] | None, bool]:
    """Return the type of the body that a handler takes, and whether it reads it itself.

    A handler that serves several calls takes the type of its example. Raises TypeError where the
    declaration has no example of the type, or one of another.
    """
    parameters = list(signature(handler).parameters)
    kinds = {type(one) for one in examples_of(declaration.body)}
    if len(parameters) < 3:
        return None, False
    hint = get_type_hints(handler)[parameters[2]]
    lazy = get_origin(hint) is Unread
    taken = get_args(hint)[0] if lazy else hint
    if not _is_definite(taken) and len(kinds) == 1:
        return kinds.pop(), lazy
    if kinds != {taken}:
        raise TypeError(f"{declaration.operation} takes {taken}, and its example is of {kinds}.")
    return taken, lazy


def _check_answer(handler: Callable[..., Any], shown: Shown) -> None:
    """Raise TypeError where a handler returns a Struct, and its example is of another type."""
    hint = get_type_hints(handler)["return"]
    made = get_args(hint)[0] if get_origin(hint) is Answered else hint
    kinds = {type(one) for one in examples_of(shown)}
    if _is_definite(made) and kinds != {made}:
        raise TypeError(f"{handler.__qualname__} returns {made}, and its example is of {kinds}.")


def _is_definite(hint: Any) -> bool:
    """Return whether a hint is one type of Struct, as of a handler that serves one call."""
    return isinstance(hint, type) and issubclass(hint, Struct) and hint is not Struct

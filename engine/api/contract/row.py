"""A row of the contract: what one route takes and gives, beyond what its path and handler say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from engine.codes import Kind


@dataclass(frozen=True, slots=True)
class Text:
    """A body of no Struct: its media type, an example of it, and its type in JSON's terms."""

    media_type: str
    example: Any
    type: str = "string"


Shown = Struct | Mapping[str, Struct] | list[Struct] | tuple[Text, ...] | None
"""What a body is, told by an example of it: a Struct of its type, or several, each with a name.

A list is a JSON array of them; a tuple is of bodies that are not JSON, by media type; None is no
body at all.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a route takes and gives.

    `operation` is its operationId, which never changes. `lines` is how its body may be sent
    line by line instead, and `texts` what it may be answered with instead of JSON. `answers`
    are by status. `verbs` are the kinds of postings that it asks for: their refusals are added
    from engine.codes. `problems` are the other codes that are particular to it: what its path,
    its body, its key or any request may run into is added by engine.api.openapi. `query` are
    types of the query string by name, with the description in their `Meta`. `key` says whether
    it takes the header Idempotency-Key: "required", "optional" or "". `summary` is for a
    handler whose docstring does not begin with one, `about` what else a client must know.
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


Rows = dict[tuple[str, str], Row]
"""Rows by (method, path), as in engine.api.routes."""

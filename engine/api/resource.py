"""Calls of what is administered: listed, added, read, changed and ended, each in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct

from engine.http.operation import Declares, operation

PAGE: dict[str, Any] = {
    "limit": Annotated[int, Meta(ge=1, le=1000, description="How many on one page.")],
    "cursor": Annotated[str, Meta(description="The `next_cursor` of the page before.")],
}
"""What every list takes that is read page by page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One sort of thing, `rules` being those that it follows; each method declares a call of it.

    `problems` are those of adding and of changing it.
    """

    noun: str
    rules: str
    example: Struct
    problems: tuple[str, ...] = ()

    @property
    def _one(self) -> str:
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"

    def listing(self, page: Struct, *, query: Mapping[str, Any] | None = None) -> Declares:
        """Declare the list; `query` is what it takes beside the page."""
        more = query or {}
        return operation(
            f"list{self.noun.title()}s",
            answer_example=page,
            query=PAGE | dict(more),
            problems=("brand_not_found",) if "brand_id" in more else (),
            summary=f"List {self.noun}s ({self.rules})",
        )

    def adding(self, body: Struct, *, problems: tuple[str, ...] = ()) -> Declares:
        """Declare what adds one; `problems` are those of adding alone."""
        return operation(
            f"add{self.noun.title()}",
            status=201,
            body_example=body,
            answer_example=self.example,
            problems=self.problems + problems,
            summary=f"Add {self._one} ({self.rules})",
        )

    def reading(self) -> Declares:
        """Declare what reads one."""
        return operation(
            f"read{self.noun.title()}",
            answer_example=self.example,
            summary=f"Read {self._one} ({self.rules})",
        )

    def changing(self, body: Struct) -> Declares:
        """Declare what changes one."""
        return operation(
            f"change{self.noun.title()}",
            body_example=body,
            answer_example=self.example,
            problems=("retired", *self.problems),
            summary=f"Change {self._one}: what is left out stays as it is ({self.rules})",
        )

    def ending(self, verb: str = "retire", *, problems: tuple[str, ...] = ()) -> Declares:
        """Declare what DELETE does to one."""
        return operation(
            f"{verb}{self.noun.title()}",
            answer_example=self.example,
            problems=problems,
            summary=f"{verb.capitalize()} {self._one}; it can be read all the same ({self.rules})",
        )

"""Rows of what is administered: listed, added, read, changed and retired, each in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from msgspec import Meta

from engine.api.contract.row import Row, Rows, Shown

PAGE: dict[str, Any] = {
    "limit": Annotated[int, Meta(ge=1, le=1000, description="How many on one page.")],
    "cursor": Annotated[str, Meta(description="The `next_cursor` of the page before.")],
}
"""What every list takes that is read page by page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One sort of thing under `path`; `id_name` is what the path calls its id.

    `one` and `page` are answers, `new` and `change` bodies. `problems` are those of adding and of
    changing it, `problems_added` of adding it alone, `query` what its list takes beside the page.
    `end` is what DELETE does to it.
    """

    path: str
    id_name: str
    noun: str
    rules: str
    one: Shown
    page: Shown
    new: Shown
    change: Shown
    problems: tuple[str, ...] = ()
    problems_added: tuple[str, ...] = ()
    query: Mapping[str, Any] = field(default_factory=dict)
    end: str = "retire"

    def rows(self) -> Rows:
        """Return the five rows."""
        name, several = self.noun.title(), f"{self.noun}s"
        single = f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"
        one = f"{self.path}/{{{self.id_name}}}"
        return {
            ("GET", self.path): Row(
                operation=f"list{name}s",
                answers={200: self.page},
                query=PAGE | dict(self.query),
                problems=("brand_not_found",) if "brand_id" in self.query else (),
                summary=f"List {several} ({self.rules})",
            ),
            ("POST", self.path): Row(
                operation=f"add{name}",
                body=self.new,
                answers={201: self.one},
                problems=self.problems + self.problems_added,
                summary=f"Add {single} ({self.rules})",
            ),
            ("GET", one): Row(
                operation=f"read{name}",
                answers={200: self.one},
                summary=f"Read {single} ({self.rules})",
            ),
            ("PATCH", one): Row(
                operation=f"change{name}",
                body=self.change,
                answers={200: self.one},
                problems=("retired", *self.problems),
                summary=f"Change {single}: what is left out stays as it is ({self.rules})",
            ),
            ("DELETE", one): Row(
                operation=f"{self.end}{name}",
                answers={200: self.one},
                summary=f"{self.end.capitalize()} {single}; it can be read all the same"
                f" ({self.rules})",
            ),
        }

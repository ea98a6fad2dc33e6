"""Mistakes in a body, as sentences: which field it is, and what it takes; never what was sent.

msgspec tells what it expected, in its own words, and where. The sentence is made of the shape at
that place, so that it names what is allowed instead of what a regular expression would match.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Struct, ValidationError, inspect

from engine.schemas.scalars import IN_WORDS
from engine.schemas.texts import bare_type, rule_in, without_null

PLACE = re.compile(r" - at `\$([\w.\[\]]*)`\Z", re.ASCII)
"""How msgspec ends a message about anything but the whole body."""
STEP = re.compile(r"\w+|\[\d+\]", re.ASCII)
FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
GOT = re.compile(r"Expected `[^`]*`, got `(\w+)`")
TEXT = re.compile(r"Text `([\w\[\]]+)` (.*)", re.DOTALL)
"""What a body says of a text that its rule does not take (engine.schemas.texts)."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
"""A field that is not known is repeated where it looks like one; else it may be personal."""
KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number with a fraction or an exponent",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
"""What JSON has, by msgspec's names for it."""


def sentence_of(error: ValidationError, shape: type[Struct]) -> str:
    """Return what is wrong with a body of this shape, as a sentence."""
    text = str(error)
    place = PLACE.search(text)
    message = text if place is None else text[: place.start()]
    path = "" if place is None else place[1].removeprefix(".")
    judged = TEXT.fullmatch(message)
    if judged is not None:
        return f"`{path}.{judged[1]}` {judged[2]}" if path else f"`{judged[1]}` {judged[2]}"
    type_ = _type_at(shape, path)
    if type_ is None:  # a field's name that was sent looks like the end of a message
        path, type_ = "", shape
    field = FIELD.fullmatch(message)
    if field is not None:
        return _of_a_field(field, path, type_)
    name = f"`{path}`" if path else "The body"
    got = GOT.fullmatch(message)
    if got is None or got[1] not in KINDS or get_origin(type_) is Literal:
        return f"{name} is {_taken_by(type_)}."
    return f"{name} is {_kind_of(type_)}, not {KINDS[got[1]]}."


def _of_a_field(field: re.Match[str], path: str, type_: Any) -> str:
    """Return the sentence about a field that is missing, or that there is none of."""
    if field[1] == "missing required":
        return f"`{path}.{field[2]}` is missing." if path else f"`{field[2]}` is missing."
    whose = f"`{path}`" if path else "the body"
    unknown = f"`{field[2]}` is" if NAME.fullmatch(field[2]) else "One of those sent is"
    known = ", ".join(f"`{name}`" for name in _fields_of(type_))
    return f"{unknown} no field of {whose}; it has {known or 'none'}."


@lru_cache(maxsize=1024)  # a path may hold what a client made up
def _type_at(shape: type[Struct], path: str) -> Any:
    """Return the type at a place of a shape, with what is said of it; None for no such place."""
    type_: Any = shape
    for name in STEP.findall(path):
        bare = bare_type(type_)
        if name.startswith("["):
            type_ = get_args(bare)[0] if get_origin(bare) is list else None
        else:
            type_ = without_null(_fields_of(bare).get(name))
    return bare_type(type_) if get_origin(bare_type(type_)) is Literal else type_


def _fields_of(type_: Any) -> dict[str, Any]:
    """Return the types of a Struct's fields by name, nothing for another type."""
    if isinstance(type_, type) and issubclass(type_, Struct):
        return get_type_hints(type_, include_extras=True)
    return {}


def _kind_of(type_: Any) -> str:
    """Return what a type is in JSON, in words."""
    bare = bare_type(type_)
    if get_origin(bare) is list:
        return KINDS["array"]
    return {int: KINDS["int"], str: KINDS["str"]}.get(bare) or _taken_by(type_)


def _taken_by(type_: Any) -> str:
    """Return what a type takes, in words."""
    if get_origin(type_) is Literal:
        words = ", ".join(map(str, get_args(type_)))
        return f"one of {words}" if "," in words else words
    rule = rule_in(type_)
    if rule is not None:
        return rule.words
    info = inspect.type_info(type_)
    told = info.type if isinstance(info, inspect.Metadata) else info
    match told:
        case inspect.IntType():
            return f"a whole number from {told.ge} to {told.le}"
        case inspect.StrType(pattern=pattern) if told.max_length is None:
            return IN_WORDS.get(str(pattern), KINDS["str"])
        case inspect.StrType(pattern=pattern):
            characters = f"{told.min_length or 0} to {told.max_length} characters"
            return f"text of {characters}{IN_WORDS.get(str(pattern), '')}"
        case inspect.ListType():
            return f"a list of {told.min_length} to {told.max_length} items"
        case inspect.DateTimeType():
            return "a time with its offset, like 2026-01-31T10:00:00Z"
        case inspect.DateType():
            return "a day, like 2026-01-31"
        case inspect.BoolType():
            return KINDS["bool"]
        case _:
            return "a JSON object"

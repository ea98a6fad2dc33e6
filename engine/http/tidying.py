"""Words of a fixed set, days and moments: tidied at their ends before they are judged, like texts.

msgspec takes these only as they are spelled: it refuses `" CC"`, `"1990-01-01\\r\\n"` and the blank
that a form sends for an empty field. A body that was refused is tidied here, to be decoded once
more. What is decoded at once pays nothing.

    {"type":" CC\\r\\n","country":""}   ─▶   {"type":"CC"}   where `country` is optional

A blank stays where the field is required: the decoder then says what belongs there. All else stays
byte for byte as it was sent, passwords too.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from msgspec import Raw, Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import fields

from engine.schemas.texts import bare_type, tidied, without_null

MEMBERS: Final = Decoder(dict[str, Raw])
ELEMENTS: Final = Decoder(list[Raw])
STRING: Final = Decoder(str)
ENCODER: Final = Encoder()
BLANK: Final = b'""'


def tidied_body(body: bytes, shape: type[Struct]) -> bytes | None:
    """Return a body of this shape with its ends tidied, None where nothing was to be tidied.

    Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError for what is no JSON object.
    """
    members = MEMBERS.decode(body)
    return ENCODER.encode(members) if _tidy_members(members, shape) else None


def has_format(type_: Any) -> bool:
    """Return whether a type is a text of a fixed set or format: a word, a day or a moment."""
    bare = bare_type(type_)
    return bare in (date, datetime) or get_origin(bare) is Literal


def _tidy_members(members: dict[str, Raw], shape: type[Struct]) -> bool:
    """Tidy what an object holds, in place; return whether anything changed."""
    changed = False
    for name, type_, required in _fields_of(shape):
        if name not in members:
            continue
        tidy = _tidied(members[name], type_)
        if tidy is None:
            continue
        if tidy != BLANK:
            members[name] = Raw(tidy)
        elif required:
            continue
        else:
            del members[name]
        changed = True
    return changed


def _tidied(raw: Raw, type_: Any) -> bytes | None:
    """Return a value with its ends tidied, None where nothing was to be tidied."""
    sent, bare = bytes(raw), bare_type(type_)
    if sent.startswith(b'"') and has_format(bare):
        text = STRING.decode(sent)
        kept = tidied(text)
        return ENCODER.encode(kept) if kept != text or not kept else None
    if sent.startswith(b"{") and isinstance(bare, type) and issubclass(bare, Struct):
        return tidied_body(sent, bare)
    if sent.startswith(b"[") and get_origin(bare) is list:
        return _tidied_list(sent, get_args(bare)[0])
    return None


def _tidied_list(sent: bytes, type_: Any) -> bytes | None:
    elements = ELEMENTS.decode(sent)
    tidy = [_tidied(one, type_) for one in elements]
    if not any(tidy):
        return None
    pairs = zip(elements, tidy, strict=True)
    return ENCODER.encode([one if kept is None else Raw(kept) for one, kept in pairs])


@cache
def _fields_of(shape: type[Struct]) -> list[tuple[str, Any, bool]]:
    """Return of each field its name, its type where it is not null, and whether it is required."""
    hints = get_type_hints(shape, include_extras=True)
    return [
        (field.encode_name, without_null(hints[field.name]), field.required)
        for field in fields(shape)
    ]

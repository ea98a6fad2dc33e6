"""Which fields of a full registration a customer still lacks, as a bit set and as names.

The bits are stored with customers and in the journal, so none is ever given another meaning.
"""

from __future__ import annotations

from enum import IntFlag
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date


class Field(IntFlag):
    """The fields of CUS-4 that a quick registration may leave out (CUS-3)."""

    PHONE = 1
    FIRST_NAMES = 2
    LAST_NAMES = 4
    GENDER = 8
    BIRTH_DATE = 16


FIELD_NAMES: Final = ("phone", "first_names", "last_names", "gender", "birth_date")
"""The fields as the API calls them, in the order of their bits."""


def missing_fields(
    *,
    phone: str | None,
    first_names: str | None,
    last_names: str | None,
    gender: str | None,
    birth_date: date | None,
) -> int:
    """The bits of the fields of CUS-4 that are empty; 0 says the profile is complete (CUS-6)."""
    return (
        (0 if phone else Field.PHONE.value)
        | (0 if first_names else Field.FIRST_NAMES.value)
        | (0 if last_names else Field.LAST_NAMES.value)
        | (0 if gender else Field.GENDER.value)
        | (0 if birth_date else Field.BIRTH_DATE.value)
    )


@cache
def names_of(missing: int) -> list[str]:
    """The names of the fields in `missing` (CUS-4), what *Completar perfil* asks for (CUS-6).

    The list is made once for each value and shared: read it, do not change it.
    """
    return [name for field, name in zip(Field, FIELD_NAMES, strict=True) if missing & field]

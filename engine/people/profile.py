"""Which fields of a full registration a customer still lacks, as a bit set and as names.

The bits are stored with customers and in the journal, so none is ever given another meaning.
"""

from __future__ import annotations

from datetime import date
from enum import IntFlag
from functools import cache
from typing import Final

BORN_SINCE: Final = date(1900, 1, 1)


class Field(IntFlag):
    """The fields of CUS-4 that a quick registration may leave out (CUS-3)."""

    PHONE = 1
    FIRST_NAMES = 2
    LAST_NAMES = 4
    GENDER = 8
    BIRTH_DATE = 16


FIELD_NAMES: Final = ("phone", "first_names", "last_names", "gender", "birth_date")
"""The fields as the API calls them, in the order of their bits."""

ALL_FIELDS: Final[int] = sum(Field)
"""The bits of a profile that lacks every one of them."""


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


def spell_name(field: str, name: str) -> str:
    """The one spelling of a name: its words with one space between them.

    Raises ValueError with a sentence that names the `field` where there is no word.
    """
    spelled = " ".join(name.split())
    if not spelled:
        raise ValueError(f"`{field}` is blank; leave it out instead.")
    return spelled


def check_birth_date(birth_date: date, today: date) -> None:
    """Raise ValueError with a sentence for a day on which no customer was born (CUS-4)."""
    if not BORN_SINCE <= birth_date < today:
        raise ValueError(f"`birth_date` must lie in the past, and not before {BORN_SINCE.year}.")

"""Segments: which customers a promotion is for (RED-2)."""

from __future__ import annotations

from datetime import date
from functools import cached_property

import msgspec
import structlog
from msgspec import Struct

from engine.people.customers import Profile
from engine.programme.cities import city_key

log = structlog.get_logger()


class Segment(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True, dict=True):
    """Customers by what is registered of them: each condition that is there must hold.

    Who has left a field empty meets no condition on it.
    """

    genders: tuple[str, ...] | None = None
    cities: tuple[str, ...] | None = None
    age_min: int | None = None
    age_max: int | None = None
    birthday_month: bool = False

    def matches(self, customer: Profile, today: date) -> bool:
        """Return whether the customer is one of them on the day that it is where the store is."""
        return (
            (self.genders is None or customer.gender in self.genders)
            and (self.cities is None or self._has_city(customer.city))
            and self._suits_birth(customer.birth_date, today)
        )

    def fault(self) -> str | None:
        """Return in a sentence why nobody could be one of them, else None."""
        if self.age_min is not None and self.age_max is not None and self.age_min > self.age_max:
            return "`age_max` of the segment must be at least its `age_min`."
        return None

    @cached_property
    def _city_keys(self) -> frozenset[str]:
        keys = map(city_key, () if self.cities is None else self.cities)
        return frozenset(key for key in keys if key is not None)

    def _has_city(self, city: str | None) -> bool:
        return city is not None and city_key(city) in self._city_keys

    def _suits_birth(self, birth_date: date | None, today: date) -> bool:
        if self.age_min is None and self.age_max is None and not self.birthday_month:
            return True
        if birth_date is None:
            return False
        age = age_on(today, birth_date)
        return (
            (self.age_min is None or age >= self.age_min)
            and (self.age_max is None or age <= self.age_max)
            and (not self.birthday_month or birth_date.month == today.month)
        )


NOBODY = Segment(genders=())
"""No customer is in it."""


def segment_of(text: str | None, item_id: int) -> Segment | None:
    """Return the segment that is stored with an item; None stands for everybody.

    One that cannot be read has nobody in it, for whom it is meant is not known.
    """
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Segment)
    except msgspec.DecodeError as error:
        log.error("segment_unsound", item_id=item_id, detail=str(error))
        return NOBODY


def age_on(day: date, birth_date: date) -> int:
    """Return the age in years; who was born on 29 February is a year older from 1 March."""
    had_birthday = (day.month, day.day) >= (birth_date.month, birth_date.day)
    return day.year - birth_date.year - (not had_birthday)

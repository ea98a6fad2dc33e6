"""A segment has just the customers of whom every condition holds (RED-2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from engine.people.customers import Profile
from engine.programme import segments
from engine.programme.segments import NOBODY, Segment, age_on, segment_of

TODAY = date(2026, 3, 15)
ANA = Profile(
    document_type="CC",
    document_number="1020304050",
    email="ana@example.com",
    gender="F",
    birth_date=date(1990, 3, 15),
    city="Bogotá",
)
STRANGER = replace(ANA, gender=None, birth_date=None, city=None)

days = st.dates(date(1900, 1, 1), date(2100, 12, 31))
cities = st.sampled_from(["Bogotá", "Cali", "Medellín", "Ciudad de Panamá"])
ages = st.none() | st.integers(0, 150)
customers = st.builds(
    replace,
    st.just(ANA),
    gender=st.sampled_from(["F", "M", "X", None]),
    birth_date=st.none() | days,
    city=st.none() | cities,
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "genders": st.lists(st.sampled_from("FMX"), min_size=1, max_size=3).map(tuple),
        "cities": st.lists(cities, min_size=1).map(tuple),
        "age_min": st.integers(0, 150),
        "age_max": st.integers(0, 150),
        "birthday_month": st.just(True),
    },
)


@given(conditions, customers, days)
def test_each_condition_that_is_there_must_hold(facts, customer, today):
    alone = [Segment(**{name: value}).matches(customer, today) for name, value in facts.items()]
    assert Segment(**facts).matches(customer, today) == all(alone)


@given(customers, days)
def test_without_a_condition_it_is_everybody(customer, today):
    assert Segment().matches(customer, today)
    assert not NOBODY.matches(customer, today)


@pytest.mark.parametrize(
    "segment",
    [
        Segment(genders=("F", "M", "X")),
        Segment(cities=("Bogotá",)),
        Segment(age_min=0),
        Segment(age_max=150),
        Segment(birthday_month=True),
    ],
)
def test_who_left_a_field_empty_meets_no_condition_on_it(segment):
    assert segment.matches(ANA, TODAY)
    assert not segment.matches(STRANGER, TODAY)


@given(days, days)
@example(date(2000, 2, 29), date(2001, 2, 28))
@example(date(2000, 2, 29), date(2001, 3, 1))
@example(date(2000, 2, 29), date(2004, 2, 29))
def test_an_age_counts_the_birthdays_that_were(birth_date, day):
    assume(day >= birth_date)
    birthdays = 0
    for year in range(birth_date.year + 1, day.year + 1):
        try:
            birthday = birth_date.replace(year=year)
        except ValueError:
            birthday = date(year, 3, 1)
        birthdays += birthday <= day
    assert age_on(day, birth_date) == birthdays


@given(days, days, ages, ages)
def test_ages_are_bounds_that_count_themselves(birth_date, today, age_min, age_max):
    customer = replace(ANA, birth_date=birth_date)
    inside = (age_min is None or age_min <= age_on(today, birth_date)) and (
        age_max is None or age_on(today, birth_date) <= age_max
    )
    assert Segment(age_min=age_min, age_max=age_max).matches(customer, today) == inside


@given(days)
def test_a_year_more_the_day_of_the_birthday_and_not_before(birth_date):
    assume((birth_date.month, birth_date.day) != (2, 29))
    eighteen = Segment(age_min=18)
    customer = replace(ANA, birth_date=birth_date)
    birthday = birth_date.replace(year=birth_date.year + 18)
    assert eighteen.matches(customer, birthday)
    assert not eighteen.matches(customer, birthday - timedelta(days=1))


def test_the_month_of_a_birthday_is_a_calendar_month():
    segment = Segment(birthday_month=True)
    assert segment.matches(ANA, date(2026, 3, 1))
    assert segment.matches(ANA, date(2026, 3, 31))
    assert not segment.matches(ANA, date(2026, 4, 1))
    assert not segment.matches(ANA, date(2026, 2, 28))


@pytest.mark.parametrize(
    ("meant", "typed"),
    [
        ("Bogotá", "bogota"),
        ("BOGOTÁ", "Bogotá"),
        ("Bogota\u0301", "Bogotá"),
        ("Ciudad de  Panama", " ciudad de panamá"),
        ("MEDELLÍN", "medellin"),
    ],
)
def test_a_city_is_the_same_however_it_is_typed(meant, typed):
    assert Segment(cities=("Cali", meant)).matches(replace(ANA, city=typed), TODAY)
    assert not Segment(cities=("Cali", meant)).matches(replace(ANA, city="Tunja"), TODAY)


def test_cities_are_compared_without_spelling_them_again(monkeypatch):
    segment = segment_of(msgspec.json.encode(Segment(cities=("Bogotá", "Cali"))).decode(), 1)
    spelled = []
    monkeypatch.setattr(segments, "city_key", lambda name: spelled.append(name) or name.casefold())
    for _ in range(3):
        assert segment.matches(replace(ANA, city="CALI"), TODAY)
    assert sorted(spelled) == ["Bogotá", "CALI", "CALI", "CALI", "Cali"]


@given(conditions)
def test_what_is_stored_is_read_back(facts):
    segment = Segment(**facts)
    assert segment_of(msgspec.json.encode(segment).decode(), 1) == segment


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"age": 3}', '{"age_min": "x"}', '{"genders": 1}']
)
def test_a_segment_that_cannot_be_read_has_nobody_in_it(text):
    assert segment_of(text, 1) is NOBODY
    assert segment_of(None, 1) is None


def test_ages_that_nobody_has_are_a_fault():
    assert Segment(age_min=30, age_max=20).fault() is not None
    assert Segment(age_min=20, age_max=20).fault() is None

"""What a sale earns: whole points and coins, rounded down, by the version in force (PTS-2)."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import floor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.programme.brands import Brand
from engine.programme.calendar import UTC_OFFSETS, add_months, iso_day, local_day
from engine.programme.earning import Programme, coins_expire
from engine.schemas.scalars import AMOUNT_MAX

EPOCH = date(1970, 1, 1)
AMOUNTS = st.integers(1, AMOUNT_MAX)
RATES = st.integers(0, AMOUNT_MAX)
MOMENTS = st.integers(1_500_000_000_000_000, 2_100_000_000_000_000)  # microseconds


def programme_of(**facts):
    """Return a programme; what a test does not name is of no matter to it."""
    return Programme(
        **{
            "brand_id": 1,
            "version": 1,
            "effective_from": 0.0,
            "points": 1,
            "points_amount": 100_000,
            "points_validity_days": 365,
            "coins": 1,
            "coins_amount": 10_000,
            "issuer": True,
            "receiver": True,
        }
        | facts
    )


def brand_of(starts):
    """Return a brand whose versions begin then; each gives as many points as its number."""
    versions = tuple(
        programme_of(effective_from=start, points=number) for number, start in enumerate(starts, 1)
    )
    return Brand(1, "Café", "CO", "COP", UTC_OFFSETS["CO"], versions, tuple(starts))


@given(AMOUNTS, RATES, AMOUNTS)
@example(99_999, 1, 100_000)
@example(100_000, 1, 100_000)
@example(AMOUNT_MAX, AMOUNT_MAX, 1)
def test_points_and_coins_are_the_fraction_rounded_down(amount, rate, for_each):
    programme = programme_of(points=rate, points_amount=for_each, coins=rate, coins_amount=for_each)
    exact = Fraction(amount * rate, for_each)
    for earned in (programme.points_for(amount), programme.coins_for(amount)):
        assert type(earned) is int
        assert earned == floor(exact)
        assert 0 <= exact - earned < 1


@given(AMOUNTS, AMOUNTS, RATES, AMOUNTS)
def test_a_larger_bill_never_earns_less(one, other, rate, for_each):
    programme = programme_of(points=rate, points_amount=for_each)
    small, large = sorted((one, other))
    assert programme.points_for(small) <= programme.points_for(large)


@given(AMOUNTS, AMOUNTS, RATES, AMOUNTS)
def test_splitting_a_bill_costs_one_point_at_most_and_never_gains(one, other, rate, for_each):
    programme = programme_of(points=rate, points_amount=for_each)
    apart = programme.points_for(one) + programme.points_for(other)
    assert programme.points_for(one + other) - apart in (0, 1)


@given(AMOUNTS, RATES, AMOUNTS)
def test_who_is_no_issuer_gives_no_coins(amount, rate, for_each):
    programme = programme_of(coins=rate, coins_amount=for_each, issuer=False)
    assert programme.coins_for(amount) == 0


@given(st.lists(MOMENTS, min_size=1, max_size=8, unique=True), MOMENTS)
def test_the_version_in_force_is_the_newest_that_has_begun(starts, moment):
    starts = sorted(starts)
    brand = brand_of([start / 1e6 for start in starts])
    begun = [number for number, start in enumerate(starts, 1) if start <= moment]
    found = brand.programme_at(moment / 1e6)
    assert (found and found.points) == (max(begun) if begun else None)


@given(st.lists(MOMENTS, min_size=1, max_size=8, unique=True), st.data())
def test_a_version_is_in_force_from_its_very_first_moment(starts, data):
    starts = sorted(starts)
    brand = brand_of([start / 1e6 for start in starts])
    number = data.draw(st.integers(1, len(starts)))
    begins = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=starts[number - 1])
    assert brand.programme_at(begins.timestamp()).points == number
    before = (begins - timedelta(microseconds=1)).timestamp()
    expected = bisect_right(starts, starts[number - 1] - 1)
    found = brand.programme_at(before)
    assert (found and found.points) == (expected or None)


def test_a_brand_without_versions_has_no_programme():
    assert brand_of([]).programme_at(2e9) is None


@given(st.integers(10_000, 40_000), st.integers(1, 36_500))
def test_points_last_as_many_days_as_the_brand_says(day, days):
    last = programme_of(points_validity_days=days).points_expire(day)
    assert EPOCH + timedelta(days=last) == EPOCH + timedelta(days=day) + timedelta(days=days)


@given(MOMENTS, st.sampled_from(sorted(UTC_OFFSETS)))
def test_the_day_of_a_sale_is_the_countrys(microseconds, country):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    local = moment.replace(tzinfo=None) + timedelta(seconds=UTC_OFFSETS[country])
    assert iso_day(local_day(microseconds / 1e6, UTC_OFFSETS[country])) == f"{local:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("country", "utc", "day"),
    [
        ("CO", "2026-03-01T04:59:59.999999+00:00", "2026-02-28"),
        ("CO", "2026-03-01T05:00:00+00:00", "2026-03-01"),
        ("PA", "2026-03-01T05:00:00+00:00", "2026-03-01"),
        ("SV", "2026-03-01T05:59:59.999999+00:00", "2026-02-28"),
        ("GT", "2026-03-01T06:00:00+00:00", "2026-03-01"),
    ],
)
def test_a_day_begins_at_midnight_of_the_country(country, utc, day):
    moment = datetime.fromisoformat(utc).timestamp()
    assert iso_day(local_day(moment, UTC_OFFSETS[country])) == day


@given(st.dates(date(2000, 1, 1), date(2120, 12, 31)))
@example(date(2024, 2, 29))
@example(date(2026, 2, 28))
@example(date(2098, 2, 28))
def test_coins_last_to_the_same_day_two_years_later(day):
    expires = EPOCH + timedelta(days=coins_expire((day - EPOCH).days))
    if (day.month, day.day) == (2, 29):
        assert expires == date(day.year + 2, 2, 28)
    else:
        assert expires == day.replace(year=day.year + 2)


@given(st.dates(date(1970, 1, 1), date(2200, 1, 1)), st.integers(0, 1_200))
def test_months_later_is_the_same_day_or_the_last_of_the_month(day, months):
    later = EPOCH + timedelta(days=add_months((day - EPOCH).days, months))
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    if later.day != day.day:
        assert later.day < day.day
        assert (later + timedelta(days=1)).day == 1

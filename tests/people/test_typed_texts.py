"""A typed text has every reading that it can have, and those of the store's country first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.co import nit as colombian_nit

from engine.people.contacts import normalise_phone
from engine.people.countries import ALPHA_2, COUNTRIES, MARKETS, alpha_2
from engine.people.documents import document_identity
from engine.people.texts import read_text

homes = st.sampled_from([None, *MARKETS])


@given(st.integers(1_000_000, 1_999_999_999).map(str), homes)
def test_a_number_is_read_as_each_document_that_it_can_be(number: str, home: str | None) -> None:
    reading = read_text(number, home)
    for code, country in (("CC", None), ("CE", None), ("PA", None), ("NIT", "CO"), ("TI", None)):
        try:
            key = document_identity(code, number, country)
        except ValueError:
            continue
        assert ("document", key) in reading.identities
    assert reading.passport == number


@given(st.integers(60_000_000, 79_999_999).map(str), st.sampled_from(MARKETS))
def test_a_national_phone_is_the_stores_first(number: str, home: str) -> None:
    phones = [value for kind, value in read_text(number, home).identities if kind == "phone"]
    assert len(set(phones)) == len(phones)
    try:
        own = normalise_phone(number, home)
    except ValueError:
        return
    assert phones[0] == own


@pytest.mark.parametrize(
    ("home", "first"), [("CO", "CC:216707719"), (None, "CC:216707719"), ("SV", "DUI:216707719")]
)
def test_documents_of_the_stores_country_come_first(home: str | None, first: str) -> None:
    assert read_text("216707719", home).identities[0] == ("document", first)


@given(st.integers(10_000_000, 99_999_999).map(str), homes)
def test_nine_digits_may_be_a_cedula_and_its_check_digit(cedula: str, home: str | None) -> None:
    typed = f"{cedula}{colombian_nit.calc_check_digit(cedula)}"
    for text in (typed, f"{int(typed):,}".replace(",", ".")):
        identities = read_text(text, home).identities
        assert ("document", f"CC:{cedula}") in identities
        assert ("document", document_identity("NIT", typed, "CO")) in identities


@pytest.mark.parametrize(
    ("text", "colombian", "panamanian"),
    [
        ("1-020-304050", "CC:1020304050", "CED:1-20-304050"),
        ("8-123-4567", "CC:81234567", "CED:8-123-4567"),
        ("1–020–304050", "CC:1020304050", "CED:1-20-304050"),
    ],
)
def test_hyphens_at_a_colombian_store_may_be_the_dots_of_a_cedula(
    text: str, colombian: str, panamanian: str
) -> None:
    identities = read_text(text, "CO").identities
    assert identities[0] == ("document", colombian)
    assert identities[-1] == ("document", panamanian)
    for home in ("PA", "SV", "GT", None):
        assert read_text(text, home).identities == [("document", panamanian)]


@given(st.text(max_size=60), homes)
def test_any_text_has_readings_or_is_no_address(text: str, home: str | None) -> None:
    try:
        reading = read_text(text, home)
    except ValueError:
        assert "@" in text
        return
    assert len(set(reading.identities)) == len(reading.identities)
    assert {kind for kind, _ in reading.identities} <= {"document", "phone", "email"}


def test_the_countries_are_codes_and_have_those_of_the_network() -> None:
    assert set(MARKETS) < COUNTRIES
    assert len(COUNTRIES) == 250
    assert {(len(code), code.isupper()) for code in COUNTRIES} == {(2, True)}


def test_each_country_has_a_code_of_two_letters_and_one_of_three() -> None:
    assert len(ALPHA_2) == len(COUNTRIES)
    assert {(len(code), code.isupper()) for code in ALPHA_2} == {(3, True)}
    for three, two in ALPHA_2.items():
        assert {alpha_2(code) for code in (two, three, two.lower(), three.title())} == {two}
    assert alpha_2("zzz") not in COUNTRIES

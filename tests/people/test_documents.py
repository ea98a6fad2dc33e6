"""One document, one spelling, one identity; and sentences that help the person who typed it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stdnum.co import nit as colombian_nit

from engine.people.documents import (
    DOCUMENT_TYPES,
    MUNICIPALITIES,
    NITS,
    DocumentType,
    cedula_and_check_digit,
    cui_check_digit,
    document_identity,
    dui_check_digit,
    is_placeholder,
    issuer_of,
    normalise,
    passport_of,
)
from engine.people.profile import FIELD_NAMES, Field, missing_fields, names_of


@pytest.mark.parametrize(
    ("document_type", "typed", "spelled"),
    [
        ("CC", "1.020.304.050", "1020304050"),
        ("CC", " 1 020 304 050\t", "1020304050"),
        ("CC", "１０２０３０４０５０", "1020304050"),
        ("CE", "412-345", "412345"),
        ("PA", "as 123456", "AS123456"),
        ("TI", "1020304050", "1020304050"),
        ("PPT", "5123456", "5123456"),
        ("DUI", "00016297-5", "000162975"),
        ("DPI", "1234 56789 0101", "1234567890101"),
        ("CED", "8-123-4567", "8-123-4567"),
        ("CED", "08–0123–04567", "8-123-4567"),
        ("CED", "pe-12-345", "PE-12-345"),
        ("CED", "8-AV-12-345", "8-AV-12-345"),
        ("RUC", "155612345-2-2015", "155612345-2-2015"),
        ("RUC", "155612345-2-2015 DV 59", "155612345-2-2015"),
        ("RUC", "8-819-4087-46", "8-819-4087"),
        ("RUC", "155612345-2-2015 D.V. 59", "155612345-2-2015"),
        ("RUC", "155612345-2-2015DV59", "155612345-2-2015"),
        ("RUC", "155612345-2-2015 d. v.: 59", "155612345-2-2015"),
        ("RUC", "8-NT-1-12345 DV 59", "8-NT-1-12345"),
        ("CED", "8/836/6133", "8-836-6133"),
        ("CED", "8_836_6133", "8-836-6133"),
        ("CED", "8-836-6133 DV 46", "8-836-6133"),
        ("CED", "8-836-6133-06", "8-836-6133"),
        ("CED", "E-8-121946 D.V. 12", "E-8-121946"),
        ("CC", "0020486994", "20486994"),
        ("CE", "0000412345", "412345"),
        ("TI", "01106806717", "1106806717"),
        ("TI", "04061512345", "04061512345"),
        ("TI", "99051512345", "99051512345"),
        ("RC", "01106806717", "1106806717"),
        ("RC", "v2a0258345", "V2A0258345"),
        ("PEP", "900123401011990", "900123401011990"),
        ("CUI", "1234 56789 0101", "1234567890101"),
        ("CED", "8AV-457-7673", "8-AV-457-7673"),
        ("CED", "08av 457 7673", "8-AV-457-7673"),
        ("CED", "1PI-457-7673", "1-PI-457-7673"),
        ("CED", "8 836 6133", "8-836-6133"),
        ("CED", "E8-121946", "E-8-121946"),
        ("CED", "8.836.6133", "8-836-6133"),
    ],
)
def test_a_number_has_one_spelling(document_type: str, typed: str, spelled: str) -> None:
    assert normalise(document_type, typed) == spelled
    assert normalise(document_type, spelled) == spelled


@pytest.mark.parametrize(
    ("document_type", "typed"),
    [
        ("CC", ""),
        ("CC", "12"),
        ("CC", "000012"),
        ("CC", "12345678901"),
        ("CC", "١٢٣٤٥٦"),
        ("CC", "1020304050\nCC"),
        ("CE", "E123456"),
        ("PA", "AB:123456"),
        ("DUI", "00016297"),
        ("DUI", "00000000-0"),
        ("DPI", "123456789010"),
        ("DPI", "1234567890118"),
        ("DPI", "1234567890100"),
        ("DPI", "1234567892301"),
        ("DPI", "1234567890001"),
        ("CED", "81234567"),
        ("CED", "14-123-4567"),
    ],
)
def test_a_wrong_number_is_told_what_is_expected(document_type: str, typed: str) -> None:
    with pytest.raises(ValueError, match=rf"^The number of a {document_type} \(.+ has .+\.$"):
        normalise(document_type, typed)


@pytest.mark.parametrize(
    ("country", "typed", "spelled"),
    [
        ("CO", "900.123.456", "900123456"),
        ("CO", "900.123.456–8", "900123456"),
        ("CO", "900 123 456 - 8", "900123456"),
        ("CO", "900-123-456-8", "900123456"),
        ("CO", "900-123-456", "900123456"),
        ("CO", "-900123456-", "900123456"),
        ("CO", "9001234568", "900123456"),
        ("CO", "1020304050", "1020304050"),
        ("CO", "1.020.304.050-8", "1020304050"),
        ("CO", "10203040508", "1020304050"),
        ("CO", "19.123.456", "19123456"),
        ("CO", "19.123.456-2", "19123456"),
        ("CO", "191234562", "19123456"),
        ("CO", "204869944", "20486994"),
        ("CO", "20486994-4", "20486994"),
        ("CO", "204869943", "204869943"),
        ("CO", "612345674", "612345674"),
        ("SV", "0614-050707-104-8", "06140507071048"),
        ("SV", "9615-050483-100-4", "96150504831004"),
        ("SV", "00016297-5", "000162975"),
        ("GT", "576937-k", "576937K"),
        ("GT", "00576937-K", "576937K"),
        ("GT", "7108-0", "71080"),
        ("GT", "3952550 3", "39525503"),
    ],
)
def test_a_nit_has_one_spelling_in_its_country(country: str, typed: str, spelled: str) -> None:
    assert normalise("NIT", typed, country) == spelled
    assert normalise("NIT", spelled, country) == spelled


@pytest.mark.parametrize(
    ("country", "typed"),
    [
        ("CO", "K"),
        ("CO", "1234"),
        ("CO", "0001234"),
        ("CO", "9001234568-1"),
        ("CO", "90012345681"),
        ("CO", "900123456-K"),
        ("CO", "06140507071048"),
        ("SV", "900123456-80"),
        ("SV", "0000000000"),
        ("SV", "000000000"),
        ("SV", "26140507071048"),
        ("GT", "K"),
        ("GT", "CF"),
        ("GT", "5769K37"),
        ("GT", "1234567892301"),
    ],
)
def test_a_wrong_nit_is_told_what_its_country_expects(country: str, typed: str) -> None:
    expected = re.escape(NITS[country].expected)
    with pytest.raises(ValueError, match=rf"^The number of a NIT \(.+\) has {expected}\.$"):
        normalise("NIT", typed, country)


@pytest.mark.parametrize(
    ("document_type", "country", "typed"),
    [
        ("DUI", "SV", "00016297-4"),
        ("DPI", "GT", "1234 56780 0101"),
        ("DPI", "GT", "1000 00020 0101"),
        ("NIT", "CO", "900123456-7"),
        ("NIT", "CO", "9001234567"),
        ("NIT", "CO", "10203040503"),
        ("NIT", "CO", "19123456-3"),
        ("NIT", "SV", "0614-050707-104-0"),
        ("NIT", "SV", "00016297-4"),
        ("NIT", "GT", "576937-1"),
        ("NIT", "GT", "39525503K"),
    ],
)
def test_a_wrong_check_digit_is_told(document_type: str, country: str, typed: str) -> None:
    told = f"^The check digit of this {document_type} is wrong; type it again\\.$"
    with pytest.raises(ValueError, match=told):
        document_identity(document_type, typed, country)


def test_a_number_whose_check_digit_would_be_ten_is_given_to_nobody() -> None:
    first = next(str(n) for n in range(10_000_000, 10_001_000) if cui_check_digit(str(n)) == 10)
    for digit in range(10):
        with pytest.raises(ValueError, match="check digit"):
            normalise("DPI", f"{first}{digit}0101")


def test_every_municipality_of_guatemala_has_its_documents() -> None:
    assert (len(MUNICIPALITIES), sum(MUNICIPALITIES)) == (22, 340)
    for department, count in enumerate(MUNICIPALITIES, start=1):
        number = f"123456789{department:02}"
        assert normalise("DPI", f"{number}{count:02}") == f"{number}{count:02}"
        with pytest.raises(ValueError, match="municipality"):
            normalise("DPI", f"{number}{count + 1:02}")


def test_the_sentence_does_not_repeat_the_number() -> None:
    with pytest.raises(ValueError, match="CC") as refused:
        normalise("CC", "98765x")
    assert "98765" not in str(refused.value)


def test_an_unknown_type_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=", ".join(DOCUMENT_TYPES)):
        normalise("XX", "1020304050")


def test_only_a_type_of_several_countries_has_its_country_in_the_identity() -> None:
    assert document_identity("CC", "1.020.304.050", "CO") == "CC:1020304050"
    assert document_identity("CC", "1020304050", None) == "CC:1020304050"
    assert document_identity("PA", "as123456", "GT") == "PA:GT:AS123456"
    assert document_identity("PA", "as123456", None) == "PA:AS123456"
    assert document_identity("NIT", "900.123.456", "CO") == "NIT:CO:900123456"
    assert document_identity("NIT", "7108-0", "GT") == "NIT:GT:71080"
    for country in ("PA", None):
        with pytest.raises(ValueError, match="CO, SV, GT"):
            document_identity("NIT", "900123456", country)
    with pytest.raises(ValueError, match="CO, SV, GT"):
        normalise("NIT", "900123456")


def test_a_salvadoran_nit_of_nine_digits_is_the_dui() -> None:
    dui = document_identity("DUI", "00016297-5", "SV")
    assert document_identity("NIT", "000162975", "SV") == dui == "DUI:000162975"
    assert document_identity("NIT", "0614-050707-104-8", "SV") == "NIT:SV:06140507071048"


def nit_of(number: str) -> str:
    return f"{number}-{colombian_nit.calc_check_digit(number)}"


nuips = st.integers(1_000_000_000, 1_999_999_999).map(str)
cedulas = st.integers(10_000, 99_999_999).map(str) | nuips
zeros = st.text("0", max_size=5)


@given(cedulas, zeros)
def test_a_colombian_is_one_by_every_document_with_their_number(number: str, padding: str) -> None:
    key = f"CC:{number}"
    dotted = f"{int(number):,}".replace(",", ".")
    for typed in (number, padding + number, dotted):
        assert document_identity("CC", typed, None) == key
        assert document_identity("NIT", typed, "CO") == key
    assert document_identity("NIT", padding + nit_of(number), "CO") == key
    if len(number) == 10:
        assert document_identity("TI", number, None) == key
        assert document_identity("RC", number, None) == key
        assert document_identity("NIT", nit_of(number).replace("-", ""), "CO") == key


@given(st.integers(800_000_000, 999_999_999).map(str))
def test_a_company_is_nobody_with_a_cedula(number: str) -> None:
    company = document_identity("NIT", nit_of(number), "CO")
    assert company == f"NIT:CO:{number}"
    assert company != document_identity("CC", number, None)


@given(st.dates(date(2000, 1, 1), date(2003, 12, 31)), st.integers(0, 99_999))
def test_an_old_ti_keeps_its_zero_and_is_nobody_elses_cedula(born: date, serial: int) -> None:
    number = f"{born:%y%m%d}{serial:05}"
    assert normalise("TI", number) == number
    key = document_identity("TI", number, None)
    assert key == document_identity("RC", f"{number[:6]}-{number[6:]}", None)
    bare = number.lstrip("0")
    if len(bare) == 10 and bare[0] != "1":
        # No cédula begins so: the zero was lost on the way.
        assert document_identity("CC", bare, None) == key
    elif len(bare) > 2:
        assert document_identity("CC", bare, None) != key


provinces = st.integers(1, 13).map(str) | st.sampled_from(["E", "N", "PE", "8AV", "1PI", "10-AV"])
groups = st.tuples(st.integers(1, 9999), st.integers(1, 999_999))


@given(
    provinces, groups, st.sampled_from(["-", " ", " - ", "–", ".", "/", "_"]), st.integers(0, 99)
)
def test_a_panamanian_is_one_by_cedula_and_ruc(
    province: str, group: tuple[int, int], mark: str, dv: int
) -> None:
    typed = mark.join((province, *map(str, group)))
    key = document_identity("CED", f"{province}-{group[0]}-{group[1]}", None)
    assert key.startswith("CED:")
    for other in (typed, typed.lower(), f"0{typed}" if province[0].isdigit() else typed):
        assert document_identity("CED", other, None) == key
        assert document_identity("RUC", other, None) == key
    for end in (
        f" DV {dv}",
        f"-{dv:02}",
        f"DV{dv}",
        f" dv-{dv:02}",
        f" D.V. {dv:02}",
        f" D. V.{dv}",
    ):
        assert document_identity("RUC", typed + end, None) == key
        assert document_identity("CED", typed + end, None) == key


def test_a_panamanian_company_is_nobody_with_a_cedula() -> None:
    assert document_identity("RUC", "155612345-2-2015", None) == "RUC:155612345-2-2015"
    assert document_identity("RUC", "8-NT-1-12345", None) == "RUC:8-NT-1-12345"


@given(st.integers(10_000_000, 39_999_999).map(str), st.integers(1, 22))
def test_a_guatemalan_is_one_by_dpi_cui_and_nit(first: str, department: int) -> None:
    check = cui_check_digit(first)
    if check == 10:
        return
    typed = f"{first} {check} {department:02}01"
    key = document_identity("DPI", typed, None)
    assert document_identity("CUI", typed, None) == key
    assert document_identity("NIT", typed, "GT") == key


def test_a_guatemalan_nit_of_a_wrong_cui_is_told() -> None:
    with pytest.raises(ValueError, match="check digit of this NIT"):
        document_identity("NIT", "1234 56780 0101", "GT")


def test_a_passport_is_of_the_country_that_issued_it() -> None:
    keys = {document_identity("PA", "253736112", country) for country in ("US", "VE", "CO", None)}
    assert len(keys) == 4
    assert passport_of("PA:US:253736112") == ("US", "253736112")
    assert passport_of("PA:253736112") == (None, "253736112")
    assert passport_of("CC:253736112") is None


@pytest.mark.parametrize(
    ("document_type", "given_country", "home", "issuer"),
    [
        ("PA", "US", "CO", "US"),
        ("PA", "us", "CO", "US"),
        ("PA", "USA", None, "US"),
        ("PA", "deu", None, "DE"),
        ("DUI", "slv", None, "SV"),
        ("NIT", "GTM", "CO", "GT"),
        ("PA", None, "CO", None),
        ("CC", None, "PA", "CO"),
        ("DUI", "SV", None, "SV"),
        ("NIT", None, "GT", "GT"),
        ("NIT", "SV", "CO", "SV"),
    ],
)
def test_a_document_has_its_issuer(
    document_type: str, given_country: str | None, home: str | None, issuer: str | None
) -> None:
    assert issuer_of(document_type, given_country, home) == issuer


@pytest.mark.parametrize(
    ("document_type", "given_country", "told"),
    [
        ("PA", "ZZ", "ISO 3166"),
        ("CC", "SV", "document of CO"),
        ("NIT", "PA", "CO, SV, GT"),
        ("NIT", None, "CO, SV, GT"),
    ],
)
def test_an_issuer_that_cannot_be_is_told(
    document_type: str, given_country: str | None, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        issuer_of(document_type, given_country, None)


PLACEHOLDERS = {
    number
    for length in (8, 9, 10)
    for number in (
        *(digit * length for digit in "123456789"),
        *(run[at : at + length] for run in ("1234567890", "9876543210") for at in range(3)),
    )
    if len(number) == length
}


@pytest.mark.parametrize("number", [*sorted(PLACEHOLDERS), "0987654321", "00012345678"])
def test_what_is_typed_for_no_document_is_known(number: str) -> None:
    for code in ("CC", "CE"):
        assert is_placeholder(document_identity(code, number, None))
    assert not is_placeholder(document_identity("PA", number, "US"))


@pytest.mark.parametrize(
    "number",
    ["123456", "654321", "1234567", "7654321", "222222", "1111111", "12345679", "1234567891"],
)
def test_a_cedula_that_people_have_is_no_placeholder(number: str) -> None:
    assert not is_placeholder(document_identity("CC", number, None))


@given(cedulas)
@example("1234567")
@example("2222222")
@example("1234567891")
def test_other_numbers_are_documents(number: str) -> None:
    assert is_placeholder(f"CC:{number}") == (number in PLACEHOLDERS)


def test_documents_of_two_people_are_never_the_same_identity() -> None:
    first = document_identity("CED", "8-12-3456", "PA")
    assert first != document_identity("CED", "8-123-456", "PA")


def every_row() -> Iterator[tuple[str, str | None, DocumentType]]:
    for code, kind in DOCUMENT_TYPES.items():
        if isinstance(kind, DocumentType):
            yield code, None, kind
        else:
            for country, row in kind.items():
                yield code, country, row


def test_every_example_in_a_sentence_is_right() -> None:
    for code, country, row in every_row():
        assert normalise(code, row.expected.rpartition("like ")[2], country)


@given(st.sampled_from(list(every_row())), st.text("0123456789KAVPIENT-. –", max_size=18))
def test_any_text_is_a_number_or_gets_one_of_two_sentences(
    row: tuple[str, str | None, DocumentType], typed: str
) -> None:
    code, country, kind = row
    told = ""
    try:
        spelled = normalise(code, typed, country)
    except ValueError as refused:
        told = str(refused)
    if told:
        assert told in (
            f"The number of a {code} ({kind.label}) has {kind.expected}.",
            f"The check digit of this {code} is wrong; type it again.",
        )
        return
    assert normalise(code, spelled, country) == spelled
    assert document_identity(code, spelled, country) == document_identity(code, typed, country)


colombian_numbers = st.integers(10_000, 999_999_999) | st.integers(1_000_000_000, 1_999_999_999)


def without_check_digit(number: str) -> str:
    """What a number of digits means as a NIT: nine that no company has may be a cédula's."""
    cedula = cedula_and_check_digit(number)
    return cedula if cedula is not None and number[0] in "12345" else number


@given(colombian_numbers.map(str), st.integers(0, 9).map(str))
@example("204869944", "0")
def test_a_colombian_nit_is_one_with_and_without_its_check_digit(number: str, typed: str) -> None:
    right = colombian_nit.calc_check_digit(number)
    spelled = without_check_digit(number)
    assert normalise("NIT", number, "CO") == spelled
    assert normalise("NIT", f"{int(number):,}-{right}".replace(",", "."), "CO") == spelled
    if typed != right:
        with pytest.raises(ValueError, match="check digit"):
            normalise("NIT", f"{number}-{typed}", "CO")


@given(st.integers(200_000_000, 999_999_999) | st.integers(1_000_000_000, 1_999_999_999))
def test_a_check_digit_that_the_length_tells_needs_no_hyphen(number: int) -> None:
    right = colombian_nit.calc_check_digit(str(number))
    assert normalise("NIT", f"{number}{right}", "CO") == without_check_digit(str(number))


@given(st.integers(10_000_000, 59_999_999) | st.integers(1_000_000_000, 1_999_999_999))
def test_a_cedula_and_its_check_digit_in_one_are_that_person(cedula: int) -> None:
    typed = f"{cedula}{colombian_nit.calc_check_digit(str(cedula))}"
    for number in (typed, f"{int(typed):,}".replace(",", "."), f"00{typed}"):
        assert document_identity("NIT", number, "CO") == f"CC:{cedula}"


@given(st.integers(60_000_000, 99_999_999).map(str))
def test_nine_digits_that_may_be_a_companys_stay_as_they_are(cedula: str) -> None:
    typed = f"{cedula}{colombian_nit.calc_check_digit(cedula)}"
    assert cedula_and_check_digit(typed) == cedula
    assert normalise("NIT", typed, "CO") == typed


@given(colombian_numbers.map(str), colombian_numbers.map(str))
@example("204869944", "20486994")
def test_two_colombian_numbers_are_two_identities(first: str, second: str) -> None:
    one, other = (document_identity("NIT", number, "CO") for number in (first, second))
    assert (one == other) == (without_check_digit(first) == without_check_digit(second))


@given(st.integers(1, 99_999_999), st.integers(0, 8), st.integers(1, 9))
def test_a_digit_mistyped_in_a_dui_is_found(number: int, place: int, by: int) -> None:
    dui = f"{number:08}{dui_check_digit(f'{number:08}')}"
    assert normalise("DUI", f"{dui[:8]}-{dui[8]}") == dui
    # A weight that has a divisor with 10 in common lets some mistakes pass: 8 by 5, 5 by 2, …
    weight = 9 - place if place < 8 else 1
    wrong = f"{dui[:place]}{(int(dui[place]) + by) % 10}{dui[place + 1 :]}"
    if weight * by % 10:
        with pytest.raises(ValueError, match="DUI"):
            normalise("DUI", wrong)


def test_missing_fields_and_their_names_go_together() -> None:
    assert missing_fields(
        phone=None, first_names="", last_names=None, gender=None, birth_date=None
    ) == sum(Field)
    assert [names_of(field) for field in Field] == [[name] for name in FIELD_NAMES]
    assert names_of(Field.PHONE | Field.BIRTH_DATE) == ["phone", "birth_date"]
    assert names_of(0) == []
    assert names_of(3) is names_of(3)

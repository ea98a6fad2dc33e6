"""One phone and one e-mail however they are typed; what cannot be one is refused in a sentence."""

from __future__ import annotations

from unicodedata import normalize

import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.people.contacts import (
    country_of_phone,
    mask_email,
    mask_tail,
    normalise_email,
    normalise_phone,
    read_phone,
)

NO_PHONE = "A phone is a number with its country, like +573001234567."
UNSEEN_IN_EMAIL = (
    "This e-mail address has characters that cannot be seen, as copied text often has: type it by"
    " hand."
)
NO_EMAIL = "An e-mail address looks like name@example.com."

MOBILES = {
    "CO": ("57", "300", 7),
    "SV": ("503", "7", 7),
    "GT": ("502", "5", 7),
    "PA": ("507", "6", 7),
}


@pytest.mark.parametrize(
    ("typed", "country", "e164"),
    [
        ("300 123 4567", "CO", "+573001234567"),
        ("(300) 123-45-67", "CO", "+573001234567"),
        ("03 300 1234567", "CO", "+573001234567"),
        ("573001234567", "CO", "+573001234567"),
        ("(601) 234 5678", "CO", "+576012345678"),
        ("7123-4567", "SV", "+50371234567"),
        ("503 7123-4567", "SV", "+50371234567"),
        ("2222 1234", "SV", "+50322221234"),
        ("5123 4567", "GT", "+50251234567"),
        ("502.5123.4567", "GT", "+50251234567"),
        ("6123‑4567", "PA", "+50761234567"),
        ("507 6123-4567", "PA", "+50761234567"),
        ("507-1234", "PA", "+5075071234"),
        ("+57 300 123 4567", "GT", "+573001234567"),
        (" (+57) 300 123 4567\t", None, "+573001234567"),
        ("＋５７３００１２３４５６７", None, "+573001234567"),
        ("\u202a+57\u00a0300\u00a0123\u00a04567\u202c", None, "+573001234567"),
        ("00573001234567", "CO", "+573001234567"),
        ("0057 300 123 4567", "CO", "+573001234567"),
        ("(00 57) 300 123 4567", None, "+573001234567"),
        ("00 503 7123 4567", "CO", "+50371234567"),
        ("00 91 98765 43210", "CO", "+919876543210"),
        ("+1 202 555 0123", "PA", "+12025550123"),
        ("57 300 123 4567", None, "+573001234567"),
        ("50378826076", None, "+50378826076"),
    ],
)
def test_a_phone_has_one_spelling(typed: str, country: str | None, e164: str) -> None:
    assert normalise_phone(typed, country) == e164
    assert normalise_phone(e164, None) == e164


@pytest.mark.parametrize(
    ("typed", "country"),
    [
        ("", "CO"),
        ("+", "CO"),
        ("+57", "CO"),
        ("123", "CO"),
        ("3001234567", None),
        ("78826076", None),
        ("12025550123", None),
        ("3001234567", "XX"),
        ("3001234567", "GT"),
        ("300123456", "CO"),
        ("30012345678", "CO"),
        ("+57 300 123 4567 ext. 5", "CO"),
        ("300 123 4567 x5", "CO"),
        ("300 123 4567 #5", "CO"),
        ("300 123 4567, 5", "CO"),
        ("300 123 4567;ext=5", "CO"),
        ("300 123 4567 / 310 123 4567", "CO"),
        ("300 123 4567 310 123 4567", "CO"),
        ("1-800-FLOWERS", "US"),
        ("300 CASA 567", "CO"),
        ("tel:+573001234567", "CO"),
        ("Ana 300 123 4567", "CO"),
        ("++573001234567", "CO"),
        ("+57+3001234567", "CO"),
        ("+00573001234567", "CO"),
        ("٣٠٠١٢٣٤٥٦٧", "CO"),
        ("300 123 4567\x00", "CO"),
        ("3001234567" + " " * 40 + "1", "CO"),
        ("3" * 10_000, "CO"),
        ("01 8000 912345", "CO"),
        ("+800 1234 5678", None),
        ("+1 900 555 0123", None),
    ],
)
def test_what_is_no_phone_of_a_person_is_refused(typed: str, country: str | None) -> None:
    with pytest.raises(ValueError, match="phone") as refused:
        normalise_phone(typed, country)
    assert str(refused.value) == NO_PHONE


@given(
    st.sampled_from(sorted(MOBILES)),
    st.data(),
    st.lists(st.sampled_from(["", " ", "-", ".", " - ", "–"]), min_size=11, max_size=11),
)
def test_spellings_of_a_mobile_are_one_phone(
    country: str, data: st.DataObject, marks: list[str]
) -> None:
    code, prefix, more = MOBILES[country]
    national = prefix + data.draw(st.text("0123456789", min_size=more, max_size=more))
    try:
        e164 = normalise_phone(f"+{code}{national}", None)
    except ValueError:
        return  # some numbers are in no operator's range
    assert e164 == f"+{code}{national}"
    marked = national[0] + "".join(
        mark + digit for mark, digit in zip(marks, national[1:], strict=False)
    )
    for typed in (marked, f"+{code} {marked}", f"00{code} {marked}", f"{code} {marked}"):
        assert normalise_phone(typed, country) == e164


@given(st.text() | st.text("+0123456789 ()-.x#"), st.sampled_from([None, "CO", "SV", "GT", "PA"]))
def test_any_text_is_a_phone_or_gets_the_one_sentence(typed: str, country: str | None) -> None:
    told = ""
    try:
        e164 = normalise_phone(typed, country)
    except ValueError as refused:
        told = str(refused)
    if told:
        assert told == NO_PHONE
        return
    assert e164[0] == "+"
    assert e164[1:].isdecimal()
    assert normalise_phone(e164, country) == e164


LONGEST_LABEL = "d" * 63


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("ana@example.com", "ana@example.com"),
        (" Ana.Maria+Leal@Example.COM\r\n", "ana.maria+leal@example.com"),
        ("o'neil_2@mail.example.co", "o'neil_2@mail.example.co"),
        ("a@b.co", "a@b.co"),
        ("a@1-2.example", "a@1-2.example"),
        ("ana@XN--PEA-8MA.example", "ana@xn--pea-8ma.example"),
        ("ana@example.xn--p1ai", "ana@example.xn--p1ai"),
        (f"{'n' * 64}@example.com", f"{'n' * 64}@example.com"),
        (f"a@{LONGEST_LABEL}.com", f"a@{LONGEST_LABEL}.com"),
    ],
)
def test_an_email_has_one_spelling(typed: str, spelled: str) -> None:
    assert normalise_email(typed) == spelled
    assert normalise_email(spelled) == spelled


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ana",
        "@example.com",
        "ana@",
        "ana@example",
        "ana@@example.com",
        "ana@maria@example.com",
        "ana maria@example.com",
        "ana@exam ple.com",
        ".ana@example.com",
        "ana.@example.com",
        "ana..maria@example.com",
        "ana@.example.com",
        "ana@example.com.",
        "ana@example..com",
        "ana@-example.com",
        "ana@example-.com",
        "ana@exam_ple.com",
        "ana@example.c",
        "ana@example.123",
        "ana@127.0.0.1",
        "ana@[127.0.0.1]",
        '"ana"@example.com',
        "Ana <ana@example.com>",
        "mailto:ana@example.com",
        "ana@example.com,eva@example.com",
        "ana\x00@example.com",
        "ana\n@example.com",
        "ana@\N{PERSONAL COMPUTER}.example",
        "ana@xn--a.ñ",
        f"{'n' * 65}@example.com",
        f"a@{LONGEST_LABEL}d.com",
        f"a@{'.'.join([LONGEST_LABEL] * 4)}.com",
        "a@" + "a" * 100_000,
    ],
)
def test_what_is_no_email_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="e-mail") as refused:
        normalise_email(typed)
    assert str(refused.value) == NO_EMAIL


@given(st.emails() | st.text() | st.text("aA.@-é "))
@example("K@example.com")  # the sign of the kelvin, whose small letter is k
def test_any_text_is_an_email_or_gets_the_one_sentence(typed: str) -> None:
    told = ""
    try:
        spelled = normalise_email(typed)
    except ValueError as refused:
        told = str(refused)
    if told:
        assert told in (NO_EMAIL, UNSEEN_IN_EMAIL) or told.startswith(
            "The part of an e-mail address before the @"
        )
        return
    assert spelled.isascii()
    assert spelled == spelled.lower()
    for again in (spelled, spelled.upper(), f" {spelled.title()}\n"):
        assert normalise_email(again) == spelled


@pytest.mark.parametrize("place", ["an{}a@example.com", "ana@exa{}mple.com", "peñ{}a@muñoz.com.co"])
@pytest.mark.parametrize(
    "unseen",
    ["\u200b", "\u200d", "\u00ad", "\u202e", "\u2060", "\ufeff", "\ufe0f", "\u3164", "\xa0"],
)
def test_an_invisible_character_inside_an_email_is_refused_as_one(place: str, unseen: str) -> None:
    with pytest.raises(ValueError, match="cannot be seen") as refused:
        normalise_email(place.format(unseen))
    assert str(refused.value) == UNSEEN_IN_EMAIL


def test_no_character_is_dropped_from_the_domain_of_an_email() -> None:
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE0200)):
        try:
            domain = idna.uts46_remap(f"a{chr(code)}b")
        except idna.IDNAError:
            continue
        if domain == "ab":
            with pytest.raises(ValueError, match="cannot be seen"):
                normalise_email(f"ana@a{chr(code)}b.com")


@pytest.mark.parametrize("typed", ["peña@example.com", "аna@example.com"])
def test_a_mailbox_with_other_letters_is_told_why_it_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="letters of English only: no accents and no ñ"):
        normalise_email(typed)


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("info@muñoz.com.co", "info@xn--muoz-hqa.com.co"),
        ("INFO@MUÑOZ.COM.CO", "info@xn--muoz-hqa.com.co"),
        ("info@mun\u0303oz.com.co", "info@xn--muoz-hqa.com.co"),
        ("info@XN--muoz-hqa.com.co", "info@xn--muoz-hqa.com.co"),
        ("ana@peña\u3002example", "ana@xn--pea-8ma.example"),
    ],
)
def test_an_international_domain_is_one_with_its_spelling_in_ascii(
    typed: str, spelled: str
) -> None:
    assert normalise_email(typed) == spelled
    assert normalise_email(spelled) == spelled


@given(st.text("abcdeñáéíóúü", min_size=1, max_size=20))
def test_every_spelling_of_an_international_domain_is_one_address(label: str) -> None:
    spelled = normalise_email(f"info@{label}.com.co")
    for form in ("NFC", "NFD", "NFKD"):
        typed = normalize(form, f"Info@{label}.com.co")
        assert normalise_email(typed) == normalise_email(typed.upper()) == spelled


def test_a_national_phone_is_read_as_the_first_country_that_it_can_be_of() -> None:
    assert read_phone("78826076", ("SV", "CO")) == "+50378826076"
    assert read_phone("3001234567", ("SV", "CO")) == "+573001234567"
    assert read_phone("61234567", ("SV", "PA")) == "+50361234567"
    assert read_phone("+57 300 123 4567", ()) == "+573001234567"
    assert read_phone("50378826076", ("CO",)) == "+50378826076"


def test_a_national_phone_of_no_known_country_is_told_that_a_country_is_missing() -> None:
    with pytest.raises(ValueError, match="which country this phone is of") as refused:
        read_phone("78826076", ())
    assert "78826076" not in str(refused.value)
    with pytest.raises(ValueError, match=r"^A phone is a number with its country"):
        read_phone("123", ("SV", "CO"))


@pytest.mark.parametrize(
    ("phone", "country"),
    [
        ("+50378826076", "SV"),
        ("00 507 6123 4567", "PA"),
        ("50251234567", "GT"),
        ("+12125550123", "US"),
    ],
)
def test_an_international_phone_has_a_country(phone: str, country: str) -> None:
    assert country_of_phone(phone) == country


@pytest.mark.parametrize("phone", ["78826076", "+57", "", "ana"])
def test_other_texts_are_of_no_country(phone: str) -> None:
    assert country_of_phone(phone) is None


def test_masks_show_little() -> None:
    assert mask_tail("+573001234567") == "*********4567"
    assert mask_tail("123456") == "****56"
    assert mask_tail("1") == "1"
    assert mask_email("ana@example.com") == "a***@example.com"

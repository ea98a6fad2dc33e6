"""Identity documents as data (CUS-5): the types, one spelling for each number, one key a person.

Two spellings of one document give one key, and so do two documents that carry the same number of
the same person (CUS-10). Documents of two people never share a key. Where a number has a check
digit, it must be right: it is there for those who type.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from unicodedata import normalize

from stdnum.co import nit as colombian_nit
from stdnum.gt import nit as guatemalan_nit
from stdnum.sv import nit as salvadoran_nit

from engine.people.countries import COUNTRIES, alpha_2
from engine.people.spellings import (
    HYPHENS,
    LEADING_ZEROS,
    before_check_digit,
    in_one,
    in_parts_without_dv,
    minors_number,
    without_zeros,
)

CUI_DIGITS: Final = 13
DUI_DIGITS: Final = 9

NINE_DIGITS: Final = re.compile("[1-9][0-9]{8}")
NO_COMPANY: Final = "12345"
"""What no NIT of a company begins with."""

PLACEHOLDER_DIGITS_MIN: Final = 8
COUNTED_UP: Final = "1234567890"
COUNTED_DOWN: Final = "9876543210"

# How many municipalities each department of Guatemala has, from 01 to 22; their codes have no gaps.
MUNICIPALITIES: Final = (
    *(17, 8, 16, 16, 14, 14, 19, 8, 24, 21, 9),
    *(30, 33, 21, 8, 17, 14, 5, 11, 11, 7, 17),
)
BORN_IN: Final = "|".join(
    f"{department:02}(?:{'|'.join(f'{code:02}' for code in range(1, count + 1))})"
    for department, count in enumerate(MUNICIPALITIES, start=1)
)


@dataclass(frozen=True, slots=True)
class DocumentType:
    """A type of document; `expected` ends the sentence that a person with a wrong number reads."""

    country: str | None  # who issues it; None: any country
    number: re.Pattern[str]  # once it is spelled
    label: str
    expected: str
    spell: Callable[[str], str]  # of what is NFKC, in capitals, with plain hyphens
    person: Callable[[str], str | None] = lambda _: None  # the key, where another type shares it
    checked: Callable[[str], str | None] | None = None  # what is kept; None: a wrong check digit


def _guatemalan_nit_or_cui(typed: str) -> str:
    """A NIT without zeros in front; thirteen digits that are a CUI stay as they are."""
    number = in_one(typed)
    return number if _is_cui(number) else LEADING_ZEROS.sub("", number)


def _is_cui(number: str) -> bool:
    return CUI_NUMBER.fullmatch(number) is not None and _checked_dpi(number) is not None


def _colombian(number: str) -> str:
    """The key of a Colombian by the NUIP, which TI, CC and RC carry, and the NIT of a person.

    An old TI may lose its zero in a spreadsheet. It is left out of the key where nobody else has
    the number without it; with the years 00 and 01 it would be somebody's cédula.
    """
    return f"CC:{number if number.startswith(('00', '01')) else number.lstrip('0')}"


def _colombian_taxpayer(number: str) -> str | None:
    """The key of a person by their NIT; None for a company: nine digits from 800 000 000 on."""
    return None if len(number) == 9 and number[0] in "89" else _colombian(number)


def _panamanian(number: str) -> str | None:
    """The key of a person by a RUC that is their cédula, None for a company's RUC."""
    return f"CED:{number}" if CED_NUMBER.fullmatch(number) else None


def _salvadoran(number: str) -> str | None:
    """The key of a person by a NIT of nine digits, which is the DUI by another name."""
    return f"DUI:{number}" if len(number) == DUI_DIGITS else None


def _guatemalan(number: str) -> str | None:
    """The key of a person by the CUI, which is the number of the DPI."""
    return f"DPI:{number}" if len(number) == CUI_DIGITS else None


def dui_check_digit(first: str) -> int:
    """The ninth digit of a Salvadoran DUI: the eight before it, weighted 9 … 2, modulo 10."""
    total = sum(weight * int(digit) for weight, digit in zip(range(9, 1, -1), first, strict=True))
    return -total % 10


def cui_check_digit(first: str) -> int:
    """The ninth digit of a Guatemalan CUI: the eight before it, weighted 2 … 9, modulo 11.

    It can be 10, which no digit is: such numbers are not given out.
    """
    return sum(weight * int(digit) for weight, digit in zip(range(2, 10), first, strict=True)) % 11


def _checked_dui(number: str) -> str | None:
    return number if dui_check_digit(number[:8]) == int(number[8]) else None


def _checked_dpi(number: str) -> str | None:
    return number if cui_check_digit(number[:8]) == int(number[8]) else None


def _checked_colombian_nit(typed: str) -> str | None:
    """The number without its check digit, which people type or leave out.

    Where no hyphen marks it, the length tells: numbers of ten digits are those of people and begin
    with 1, companies' have nine digits, and cédulas eight at most. So nine digits that no company
    has are a cédula of eight and its check digit, where that is right. Of the shorter numbers, and
    of those that may be a company's, all of it is the number: guessing by whether the last digit
    fits would make two documents one, once in eleven times.
    """
    number, _, check_digit = typed.partition("-")
    if len(number) > (10 if number[0] == "1" else 9):
        number, check_digit = number[:-1], number[-1]
    if check_digit and colombian_nit.calc_check_digit(number) != check_digit:
        return None
    cedula = cedula_and_check_digit(number)
    return cedula if cedula is not None and number[0] in NO_COMPANY else number


def cedula_and_check_digit(number: str) -> str | None:
    """Return the cédula of eight digits in nine, None where the ninth is not its check digit."""
    if NINE_DIGITS.fullmatch(number) is None:
        return None
    return number[:8] if colombian_nit.calc_check_digit(number[:8]) == number[8] else None


def _checked_salvadoran_nit(number: str) -> str | None:
    if len(number) == DUI_DIGITS:
        return _checked_dui(number)
    return number if salvadoran_nit.calc_check_digit(number) == number[-1] else None


def _checked_guatemalan_nit(number: str) -> str | None:
    if len(number) == CUI_DIGITS:
        return _checked_dpi(number)
    return number if guatemalan_nit.calc_check_digit(number[:-1]) == number[-1] else None


# A DUI of zeros only has a right check digit, and is what is typed where there is none.
DUI_NUMBER: Final = "(?!0{9})[0-9]{9}"
CUI_NUMBER: Final = re.compile(f"[0-9]{{9}}(?:{BORN_IN})")
CED_NUMBER: Final = re.compile("(?:(?:[1-9]|1[0-3])(?:-(?:AV|PI))?|PE|E|N)-[0-9]{1,4}-[0-9]{1,6}")
UP_TO_TEN: Final = re.compile("[1-9][0-9]{2,9}")
UP_TO_FIFTEEN: Final = re.compile("[1-9][0-9]{4,14}")

NITS: Final = {
    "CO": DocumentType(
        "CO",
        re.compile("(?:[1-9][0-9]{4,8}|1[0-9]{9})(?:-[0-9])?|[2-9][0-9]{9}|1[0-9]{10}"),
        "Número de Identificación Tributaria",
        "5 to 10 digits, and may end in a hyphen and its check digit, like 900123456-8",
        before_check_digit,
        _colombian_taxpayer,
        checked=_checked_colombian_nit,
    ),
    "SV": DocumentType(
        "SV",
        re.compile(f"[019][0-9]{{13}}|{DUI_NUMBER}"),
        "Número de Identificación Tributaria",
        "14 digits, or the 9 of a DUI, like 0614-050707-104-8",
        in_one,
        _salvadoran,
        checked=_checked_salvadoran_nit,
    ),
    "GT": DocumentType(
        "GT",
        re.compile(f"[1-9][0-9]{{0,10}}[0-9K]|{CUI_NUMBER.pattern}"),
        "Número de Identificación Tributaria",
        "2 to 12 digits, the last of which may be a K, or the 13 of a CUI, like 576937-K",
        _guatemalan_nit_or_cui,
        _guatemalan,
        checked=_checked_guatemalan_nit,
    ),
}
"""The document that each of several countries calls a NIT and numbers for itself."""

DOCUMENT_TYPES: Final[dict[str, DocumentType | dict[str, DocumentType]]] = {
    "CC": DocumentType(
        "CO",
        UP_TO_TEN,
        "Cédula de Ciudadanía",
        "3 to 10 digits, like 1020304050",
        without_zeros,
        _colombian,
    ),
    "CE": DocumentType(
        "CO",
        UP_TO_TEN,
        "Cédula de Extranjería",
        "3 to 10 digits, like 412345",
        without_zeros,
    ),
    "PA": DocumentType(
        None,
        re.compile("[A-Z0-9]{5,16}"),
        "Pasaporte",
        "5 to 16 letters A-Z and digits, like AS123456",
        in_one,
    ),
    "NIT": NITS,
    "TI": DocumentType(
        "CO",
        re.compile("0[0-9]{10}|[1-9][0-9]{9,10}"),
        "Tarjeta de Identidad",
        "10 or 11 digits, like 1020304050",
        minors_number,
        _colombian,
    ),
    "RC": DocumentType(
        "CO",
        re.compile("0[0-9]{10}|[1-9][0-9]{9,10}|[A-Z][A-Z0-9]{2}[0-9]{7}"),
        "Registro Civil",
        "the 10 or 11 characters of the NUIP, like 1020304050",
        minors_number,
        _colombian,
    ),
    "PPT": DocumentType(
        "CO",
        UP_TO_FIFTEEN,
        "Permiso por Protección Temporal",
        "5 to 15 digits, like 5123456",
        without_zeros,
    ),
    "PEP": DocumentType(
        "CO",
        UP_TO_FIFTEEN,
        "Permiso Especial de Permanencia",
        "5 to 15 digits, like 900123401011990",
        without_zeros,
    ),
    "DUI": DocumentType(
        "SV",
        re.compile(DUI_NUMBER),
        "Documento Único de Identidad",
        "9 digits, like 00016297-5",
        in_one,
        checked=_checked_dui,
    ),
    "DPI": DocumentType(
        "GT",
        CUI_NUMBER,
        "Documento Personal de Identificación",
        "13 digits, the last four of which are a municipality, like 1234 56789 0101",
        in_one,
        checked=_checked_dpi,
    ),
    "CUI": DocumentType(
        "GT",
        CUI_NUMBER,
        "Código Único de Identificación",
        "13 digits, the last four of which are a municipality, like 1234 56789 0101",
        in_one,
        _guatemalan,
        checked=_checked_dpi,
    ),
    "CED": DocumentType(
        "PA",
        CED_NUMBER,
        "Cédula de Identidad Personal",
        "a province or E, N or PE, then two groups of digits, with hyphens or blanks between them;"
        " AV or PI behind the province of an old or indigenous registration, and its DV at the end,"
        " may be there, like 8-123-4567",
        in_parts_without_dv,
    ),
    "RUC": DocumentType(
        "PA",
        re.compile("(?:[0-9]{1,9}(?:-(?:AV|PI|NT))?|PE|E|N)-[0-9]{1,4}-[0-9]{1,7}"),
        "Registro Único de Contribuyente",
        "three groups with hyphens or blanks between them, and may end in its DV,"
        " like 155612345-2-2015",
        in_parts_without_dv,
        _panamanian,
    ),
}
"""Every type by its code. Another country's document is another row."""


def normalise(document_type: str, number: str, country: str | None = None) -> str:
    """Return the one spelling of a number, as it is kept and shown (CUS-5).

    It is NFKC, in capitals, without dots, blanks and hyphens; a number in parts keeps one hyphen
    between them. Zeros in front are dropped where they mean nothing, and so is the check digit of a
    Colombian NIT, a CED or a RUC. `country` is read only where several countries have a type of
    that name.
    Raises ValueError with a sentence that says what is expected, and does not repeat the number.
    """
    kind = _of(document_type, country)
    spelled = kind.spell(HYPHENS.sub("-", normalize("NFKC", number).upper()))
    if kind.number.fullmatch(spelled) is None:
        raise ValueError(f"The number of a {document_type} ({kind.label}) has {kind.expected}.")
    if kind.checked is None:
        return spelled
    checked = kind.checked(spelled)
    if checked is None:
        raise ValueError(f"The check digit of this {document_type} is wrong; type it again.")
    return checked


def document_identity(document_type: str, number: str, country: str | None) -> str:
    """Return the key of the person who has a document: CC:1020304050 (CUS-2, CUS-5, CUS-10).

    Types that carry the same number of the same person have the same key:

    * CO: TI, CC, RC and the NIT of a person, with or without its check digit
    * PA: CED and the RUC of a person, each with or without its DV
    * SV: DUI and the NIT of nine digits
    * GT: DPI, CUI and the NIT of thirteen digits

    `country` is who issued it. It is part of the key of a NIT of a company, NIT:CO:900123456, and
    of a passport, PA:US:253736112; PA:253736112 is one of which the issuer is not known. Raises
    ValueError with a sentence that says what is expected.
    """
    spelled = normalise(document_type, number, country)
    person = _of(document_type, country).person(spelled)
    if person is not None:
        return person
    part = document_type == "PA" or isinstance(DOCUMENT_TYPES[document_type], dict)
    return ":".join(filter(None, (document_type, country if part else None, spelled)))


def issuer_of(document_type: str, given: str | None, home: str | None) -> str | None:
    """Return the country that issued a document, None where that is not known (CUS-10).

    `given` is the country that was sent with the document, in two or three letters; `home` is the
    one whose NIT is meant where none was sent. A passport without a country is of an unknown
    issuer: who shows one is seldom of the store's country. Raises ValueError where `given` cannot
    have issued it.
    """
    given = None if given is None else alpha_2(given)
    if document_type == "PA":
        if given is not None and given not in COUNTRIES:
            raise ValueError("The country of a PA is who issued it, in ISO 3166, like US or USA.")
        return given
    country = _of(document_type, given or home).country
    if given is not None and given != country:
        raise ValueError(f"A {document_type} is a document of {country}; leave its country out.")
    return country


def country_of_type(document_type: str) -> str | None:
    """Return the one country that has this type of document, None where there are several."""
    kind = DOCUMENT_TYPES.get(document_type)
    return kind.country if isinstance(kind, DocumentType) else None


def is_placeholder(identity: str) -> bool:
    """Return whether the number of a Colombian cédula is typed where there is no document.

    It has eight digits or more, which are all the same, or count up or down. Shorter ones are real
    cédulas. The few people who have a longer one are registered by who has seen the document: with
    it they would share the wallet of everybody who gave none.
    """
    document_type, _, number = identity.partition(":")
    if document_type not in ("CC", "CE") or len(number) < PLACEHOLDER_DIGITS_MIN:
        return False
    return len(set(number)) == 1 or number in COUNTED_UP or number in COUNTED_DOWN


def passport_of(identity: str) -> tuple[str | None, str] | None:
    """Return the issuer, None where it is not known, and the number of a passport's key.

    None for the key of any other document.
    """
    document_type, _, rest = identity.partition(":")
    if document_type != "PA":
        return None
    country, _, number = rest.rpartition(":")
    return country or None, number


def _of(document_type: str, country: str | None) -> DocumentType:
    """Return the row of a type, and of the country where each has its own."""
    if document_type not in DOCUMENT_TYPES:
        raise ValueError(f"The type of a document is one of {', '.join(DOCUMENT_TYPES)}.")
    kind = DOCUMENT_TYPES[document_type]
    if isinstance(kind, DocumentType):
        return kind
    if country not in kind:
        raise ValueError(f"The country of a {document_type} is one of {', '.join(kind)}.")
    return kind[country]

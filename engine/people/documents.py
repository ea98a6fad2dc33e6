"""Identity documents as data (CUS-5): which types there are, and one spelling for each number.

Two spellings of one document must give one identity, and two documents never the same one. Where a
number has a check digit, it must be right: it is there for those who type.
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

# Dots, white space, and everything that a keyboard or a word processor puts for a hyphen.
DOTS_AND_SPACES: Final = re.compile(r"[.\s]+")
HYPHENS: Final = re.compile(r"[-\u2010-\u2015\u2212]+")
HYPHENS_WITHIN: Final = re.compile(r"-(?!.\Z)")
LEADING_ZEROS: Final = re.compile(r"\b0+(?=[0-9])")

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
    number: re.Pattern[str]  # once it is spelled as the fields below say
    label: str
    expected: str
    in_parts: bool = False  # the hyphens tell the parts of the number apart, so they stay
    zeros_in_front: bool = True  # False: they mean nothing, so they go
    marks_check_digit: bool = False  # a hyphen tells whether the last digit is the check digit
    checked: Callable[[str], str | None] | None = None  # what is kept; None: a wrong check digit


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
    with 1, all others have nine digits at most. So the shorter numbers of people lose their check
    digit only after a hyphen; without one, all of it is the number: guessing by whether the last
    digit fits would make two documents one, once in eleven times.
    """
    number, _, check_digit = typed.partition("-")
    if len(number) > (10 if number[0] == "1" else 9):
        number, check_digit = number[:-1], number[-1]
    if check_digit and colombian_nit.calc_check_digit(number) != check_digit:
        return None
    return number


def _checked_salvadoran_nit(number: str) -> str | None:
    if len(number) == DUI_DIGITS:
        return _checked_dui(number)
    return number if salvadoran_nit.calc_check_digit(number) == number[-1] else None


def _checked_guatemalan_nit(number: str) -> str | None:
    return number if guatemalan_nit.calc_check_digit(number[:-1]) == number[-1] else None


# A DUI of zeros only has a right check digit, and is what is typed where there is none.
DUI_DIGITS: Final = 9
DUI_NUMBER: Final = "(?!0{9})[0-9]{9}"

NITS: Final = {
    "CO": DocumentType(
        "CO",
        re.compile("(?:[1-9][0-9]{4,8}|1[0-9]{9})(?:-[0-9])?|[2-9][0-9]{9}|1[0-9]{10}"),
        "Número de Identificación Tributaria",
        "5 to 10 digits, and may end in a hyphen and its check digit, like 900123456-8",
        marks_check_digit=True,
        checked=_checked_colombian_nit,
    ),
    "SV": DocumentType(
        "SV",
        re.compile(f"[019][0-9]{{13}}|{DUI_NUMBER}"),
        "Número de Identificación Tributaria",
        "14 digits, or the 9 of a DUI, like 0614-050707-104-8",
        checked=_checked_salvadoran_nit,
    ),
    "GT": DocumentType(
        "GT",
        re.compile("[1-9][0-9]{0,10}[0-9K]"),
        "Número de Identificación Tributaria",
        "2 to 12 digits, the last of which may be a K, like 576937-K",
        zeros_in_front=False,
        checked=_checked_guatemalan_nit,
    ),
}
"""The document that each of several countries calls a NIT and numbers for itself."""

DOCUMENT_TYPES: Final[dict[str, DocumentType | dict[str, DocumentType]]] = {
    "CC": DocumentType(
        "CO",
        re.compile("[1-9][0-9]{2,9}"),
        "Cédula de Ciudadanía",
        "3 to 10 digits and no zero in front, like 1020304050",
    ),
    "CE": DocumentType(
        "CO",
        re.compile("[1-9][0-9]{2,9}"),
        "Cédula de Extranjería",
        "3 to 10 digits and no zero in front, like 412345",
    ),
    "PA": DocumentType(
        None,
        re.compile("[A-Z0-9]{5,16}"),
        "Pasaporte",
        "5 to 16 letters A-Z and digits, like AS123456",
    ),
    "NIT": NITS,
    "TI": DocumentType(
        "CO",
        re.compile("[1-9][0-9]{9,10}"),
        "Tarjeta de Identidad",
        "10 or 11 digits, like 1020304050",
    ),
    "PPT": DocumentType(
        "CO",
        re.compile("[1-9][0-9]{4,14}"),
        "Permiso por Protección Temporal",
        "5 to 15 digits and no zero in front, like 5123456",
    ),
    "DUI": DocumentType(
        "SV",
        re.compile(DUI_NUMBER),
        "Documento Único de Identidad",
        "9 digits, like 00016297-5",
        checked=_checked_dui,
    ),
    "DPI": DocumentType(
        "GT",
        re.compile(f"[0-9]{{9}}(?:{BORN_IN})"),
        "Documento Personal de Identificación",
        "13 digits, the last four of which are a municipality, like 1234 56789 0101",
        checked=_checked_dpi,
    ),
    "CED": DocumentType(
        "PA",
        re.compile("(?:(?:[1-9]|1[0-3])(?:-(?:AV|PI))?|PE|E|N)-[0-9]{1,4}-[0-9]{1,6}"),
        "Cédula de Identidad Personal",
        "three parts with hyphens between them, like 8-123-4567",
        in_parts=True,
        zeros_in_front=False,
    ),
    "RUC": DocumentType(
        "PA",
        re.compile("(?:[0-9]{1,9}(?:-(?:AV|PI|NT))?|PE|E|N)-[0-9]{1,4}-[0-9]{1,7}"),
        "Registro Único de Contribuyente",
        "three parts with hyphens between them and no DV, like 155612345-2-2015",
        in_parts=True,
        zeros_in_front=False,
    ),
}
"""Every type by its code. Another country's document is another row."""


def normalise(document_type: str, number: str, country: str | None = None) -> str:
    """The one spelling of a number: NFKC, upper case, no dots, no spaces, no hyphens (CUS-5).

    A number in parts keeps its hyphens and loses the zeros in front of each part: without them
    8-12-3456 and 8-123-456 of two people would be the same. A Colombian NIT loses its check digit.
    `country` is asked for only where several countries number documents of that name. Raises
    ValueError with a sentence that says what is expected, and that does not repeat the number.
    """
    kind = _of(document_type, country)
    spelled = DOTS_AND_SPACES.sub("", normalize("NFKC", number)).upper()
    spelled = HYPHENS.sub("-", spelled)
    if kind.marks_check_digit:
        spelled = HYPHENS_WITHIN.sub("", spelled)
    elif not kind.in_parts:
        spelled = spelled.replace("-", "")
    if not kind.zeros_in_front:
        spelled = LEADING_ZEROS.sub("", spelled)
    if kind.number.fullmatch(spelled) is None:
        raise ValueError(f"The number of a {document_type} ({kind.label}) has {kind.expected}.")
    if kind.checked is None:
        return spelled
    checked = kind.checked(spelled)
    if checked is None:
        raise ValueError(f"The check digit of this {document_type} is wrong; type it again.")
    return checked


def document_identity(document_type: str, number: str, country: str | None) -> str:
    """The value of a document's identity: CC:1020304050, or NIT:CO:900123456 (CUS-2, CUS-5).

    The country belongs to it only where several countries number documents of that name, each for
    itself. A Salvadoran NIT of nine digits is a DUI by another name, so it has the DUI's identity.
    Raises ValueError with a sentence that says what is expected.
    """
    spelled = normalise(document_type, number, country)
    if not isinstance(DOCUMENT_TYPES[document_type], dict):
        return f"{document_type}:{spelled}"
    if (document_type, country) == ("NIT", "SV") and len(spelled) == DUI_DIGITS:
        return f"DUI:{spelled}"
    return f"{document_type}:{country}:{spelled}"


def _of(document_type: str, country: str | None) -> DocumentType:
    """The row of a type, and of the country where each has its own."""
    if document_type not in DOCUMENT_TYPES:
        raise ValueError(f"The type of a document is one of {', '.join(DOCUMENT_TYPES)}.")
    kind = DOCUMENT_TYPES[document_type]
    if isinstance(kind, DocumentType):
        return kind
    if country not in kind:
        raise ValueError(f"The country of a {document_type} is one of {', '.join(kind)}.")
    return kind[country]

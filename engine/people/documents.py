"""Identity documents as data (CUS-5): which types there are, and one spelling for each number.

Two spellings of one document must give one identity, and two documents never the same one. Whether
a number's check digit is right is not asked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from unicodedata import normalize

# Dots, white space, and everything that a keyboard or a word processor puts for a hyphen.
DOTS_AND_SPACES: Final = re.compile(r"[.\s]+")
HYPHENS: Final = re.compile(r"[-\u2010-\u2015\u2212]+")
LEADING_ZEROS: Final = re.compile(r"\b0+(?=[0-9])")


@dataclass(frozen=True, slots=True)
class DocumentType:
    """A type of document; `expected` ends the sentence that a person with a wrong number reads."""

    country: str | tuple[str, ...] | None  # who issues it; None: any country
    number: re.Pattern[str]  # normalised
    label: str
    expected: str
    in_parts: bool = False  # the hyphens tell the parts of the number apart, so they stay


DOCUMENT_TYPES: Final = {
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
    "NIT": DocumentType(
        ("CO", "SV", "GT"),
        re.compile("[0-9]{5,14}|[0-9]{4,13}K"),
        "NIT",
        "5 to 14 digits, the last of which may be a K, like 900123456",
    ),
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
        re.compile("[0-9]{9}"),
        "Documento Único de Identidad",
        "9 digits, like 00016297-5",
    ),
    "DPI": DocumentType(
        "GT",
        re.compile("[0-9]{13}"),
        "Documento Personal de Identificación",
        "13 digits, like 1234 56787 0101",
    ),
    "CED": DocumentType(
        "PA",
        re.compile("(?:(?:[1-9]|1[0-3])(?:-(?:AV|PI))?|PE|E|N)-[0-9]{1,4}-[0-9]{1,6}"),
        "Cédula de Identidad Personal",
        "three parts with hyphens between them, like 8-123-4567",
        in_parts=True,
    ),
    "RUC": DocumentType(
        "PA",
        re.compile("(?:[0-9]{1,9}(?:-(?:AV|PI|NT))?|PE|E|N)-[0-9]{1,4}-[0-9]{1,7}"),
        "Registro Único de Contribuyente",
        "three parts with hyphens between them and no DV, like 155612345-2-2015",
        in_parts=True,
    ),
}
"""Every type by its code. Another country's document is another row."""


def normalise(document_type: str, number: str) -> str:
    """The one spelling of a number: NFKC, upper case, no dots, no spaces, no hyphens.

    A number in parts keeps its hyphens and loses the zeros in front of each part: without them
    8-12-3456 and 8-123-456 of two people would be the same. Raises ValueError with a sentence that
    says what is expected, and that does not repeat the number.
    """
    kind = _of(document_type)
    spelled = DOTS_AND_SPACES.sub("", normalize("NFKC", number)).upper()
    spelled = HYPHENS.sub("-" if kind.in_parts else "", spelled)
    if kind.in_parts:
        spelled = LEADING_ZEROS.sub("", spelled)
    if kind.number.fullmatch(spelled) is None:
        raise ValueError(f"The number of a {document_type} ({kind.label}) has {kind.expected}.")
    return spelled


def document_identity(document_type: str, number: str, country: str | None) -> str:
    """The value of a document's identity: CC:1020304050, or NIT:CO:900123456.

    The country belongs to it only where several countries number documents of that name, each for
    itself. Raises ValueError with a sentence that says what is expected.
    """
    issuers = _of(document_type).country
    spelled = normalise(document_type, number)
    if not isinstance(issuers, tuple):
        return f"{document_type}:{spelled}"
    if country not in issuers:
        raise ValueError(f"The country of a {document_type} is one of {', '.join(issuers)}.")
    return f"{document_type}:{country}:{spelled}"


def _of(document_type: str) -> DocumentType:
    """The row of a type."""
    if document_type not in DOCUMENT_TYPES:
        raise ValueError(f"The type of a document is one of {', '.join(DOCUMENT_TYPES)}.")
    return DOCUMENT_TYPES[document_type]

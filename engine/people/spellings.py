"""How the numbers of documents are spelled: without what a keyboard or a scanner adds (CUS-5)."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

# Dots, white space, and everything that a keyboard or a word processor puts for a hyphen.
DOTS_AND_SPACES: Final = re.compile(r"[.\s]+")
HYPHENS: Final = re.compile(r"[-\u2010-\u2015\u2212]+")
HYPHENS_WITHIN: Final = re.compile(r"-(?!.\Z)")
LEADING_ZEROS: Final = re.compile(r"\b0+(?=[0-9])")

# Of a number in parts: what separates the parts, and letters that are written to a neighbour.
SEPARATORS: Final = re.compile(r"[-./_:\s]+")
MARKED_PROVINCE: Final = re.compile(r"\A([0-9]+)-?(AV|PI|NT)-?(?=[0-9])")
LETTERS_IN_FRONT: Final = re.compile(r"\A(PE|E|N)-?(?=[0-9])")
WITH_DV: Final = re.compile(
    r"((?:[0-9]+(?:-[A-Z]{2})?|[A-Z]{1,2})-[0-9]+-[0-9]+)(?:-?D-?V-?|-)[0-9]{1,2}"
)

OLD_TI_DIGITS: Final = 11


def in_one(typed: str) -> str:
    """Without dots, blanks and hyphens."""
    return DOTS_AND_SPACES.sub("", typed).replace("-", "")


def without_zeros(typed: str) -> str:
    """In one piece, without the zeros that a scanner or a till puts in front."""
    return LEADING_ZEROS.sub("", in_one(typed))


def before_check_digit(typed: str) -> str:
    """In one piece, with a hyphen only before the last digit: there it marks the check digit."""
    return LEADING_ZEROS.sub("", HYPHENS_WITHIN.sub("", DOTS_AND_SPACES.sub("", typed)))


def minors_number(typed: str) -> str:
    """The number of a TI or a registro civil, with the zero that is part of it.

    The old numbers have eleven digits and begin with the day of birth, YYMMDD: those of who was
    born from 2000 to 2009 begin with a zero. In any other number a zero in front is padding.
    """
    number = in_one(typed)
    return number if _is_old_ti(number) else LEADING_ZEROS.sub("", number)


def _is_old_ti(number: str) -> bool:
    if len(number) != OLD_TI_DIGITS or not (number.isascii() and number.isdigit()):
        return False
    try:
        # The year 2000 has a 29 February, and a 00 of 1900 is nobody's any more.
        date(2000 + int(number[:2]), int(number[2:4]), int(number[4:6]))
    except ValueError:
        return False
    return True


def _in_parts(typed: str) -> str:
    """In parts with one hyphen between them and no zeros in front of each.

    Without the hyphens 8-12-3456 and 8-123-456 of two people would be the same.
    """
    spelled = SEPARATORS.sub("-", typed).strip("-")
    spelled = MARKED_PROVINCE.sub(r"\1-\2-", spelled)
    spelled = LETTERS_IN_FRONT.sub(r"\1-", spelled)
    return LEADING_ZEROS.sub("", spelled)


def in_parts_without_dv(typed: str) -> str:
    """In parts, without the two digits that check it ("DV 46", "D.V. 46", or a fourth part)."""
    spelled = _in_parts(typed)
    with_dv = WITH_DV.fullmatch(spelled)
    return spelled if with_dv is None else with_dv[1]

"""Scalars of the contract: their limits, and what they mean."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta

from engine.constants import ID_MAX
from engine.schemas.texts import CONTROLS, IN_DOCUMENT, Needs, TextRule

AMOUNT_MAX = 10**12
"""Largest amount of one request, in minor units, points or coins."""
STOCK_UNITS_MAX = 100_000
"""Largest stock of one item: its units are numbered, and looked through when it is nearly gone."""

UUID_TEXT = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
PRINTABLE_ASCII = r"^[\x20-\x7e]+\Z"
PLAIN_WORDS = "without control characters"
PLAIN_ASCII = r"[!-~](?:[ -~]{0,98}[!-~])?"
"""What nearly every text is."""
NO_TAGS = f"[^<>{CONTROLS}]"


def _published(character: str) -> str:
    """Return the pattern of a text of such characters, as the document has it."""
    return rf"^[{IN_DOCUMENT}]*{character}*[{IN_DOCUMENT}]*\Z"


def _text(characters_max: int) -> TextRule:
    return TextRule(
        sound=re.compile(f"[^{CONTROLS}]{{1,{characters_max}}}"),
        quick=re.compile(PLAIN_ASCII),
        words=f"text of 1 to {characters_max} characters {PLAIN_WORDS}",
        published=_published(r"[^\x00-\x1f\x7f]"),
        characters_max=characters_max,
    )


def _shown(characters_max: int, needs: Needs) -> TextRule:
    """Return the rule of a text that people read, on a screen or a receipt."""
    return TextRule(
        sound=re.compile(f"{NO_TAGS}{{1,{characters_max}}}"),
        quick=re.compile(r"[A-Za-z]{2}(?:[A-Za-z ]{0,97}[A-Za-z])?"),
        words=f"text of 1 to {characters_max} characters {PLAIN_WORDS}, `<` and `>`",
        published=_published(r"[^\x00-\x1f\x7f<>]"),
        characters_max=characters_max,
        shown=True,
        needs=needs,
    )


def _ascii(characters_max: int) -> TextRule:
    return TextRule(
        sound=re.compile(f"[ -~]{{1,{characters_max}}}"),
        quick=re.compile(f"[!-~](?:[ -~]{{0,{characters_max - 2}}}[!-~])?"),
        words=f"text of 1 to {characters_max} characters of printable ASCII",
        published=_published(r"[\x20-\x7e]"),
        characters_max=characters_max,
    )


def _claimed(characters_max: int, name: str) -> TextRule:
    """Return the rule of what happens once under a name; what has a digit names something."""
    rule, inside_max = _ascii(characters_max), characters_max - 2
    usual = f"[!-~][ -~]{{0,{inside_max - 1}}}[0-9][!-~]?"
    any_digit = f"(?=[^0-9]*[0-9])[!-~](?:[ -~]{{0,{inside_max}}}[!-~])?"
    return replace(
        rule,
        quick=re.compile(f"{usual}|{any_digit}"),
        words=f"{rule.words}{name}",
        claimed=True,
    )


def _spelled(pattern: str, words: str, characters_max: int | None = None) -> TextRule:
    """Return the rule of a text that is spelled in one way; what it is made of is published."""
    return TextRule(
        sound=re.compile(pattern),
        words=words,
        published=rf"^[{IN_DOCUMENT}]*{pattern}[{IN_DOCUMENT}]*\Z",
        characters_max=characters_max,
    )


IN_WORDS = {PRINTABLE_ASCII: " of printable ASCII"}
"""What a pattern takes that is no TextRule's, for those who sent something else."""
NAMING = ", with letters or digits, and not N/A or the like"
"""What a claimed text is besides, where one is required."""

Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MAX, description="Minor units of the currency.")]
Coins = Annotated[int, Meta(ge=1, le=AMOUNT_MAX, description="Whole coins.")]
Points = Annotated[int, Meta(ge=1, le=AMOUNT_MAX, description="Whole points.")]
Price = Annotated[int, Meta(ge=0, le=AMOUNT_MAX, description="Whole points or coins.")]
Count = Annotated[int, Meta(ge=1, le=STOCK_UNITS_MAX)]
Stock = Annotated[
    int, Meta(ge=0, le=STOCK_UNITS_MAX, description="Units there have ever been, taken or not.")
]
Days = Annotated[int, Meta(ge=1, le=36_500)]
Age = Annotated[int, Meta(ge=0, le=150)]
Id = Annotated[int, Meta(ge=1, le=ID_MAX)]
Text = Annotated[str, _text(100).meta()]
Name = Annotated[str, _shown(100, "glyph").meta()]
PersonName = Annotated[str, _shown(100, "letter").meta()]
"""A name of a person: one of signs alone, or N/A, is none (CUS-6)."""
Reason = Annotated[
    str,
    _shown(200, "glyph").meta("Stays in the books for ever: name the case, not the person."),
]
UserName = Annotated[
    str,
    _spelled(
        r"[A-Za-z0-9][A-Za-z0-9._@-]{1,63}",
        "text of 2 to 64 characters: letters of English, digits, and after the first also `.`,"
        " `_`, `@` and `-`",
        64,
    ).meta("Upper and lower case are the same."),
]
Password = Annotated[str, Meta(min_length=8, max_length=128)]
TypedPassword = Annotated[str, Meta(max_length=128)]
"""A password that is tried: what a new one must be is nobody's business here."""
CustomerId = Annotated[
    str, _spelled(UUID_TEXT, "a UUID, like 0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c").meta("A UUID.")
]
Code = Annotated[str, _spelled(r"[0-9]{4,6}", "4 to 6 digits").meta()]
IdempotencyKey = Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE_ASCII)]
InvoiceNumber = Annotated[str, _claimed(128, "").meta()]
"""Where it is optional, N/A and the like are none."""
Till = Annotated[
    str, _ascii(40).meta("As the shop names it; case, blanks and separators do not count.")
]
Reference = Annotated[str, _claimed(64, NAMING).meta()]
DepositReference = Annotated[
    str, _claimed(64, NAMING).meta("What the brand paid the coins by. Each is deposited once.")
]
Currency = Literal["COP", "USD", "GTQ"]
SentCurrency = Literal["COP", "USD", "GTQ", "PAB"]
"""What a body may say: the balboa is the dollar at par, in Panama; answers say USD."""
Country = Literal["CO", "SV", "GT", "PA"]
IssuingCountry = Annotated[
    str,
    _spelled(r"[A-Z]{2}", "a country in ISO 3166 alpha-2, in capitals, like CO").meta(
        "Who issued the document, ISO 3166 alpha-2: any country for a passport."
    ),
]
SentIssuingCountry = Annotated[
    str,
    _spelled(r"[A-Za-z]{2,3}", "a country in ISO 3166, like CO or COL").meta(
        "Who issued the document, ISO 3166 alpha-2 or alpha-3 in any case: any country for a"
        " passport. Answers have alpha-2 in capitals."
    ),
]
Gender = Literal["F", "M", "X"]
Asset = Literal["points", "coins"]
Moment = Annotated[
    datetime, Meta(description="RFC 3339.", extra_json_schema={"format": "date-time"})
]
MomentText = Annotated[
    str, Meta(description="RFC 3339.", extra_json_schema={"format": "date-time"})
]
"""A moment of an answer, written with all its microseconds, which `Moment` leaves out if they are
0."""
Day = Annotated[date, Meta(description="A day in the calendar of the brand's country.")]
Balance = Annotated[
    int,
    Meta(
        ge=-(2**53),
        le=2**53,
        description="Below zero where a reversal took back what was spent already (PTS-8).",
    ),
]

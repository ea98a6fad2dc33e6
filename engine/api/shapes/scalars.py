"""Scalars of the contract: their limits, and what they mean."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta

AMOUNT_MAX = 10**12
"""Largest amount of one request, in minor units, points or coins."""
STOCK_UNITS_MAX = 100_000
"""Largest stock of one item: its units are numbered, and looked through when it is nearly gone."""

PLAIN = r"^[^\x00-\x1f\x7f]+\Z"
PLAIN_WITHOUT_TAGS = r"^[^\x00-\x1f\x7f<>]+\Z"
PRINTABLE_ASCII = r"^[\x20-\x7e]+\Z"
USER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._@-]+\Z"
UUID_TEXT = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z"
CODE = r"^[0-9]{4,6}\Z"
COUNTRY_CODE = r"^[A-Z]{2}\Z"
IN_WORDS = {
    PLAIN: " without control characters",
    PLAIN_WITHOUT_TAGS: " without control characters, `<` and `>`",
    PRINTABLE_ASCII: " of printable ASCII",
    USER_NAME: ": letters of English, digits, and after the first also `.`, `_`, `@` and `-`",
    UUID_TEXT: "a UUID, like 0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c",
    CODE: "4 to 6 digits",
    COUNTRY_CODE: "a country in ISO 3166 alpha-2, in capitals, like CO",
}
"""What a pattern takes, for those who sent something else; where a length is told, it follows."""

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
Id = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Text = Annotated[str, Meta(min_length=1, max_length=100, pattern=PLAIN)]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=PLAIN_WITHOUT_TAGS)]
Reason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=PLAIN_WITHOUT_TAGS,
        description="Stays in the books for ever: name the case, not the person.",
    ),
]
UserName = Annotated[
    str,
    Meta(
        min_length=2,
        max_length=64,
        pattern=USER_NAME,
        description="Upper and lower case are the same.",
    ),
]
Password = Annotated[str, Meta(min_length=8, max_length=128)]
TypedPassword = Annotated[str, Meta(max_length=128)]
"""A password that is tried: what a new one must be is nobody's business here."""
CustomerId = Annotated[str, Meta(pattern=UUID_TEXT, description="A UUID.")]
IdempotencyKey = Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE_ASCII)]
InvoiceNumber = Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE_ASCII)]
Currency = Literal["COP", "USD", "GTQ"]
SentCurrency = Literal["COP", "USD", "GTQ", "PAB"]
"""What a body may say: the balboa is the dollar at par, in Panama; answers say USD."""
Country = Literal["CO", "SV", "GT", "PA"]
IssuingCountry = Annotated[
    str,
    Meta(
        pattern=COUNTRY_CODE,
        description="Who issued the document, ISO 3166 alpha-2: any country for a passport.",
    ),
]
Gender = Literal["F", "M", "X"]
Asset = Literal["points", "coins"]
Moment = Annotated[
    datetime, Meta(description="RFC 3339.", extra_json_schema={"format": "date-time"})
]
Day = Annotated[date, Meta(description="A day in the calendar of the brand's country.")]
Balance = Annotated[
    int,
    Meta(
        ge=-(2**53),
        le=2**53,
        description="Below zero where a reversal took back what was spent already (PTS-8).",
    ),
]

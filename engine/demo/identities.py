"""Documents, phones and e-mails for invented people: plausible in their country, none given twice.

The check digits are right; the addresses are at reserved domains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from engine.demo.names import MAIL_DOMAINS
from engine.people.documents import cui_check_digit, document_identity, dui_check_digit

if TYPE_CHECKING:
    from datetime import date
    from random import Random

# Who was born before this year has a cédula of the old, shorter numbers.
LONG_CEDULAS_SINCE: Final = 1986
NATIONAL_DOCUMENTS: Final = {"CO": "CC", "SV": "DUI", "GT": "DPI", "PA": "CED"}

# The prefixes that Colombian operators have had for long; elsewhere any seven digits will do.
COLOMBIAN_MOBILES: Final = (*range(300, 306), *range(310, 324), 350, 351)
MOBILE_PREFIXES: Final = {"SV": "+5037", "GT": "+5025", "PA": "+5076"}


class Identities:
    """What `dice` give, and what they have given before: that, they give to nobody else."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._taken: set[str] = set()

    def document(self, country: str, birth_date: date) -> tuple[str, str]:
        """A type and a normalised number: mostly the national document, else a foreigner's."""
        share = self._dice.randrange(100)
        document_type = NATIONAL_DOCUMENTS[country]
        if share < 4:
            document_type = "PA"
        elif share < 8 and country == "CO":
            document_type = "CE"
        while True:
            number = self._number(document_type, birth_date)
            if number and self._take(document_identity(document_type, number, None)):
                return document_type, number

    def phone(self, country: str) -> str:
        """A mobile number in E.164."""
        while True:
            if country == "CO":
                prefix = f"+57{self._dice.choice(COLOMBIAN_MOBILES)}"
            else:
                prefix = MOBILE_PREFIXES[country]
            phone = prefix + self._digits(7)
            if self._take(phone):
                return phone

    def email(self, first_name: str, last_name: str) -> str:
        """An address in lower case, without accents; a namesake's has a number."""
        local = _plain(f"{first_name}.{last_name}")
        domain = self._dice.choice(MAIL_DOMAINS)
        email, namesakes = f"{local}@{domain}", 1
        while not self._take(email):
            namesakes += 1
            email = f"{local}{namesakes}@{domain}"
        return email

    def _number(self, document_type: str, birth_date: date) -> str | None:
        """A number of that type; None where it would be one that is not given out."""
        dice = self._dice
        if document_type == "CC" and birth_date.year >= LONG_CEDULAS_SINCE:
            return str(dice.randrange(1_000_000_000, 1_200_000_000))
        if document_type == "CC":
            return str(dice.randrange(400_000, 99_000_000))
        if document_type == "CE":
            return str(dice.randrange(100_000, 1_500_000))
        if document_type == "PA":
            return "".join(dice.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=2)) + self._digits(6)
        if document_type == "DUI":
            first = f"{dice.randrange(100_000, 7_000_000):08}"
            return f"{first}{dui_check_digit(first)}"
        if document_type == "DPI":
            first = str(dice.randrange(16_000_000, 40_000_000))
            check = cui_check_digit(first)
            # Each of the 22 departments has at least five municipalities.
            born_in = f"{dice.randint(1, 22):02}{dice.randint(1, 5):02}"
            return None if check == 10 else f"{first}{check}{born_in}"
        assert document_type == "CED"
        province = 8 if dice.random() < 0.6 else dice.randint(1, 10)
        return f"{province}-{dice.randint(100, 999)}-{dice.randint(100, 2499)}"

    def _digits(self, count: int) -> str:
        return f"{self._dice.randrange(10**count):0{count}}"

    def _take(self, identity: str) -> bool:
        """Whether nobody had it; now somebody has."""
        free = identity not in self._taken
        self._taken.add(identity)
        return free


def _plain(text: str) -> str:
    """Lower case and without accents."""
    return normalize("NFKD", text).encode("ascii", "ignore").decode().lower()

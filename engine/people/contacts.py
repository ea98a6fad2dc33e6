"""Phones and e-mails: one spelling for each, and a masked one for eyes that need no more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from unicodedata import normalize

import idna
import phonenumbers
from phonenumbers import PhoneNumberType

from engine.people.countries import MARKETS
from engine.people.unseen import INVISIBLE, VARIATIONS

# Telephones and messengers copy a number with marks of its writing direction around it.
MARKS: Final = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
# The library would read letters as the digits on their keys, and would drop an extension.
PHONE: Final = re.compile(r"\(?\+?[0-9().\s\u2010-\u2015\u2212-]{1,40}")
NO_DIGITS: Final = re.compile(r"[^0-9]+")

# Numbers of people. The others cannot get a code, or have their owner paid for each that is sent.
PERSONAL: Final = frozenset(
    {
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.VOIP,
    }
)

# ASCII only: a domain with other letters is kept in its spelling with xn--, which means it alone.
# The part before the @ has no such spelling, and most servers take no other letters there.
WORD: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
EMAIL: Final = re.compile(
    rf"(?=[^@]{{1,64}}@){WORD}(?:\.{WORD})*@(?:{LABEL}\.)+(?:[a-z]{{2,63}}|(?=xn--){LABEL})"
)
EMAIL_CHARACTERS_MAX: Final = 254
# What is not there for the eye. To drop it could make another's address of this one.
UNSEEN: Final = re.compile(f"[{INVISIBLE}{VARIATIONS}\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")


@lru_cache(maxsize=4096)
def normalise_phone(phone: str, country: str | None) -> str:
    """Return E.164 of a phone, read as one of `country` where it has neither + nor 00 (CUS-2).

    Without a country, digits that begin with the calling code of a country of the network are read
    as international: messengers show numbers so. Raises ValueError with a sentence that does not
    repeat the phone: for what is no number in use, for one with an extension or letters, and for
    one that is nobody's own, like a toll-free one.
    """
    spelled = MARKS.sub("", normalize("NFKC", phone)).strip()
    parsed = None
    if PHONE.fullmatch(spelled) is not None:
        dialled = NO_DIGITS.sub("", spelled)
        if "+" in spelled:
            dialled = f"+{dialled}"
        elif dialled.startswith("00"):
            # The library takes the third digit for a carrier's in Colombia, as in 005 and 009.
            dialled = f"+{dialled[2:]}"
        if country is None and not dialled.startswith("+"):
            parsed = _parsed(f"+{dialled}", None)
            if parsed is not None and phonenumbers.region_code_for_number(parsed) not in MARKETS:
                parsed = None
        else:
            parsed = _parsed(dialled, country)
    if parsed is None or phonenumbers.number_type(parsed) not in PERSONAL:
        raise ValueError("A phone is a number with its country, like +573001234567.")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def read_phone(phone: str, countries: Sequence[str]) -> str:
    """Return E.164 of a phone, read as one of the first of these countries where it can be one.

    Raises ValueError with a sentence that does not repeat the phone; without a country, it says
    that one is missing.
    """
    for country in countries:
        try:
            return normalise_phone(phone, country)
        except ValueError:
            continue
    try:
        return normalise_phone(phone, None)
    except ValueError:
        if countries:
            raise
        raise ValueError(
            "Nothing says which country this phone is of: write it with its country, like"
            " +573001234567, or send `country`."
        ) from None


def country_of_phone(phone: str) -> str | None:
    """Return the ISO 3166 country of an international phone, None for any other text."""
    try:
        parsed = phonenumbers.parse(normalise_phone(phone, None))
    except ValueError:
        return None
    return str(phonenumbers.region_code_for_number(parsed))


def normalise_email(email: str) -> str:
    """Return an e-mail address in lower case (CUS-2); raises ValueError with a sentence.

    Its domain has a dot. An international domain is kept in its spelling with xn--, so that both
    spellings are one address. The sentence does not repeat the address.
    """
    spelled = email.strip().lower()
    if UNSEEN.search(spelled) is not None:
        raise ValueError(
            "This e-mail address has characters that cannot be seen, as copied text often has: type"
            " it by hand."
        )
    name, at, domain = spelled.rpartition("@")
    if at and not name.isascii():
        raise ValueError(
            "The part of an e-mail address before the @ has letters of English only: no accents"
            " and no ñ. Type it as the mailbox is really called, often with n instead of ñ."
        )
    if not domain.isascii():
        spelled = f"{name}@{_ascii_domain(domain) or domain}"
    if len(spelled) > EMAIL_CHARACTERS_MAX or EMAIL.fullmatch(spelled) is None:
        raise ValueError("An e-mail address looks like name@example.com.")
    return spelled


def mask_tail(text: str) -> str:
    """Return a number with all but its last four characters hidden; short ones show two."""
    shown = 4 if len(text) > 6 else 2
    return "*" * max(len(text) - shown, 0) + text[-shown:]


def mask_email(email: str) -> str:
    """Return an address with all but the first letter of its name hidden."""
    name, _, domain = email.partition("@")
    return f"{name[:1]}***@{domain}"


def _ascii_domain(domain: str) -> str | None:
    """Return a domain with xn-- for its international labels, None where it cannot be one."""
    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError:  # idna.IDNAError is one
        return None


def _parsed(dialled: str, country: str | None) -> phonenumbers.PhoneNumber | None:
    """Return what the library reads in these digits, None where it is no number in use."""
    try:
        parsed = phonenumbers.parse(dialled, country)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_valid_number(parsed) else None

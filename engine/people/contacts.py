"""Phones and e-mails: one spelling for each, and a masked one for eyes that need no more."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

EMAIL = re.compile(r"[^@\s\x00-\x1f<>\"'(),:;\[\]\\]+@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z]{2,}")
EMAIL_CHARACTERS_MAX = 254


@lru_cache(maxsize=4096)
def normalise_phone(phone: str, country: str | None) -> str:
    """Return E.164 of a phone, read as one of `country` where it has no +.

    Raises ValueError with a sentence that does not repeat the phone.
    """
    try:
        parsed = phonenumbers.parse(phone, country)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_valid_number(parsed):
        raise ValueError("A phone is a number with its country, like +573001234567.")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def normalise_email(email: str) -> str:
    """Return an e-mail address in lower case; raises ValueError with a sentence."""
    spelled = email.strip().lower()
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

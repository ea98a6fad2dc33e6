"""Where a registration is from: its document says so, then its phone, then its store (CUS-3)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.people.contacts import country_of_phone
from engine.people.countries import MARKETS
from engine.people.documents import country_of_type, issuer_of


@dataclass(frozen=True, slots=True)
class Origin:
    """What was found out; countries are ISO 3166 alpha-2."""

    issuer: str | None
    """Who issued the document, None for a passport of which that is not known."""
    country: str | None
    """The country of the network that the customer is of, None where nothing says it."""
    dialled: tuple[str, ...]
    """The countries that a national phone number may be of, the likeliest first."""


def origin_of(
    document_type: str,
    issued_in: str | None,
    country: str | None,
    phone: str | None,
    home: str | None,
) -> Origin:
    """Return where a registration is from.

    `issued_in` and `country` are what was sent of the document and of the customer, `home` is the
    store's country, None for keys that have none: no country is assumed for these. Raises
    ValueError with a sentence where the document needs a country and nothing says which.
    """
    by_phone = None if phone is None else country_of_phone(phone)
    market_of_phone = by_phone if by_phone in MARKETS else None
    of_taxpayer = country or home or market_of_phone
    issuer = issuer_of(document_type, issued_in, of_taxpayer)
    told = country or (issuer if issuer in MARKETS else None)
    return Origin(issuer, told or market_of_phone or home, _distinct(told, home, issuer))


def dialled_in(document_type: str, issuer: str | None, *countries: str | None) -> tuple[str, ...]:
    """Return the countries that a national phone of a known customer may be of."""
    return _distinct(*countries, issuer or country_of_type(document_type))


def _distinct(*countries: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(country for country in countries if country is not None))

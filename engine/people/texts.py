"""What a text that a cashier types may be: a document, a phone or an e-mail (CUS-15)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from engine.people.contacts import normalise_email, normalise_phone
from engine.people.countries import MARKETS
from engine.people.documents import (
    DOCUMENT_TYPES,
    DocumentType,
    cedula_and_check_digit,
    document_identity,
    normalise,
)
from engine.people.spellings import HYPHENS


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text may be: normalised identities, the likeliest first, and a passport's number."""

    identities: list[tuple[str, str]]
    passport: str | None


def read_text(text: str, home: str | None) -> Reading:
    """Return what a text may be; nothing at all where it is neither number nor address.

    The documents of `home`, the store's country, come before those of the other countries, and so
    does a national phone that is read as one of `home`. Raises ValueError with a sentence for what
    has an @ and is no e-mail address.
    """
    if "@" in text:
        return Reading([("email", normalise_email(text))], None)
    if HYPHENS.search(text) is not None:
        # The parts of a Panamanian cédula are nobody's whole number, except where people put
        # hyphens for the dots of theirs.
        with suppress(ValueError):
            panamanian = document_identity("CED", text, None)
            own = _documents(text, home) if home == "CO" else ()
            keys = dict.fromkeys((*own, panamanian))
            return Reading([("document", key) for key in keys], None)
    countries = sorted(MARKETS, key=lambda country: country != home)
    found: dict[tuple[str, str], None] = {}
    for country in countries:
        found |= dict.fromkeys(("document", key) for key in _documents(text, country))
        with suppress(ValueError):
            found["phone", normalise_phone(text, country)] = None
    passport = None
    with suppress(ValueError):
        passport = normalise("PA", text)
        found["document", document_identity("PA", text, None)] = None
    return Reading(list(found), passport)


def _documents(text: str, country: str) -> Iterator[str]:
    """Yield the keys of the documents of a country that have this number."""
    for code, kind in DOCUMENT_TYPES.items():
        row = kind if isinstance(kind, DocumentType) else kind.get(country)
        if row is not None and row.country == country:
            with suppress(ValueError):
                yield document_identity(code, text, country)
    if country == "CO":
        # Of nine digits that may be a company's NIT, the first eight may be a person's, too.
        with suppress(ValueError):
            cedula = cedula_and_check_digit(normalise("CC", text))
            if cedula is not None:
                yield document_identity("CC", cedula, None)

"""Currencies as they are sent: the balboa of Panama is the dollar at par ("Money", DOMAIN)."""

from __future__ import annotations

from typing import Final

from engine.commands.problem import Problem
from engine.programme.brands import Brand

AT_PAR: Final = {"PAB": "USD"}
"""The one name of a currency that has two, ISO 4217."""
COUNTRY_OF_BALBOA: Final = "PA"


def one_name(currency: str) -> str:
    """Return the name by which a currency is kept, told and compared: USD for PAB."""
    return AT_PAR.get(currency, currency)


def check_currency(sent: str | None, brand: Brand) -> None:
    """Raise Problem `currency_mismatch` where a currency was sent that is not the brand's.

    PAB is taken in Panama alone: El Salvador has the dollar, and no balboas.
    """
    foreign = sent in AT_PAR and brand.country != COUNTRY_OF_BALBOA
    if sent is not None and (foreign or one_name(sent) != brand.currency):
        raise Problem("currency_mismatch", f"Sales of this store are in {brand.currency}.")

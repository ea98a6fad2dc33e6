"""Which passwords are refused: the ones that are guessed first (USR-8).

A password is weak where it is made of words that everybody knows of this user (their names, those
of the brand and its stores, of Leal and of the trade) and little else, and where zxcvbn expects it
to be found within GUESSES_MIN guesses: its lists of leaked passwords and names, keyboard rows,
dates, repetitions. Eight characters at random pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from unicodedata import combining, normalize

from zxcvbn import zxcvbn

GUESSES_MIN = 10**8
"""As many as zxcvbn counts for eight characters that follow no pattern."""
JUDGED_MAX = 72
"""zxcvbn takes much longer for a longer text; its beginning is judged."""
WORD_MIN = 3
OWN_LEFT_MIN = 6
"""Letters and digits that must be left of a password without the words that everybody knows."""

OF_THE_TRADE = """
    leal lealcoins coin coins punto puntos premio premios caja cajas cajero cajera cajeros tienda
    tiendas local marca sucursal almacen contrasena administrador usuario bienvenido bienvenida
    colombia mexico panama guatemala factura redimir acumular
"""
"""Words of Leal and of the trade, without accents, which are tried with a year behind them."""

WORDS = re.compile(r"[^\W_]+")
LOOKALIKES = str.maketrans("@4301$5!7", "aaeolssit")


class WeakPassword(Exception):
    """The password is one of those that are guessed first; its message says why."""

    spanish = ""


class CommonPassword(WeakPassword):
    """The password is guessed too soon: use a longer one, such as four unusual words."""

    spanish = "La contraseña es muy fácil de adivinar. Usa una más larga, como cuatro palabras."

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class PasswordOfOwnWords(WeakPassword):
    """The password is made of words of the user, the brand, its stores or Leal: use others."""

    spanish = "La contraseña usa palabras del usuario, la marca, la tienda o Leal. Usa otras."

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def refuse_weak(password: str, names: Iterable[str]) -> None:
    """Raise WeakPassword for a password that is among the first to be guessed.

    `names` are texts that strangers know or guess: the user's, the brand's, its stores'. May take
    some milliseconds: not for the event loop.
    """
    names = list(names)
    spellings = _spellings(password)
    if any(spelling == _letters(_folded(name)) for name in names for spelling in spellings):
        raise PasswordOfOwnWords
    words = {word for name in names for word in WORDS.findall(_folded(name))}
    own = [word for word in chain(words, OF_THE_TRADE.split()) if len(word) >= WORD_MIN]
    if any(_is_made_of(spelling, own) for spelling in spellings):
        raise PasswordOfOwnWords
    judged = zxcvbn(password[:JUDGED_MAX], user_inputs=[*names, *own])
    if judged["guesses"] < GUESSES_MIN:
        raise CommonPassword


def _spellings(password: str) -> set[str]:
    """Return a password's letters and digits as typed, and with letters for what looks like one."""
    folded = _folded(password)
    return {_letters(folded), _letters(folded.translate(LOOKALIKES))}


def _is_made_of(text: str, words: Iterable[str]) -> bool:
    """Return whether words take up a text but for a few of its letters and digits."""
    left = text
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, " ")
    return left != text and len(left.replace(" ", "")) < OWN_LEFT_MIN


def _letters(folded: str) -> str:
    return "".join(WORDS.findall(folded))


def _folded(text: str) -> str:
    """Return a text in small letters without accents."""
    plain = normalize("NFKD", text.casefold())
    return "".join(one for one in plain if not combining(one))

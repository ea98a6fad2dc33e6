"""Passwords that are guessed first are refused, and why (USR-8)."""

from __future__ import annotations

import secrets

import pytest

from engine.people.strength import CommonPassword, PasswordOfOwnWords, refuse_weak

NAMES = ("lperez", "Luisa Pérez", "Café Brumalta", "Brumalta Chapinero", "Bogotá", "7")


@pytest.mark.parametrize(
    "password",
    [
        *("12345678", "password", "aaaaaaaa", "qwertyuiop", "asdfghjkl", "1q2w3e4r", "Password1"),
        *("tequiero", "te quiero", "nacional1", "19901231", "abcabcabc", "x" * 128, "Ab1!" * 32),
    ],
)
def test_a_common_password_is_refused(password):
    with pytest.raises(CommonPassword, match="guessed"):
        refuse_weak(password, NAMES)


@pytest.mark.parametrize(
    "password",
    [
        *("cafebrumalta", "CaféBrumalta", "cafebrumalta7391", "brumalta-cafe-2026"),
        *("C@februma1t4", "brumaltachapinero", "bogota2026", "Leal2026", "leal-coins-2026"),
        *("LuisaPerez99", "lperez.lperez", "cajera2026", "contraseña1", "Colombia2026"),
    ],
)
def test_a_password_of_words_that_others_know_is_refused(password):
    with pytest.raises(PasswordOfOwnWords, match="the user, the brand, its stores or Leal"):
        refuse_weak(password, NAMES)


@pytest.mark.parametrize("user", ["ana.perez", "ANA.Perez", "x.y-z_w@k"])
def test_the_user_name_is_no_password(user):
    with pytest.raises(PasswordOfOwnWords):
        refuse_weak("Ana.Perez" if "." in user[2:] else "x.y-z_w@k", (user,))


@pytest.mark.parametrize(
    "password",
    [
        *("una clave larga", "tres-montes-azules", "cuatro-rios-verdes", "xkq7fmwp"),
        *("brumalta vende tinto y arepas", "correct horse battery", "ñandú con sombrero"),
    ],
)
def test_another_text_is_a_password(password):
    refuse_weak(password, NAMES)


def test_the_random_password_of_a_demo_network_is_one():
    for _ in range(200):
        refuse_weak(secrets.token_urlsafe(9), NAMES)


def test_a_name_is_no_word_by_itself_where_it_is_short():
    refuse_weak("la del sombrero verde", ("La", "D1", "Él"))


@pytest.mark.parametrize("weak", [CommonPassword(), PasswordOfOwnWords()])
def test_both_languages_say_it_in_a_sentence(weak):
    assert str(weak).endswith(".")
    assert weak.spanish.endswith(".")

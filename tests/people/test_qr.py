"""The rotating QR: what is shown is read back for a minute, and nothing else is read at all."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.people.qr import (
    DIGITS,
    LIFETIME_S,
    QR_CHARACTERS,
    SKEW_S,
    TIME_PERIOD_S,
    Shown,
    looks_like_qr,
    make_qr,
    read_qr,
)

SECRET = bytes(range(32))
CUSTOMER = bytes.fromhex("0f1e2d3c4b5a49788796a5b4c3d2e1f0")
NOW_S = 1_795_000_000

customers = st.binary(min_size=16, max_size=16)
moments = st.integers(0, 2**40)


@given(st.binary(max_size=200), customers, moments)
@example(b"", bytes(16), 0)
@example(b"", b"\xff" * 16, TIME_PERIOD_S - 1)
@example(b"", b"\xff" * 16, TIME_PERIOD_S)
def test_what_is_shown_is_read_back(secret: bytes, customer_id: bytes, now_s: int) -> None:
    text = make_qr(secret, customer_id, now_s)
    assert re.fullmatch("[A-Z0-9]{39}", text)
    assert read_qr(secret, text, now_s) == Shown(customer_id, now_s)


@given(customers, moments, st.integers(0, QR_CHARACTERS - 1), st.sampled_from(DIGITS))
def test_no_changed_character_is_read(
    customer_id: bytes, now_s: int, place: int, other: str
) -> None:
    text = make_qr(SECRET, customer_id, now_s)
    changed = text[:place] + other + text[place + 1 :]
    assert (read_qr(SECRET, changed, now_s) is None) == (changed != text)


def test_every_change_of_one_character_is_refused() -> None:
    text = make_qr(SECRET, CUSTOMER, NOW_S)
    for place, right in enumerate(text):
        for other in DIGITS.replace(right, ""):
            assert read_qr(SECRET, text[:place] + other + text[place + 1 :], NOW_S) is None


@given(customers, moments, st.integers(-200, 200))
def test_it_is_valid_for_its_lifetime_and_the_skew(
    customer_id: bytes, made_s: int, later_s: int
) -> None:
    shown = read_qr(SECRET, make_qr(SECRET, customer_id, made_s), made_s + later_s)
    if -SKEW_S <= later_s <= LIFETIME_S:
        assert shown == Shown(customer_id, made_s)
    else:
        assert shown is None


@pytest.mark.parametrize("made_s", [NOW_S, TIME_PERIOD_S - 1, TIME_PERIOD_S, 3])
def test_the_edges_of_its_time(made_s: int) -> None:
    text = make_qr(SECRET, CUSTOMER, made_s)
    for later_s in (-5, 0, 60):
        assert read_qr(SECRET, text, made_s + later_s) == Shown(CUSTOMER, made_s)
    for later_s in (-6, 61):
        assert read_qr(SECRET, text, made_s + later_s) is None


@pytest.mark.parametrize("rounds", [-2, -1, 1, 2, 100])
@pytest.mark.parametrize("later_s", [-SKEW_S, 0, 30, LIFETIME_S])
def test_it_is_not_valid_again_when_its_low_bits_come_round(rounds: int, later_s: int) -> None:
    text = make_qr(SECRET, CUSTOMER, NOW_S)
    assert read_qr(SECRET, text, NOW_S + later_s + rounds * TIME_PERIOD_S) is None


def test_another_secret_reads_nothing() -> None:
    text = make_qr(SECRET, CUSTOMER, NOW_S)
    for secret in (b"", SECRET[:-1], SECRET + b"\x00", SECRET[::-1]):
        assert read_qr(secret, text, NOW_S) is None


def test_white_space_around_it_and_small_letters_are_read() -> None:
    text = make_qr(SECRET, CUSTOMER, NOW_S)
    for typed in (text.lower(), text.swapcase(), f" {text}\r\n", f"\t{text.lower()} "):
        assert read_qr(SECRET, typed, NOW_S) == Shown(CUSTOMER, NOW_S)


def test_nothing_else_is_tolerated() -> None:
    text = make_qr(SECRET, CUSTOMER, NOW_S)
    for typed in (
        "",
        text[:-1],
        f"0{text}",
        f"{text}0",
        f"{text[:20]} {text[20:]}",
        f"{text[:20]}\n{text[20:]}",
        f"{text[:20]}_{text[21:]}",
        f"+{text[1:]}",
        f"-{text[1:]}",
        f"{text[:20]}{text[20]}\u0301{text[22:]}",
        "".join(chr(ord(character) + 0xFEE0) for character in text),
        "٣" * QR_CHARACTERS,
        "Z" * QR_CHARACTERS,  # more than 25 bytes hold
        "0" * QR_CHARACTERS,
        "1" * 1_000_000,
    ):
        assert read_qr(SECRET, typed, NOW_S) is None


@given(st.text() | st.text(DIGITS, min_size=QR_CHARACTERS, max_size=QR_CHARACTERS), moments)
def test_any_text_is_refused_quietly(typed: str, now_s: int) -> None:
    assert read_qr(SECRET, typed, now_s) is None


def test_a_customer_id_has_sixteen_bytes() -> None:
    for customer_id in (b"", CUSTOMER[:-1], CUSTOMER + b"\x00"):
        with pytest.raises(ValueError, match="16 bytes"):
            make_qr(SECRET, customer_id, NOW_S)


@pytest.mark.parametrize("ahead_s", [-SKEW_S, -1, 0, 1, SKEW_S])
def test_a_fresh_one_is_read_by_a_clock_that_is_ahead_or_behind(ahead_s: int) -> None:
    text = make_qr(SECRET, CUSTOMER, NOW_S)
    for shown_s in (0, 1, LIFETIME_S - SKEW_S):
        assert read_qr(SECRET, text, NOW_S + shown_s + ahead_s) == Shown(CUSTOMER, NOW_S)
    assert read_qr(SECRET, text, NOW_S + LIFETIME_S + 1 + max(ahead_s, 0)) is None


def test_only_a_qr_looks_like_one() -> None:
    assert looks_like_qr(f"{make_qr(SECRET, CUSTOMER, NOW_S).lower()}\n")
    assert looks_like_qr("X" * QR_CHARACTERS)
    for typed in ("1020304050", "ana@example.com", "+573001234567", "X" * 38, "X" * 40):
        assert not looks_like_qr(typed)


def test_the_same_second_has_the_same_qr() -> None:
    """Engines of one network, of whatever age, must go on reading one another's."""
    assert make_qr(SECRET, CUSTOMER, NOW_S) == "0ORZMZTJ1BNZG8WTV0ZHIWJARG5V6HYAWO9Y0XC"

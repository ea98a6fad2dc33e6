"""A code is of one posting of one payment, and its hash of all that it authorises (COI-6)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.people.codes import Authorised, code_digits, code_mac, code_of

SECRET = bytes(range(32))
PAYMENT = Authorised(payment_id=b"p" * 16, customer_id=b"c" * 16, store_id=7, coins=400)
OTHERS = (
    replace(PAYMENT, payment_id=b"q" * 16),
    replace(PAYMENT, customer_id=b"d" * 16),
    replace(PAYMENT, store_id=8),
    replace(PAYMENT, coins=401),
)


@pytest.mark.parametrize("other", OTHERS)
def test_a_hash_is_of_the_payment_its_customer_store_and_coins(other):
    assert code_mac(SECRET, PAYMENT, "1234") != code_mac(SECRET, other, "1234")
    codes = [
        [code_of(SECRET, one, bytes([n]) * 16, 6) for n in range(9)] for one in (PAYMENT, other)
    ]
    assert codes[0] != codes[1]


def test_a_hash_is_of_the_code_and_the_secret():
    mac = code_mac(SECRET, PAYMENT, "1234")
    assert len(mac) == 16
    assert mac == code_mac(SECRET, PAYMENT, "1234")
    for code in ("1235", "001234", "12340"):
        assert code_mac(SECRET, PAYMENT, code) != mac
    assert code_mac(SECRET[::-1], PAYMENT, "1234") != mac


def test_a_code_is_made_again_of_the_same_posting_and_no_other():
    first = code_of(SECRET, PAYMENT, b"t" * 16, 6)
    assert first == code_of(SECRET, PAYMENT, b"t" * 16, 6)
    others = {code_of(SECRET, PAYMENT, bytes([n]) * 16, 6) for n in range(50)}
    assert len(others) > 45
    assert code_of(SECRET[::-1], PAYMENT, b"t" * 16, 6) != first


@given(st.binary(min_size=16, max_size=16), st.sampled_from([4, 6]))
def test_a_code_has_its_digits(transaction_id, digits):
    assert re.fullmatch(rf"[0-9]{{{digits}}}", code_of(SECRET, PAYMENT, transaction_id, digits))


def test_no_digit_is_likelier_than_another():
    codes = [code_of(SECRET, PAYMENT, n.to_bytes(16, "big"), 4) for n in range(20_000)]
    for place in range(4):
        seen = Counter(code[place] for code in codes)
        assert len(seen) == 10
        assert max(abs(number - 2000) for number in seen.values()) < 250  # six deviations


@pytest.mark.parametrize(("coins", "digits"), [(1, 4), (999, 4), (1000, 6), (10**12, 6)])
def test_many_coins_ask_for_six_digits(coins, digits):
    assert code_digits(coins, 1000) == digits

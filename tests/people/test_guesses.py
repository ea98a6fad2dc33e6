"""Purses of misses: who guesses has to wait, and who finds somebody never does (CUS-2)."""

import pytest

from engine.people.guesses import HOUR_S, PRINCIPALS_MAX, Guesses, TooManyGuesses
from engine.people.keys import principal_of


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def guesses(clock):
    return Guesses({TILL.role: 10, CASHIER.role: 2}, clock)


TILL = principal_of("till", "store", 1, 1, "till")
OTHER = principal_of("other", "store", 1, 2, "other")
CASHIER = principal_of("session-1", "cashier", 1, 1, "session-1")
SAME_STORE = principal_of("session-2", "cashier", 1, 1, "session-2")
APP = principal_of("app", "app", None, None, "app")


def take(guesses, principal, times):
    for _ in range(times):
        guesses.take(principal)


def test_so_many_misses_are_let_through_and_no_more(guesses):
    take(guesses, TILL, 10)
    with pytest.raises(TooManyGuesses) as told:
        guesses.take(TILL)
    assert told.value.seconds == HOUR_S / 10
    guesses.take(OTHER)


def test_what_found_somebody_is_given_back(guesses):
    for _ in range(100):
        guesses.take(TILL)
        guesses.give_back(TILL)


def test_the_purse_fills_again_over_the_hour_and_not_above_what_it_holds(guesses, clock):
    take(guesses, TILL, 10)
    clock.now += HOUR_S / 10
    guesses.take(TILL)
    with pytest.raises(TooManyGuesses):
        guesses.take(TILL)
    clock.now += 5 * HOUR_S
    take(guesses, TILL, 10)
    with pytest.raises(TooManyGuesses):
        guesses.take(TILL)


def test_being_refused_makes_nobody_wait_longer(guesses, clock):
    take(guesses, TILL, 10)
    for _ in range(50):
        with pytest.raises(TooManyGuesses):
            guesses.take(TILL)
    clock.now += HOUR_S / 10
    guesses.take(TILL)


def test_an_upload_takes_all_its_people_at_once_and_pays_by_waiting(guesses, clock):
    guesses.take(TILL, 25)
    clock.now += HOUR_S
    with pytest.raises(TooManyGuesses):
        guesses.take(TILL)
    clock.now += HOUR_S
    guesses.take(TILL)


def test_the_cashiers_of_a_store_share_a_purse_for_each_can_sign_in_anew(guesses):
    take(guesses, CASHIER, 2)
    with pytest.raises(TooManyGuesses):
        guesses.take(SAME_STORE)


def test_the_back_end_of_the_app_is_not_counted(guesses):
    take(guesses, APP, 1000)
    guesses.give_back(APP)


def test_the_memory_of_purses_is_bounded(guesses):
    for number in range(PRINCIPALS_MAX + 10):
        guesses.take(principal_of(f"key-{number}", "store", 1, 1, ""))
    assert len(guesses._purses) == PRINCIPALS_MAX

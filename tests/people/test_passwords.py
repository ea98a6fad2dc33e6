"""Passwords: what is stored of them, what matches, and how few are hashed at once."""

from __future__ import annotations

import asyncio
import unicodedata
from threading import Event

import pytest
from argon2 import PasswordHasher

from engine.people import passwords
from engine.people.passwords import (
    Passwords,
    TooManySignIns,
    hash_password,
    is_outdated,
)
from engine.people.strength import WeakPassword

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def threads():
    """Give one thread, and one place to wait for it."""
    made = Passwords(1, 1)
    yield made
    made.close()


@pytest.fixture
def cheap(monkeypatch):
    """Hash by parameters that take no time."""
    monkeypatch.setattr(passwords, "HASHER", CHEAP)


def test_what_is_stored_is_argon2id_with_its_parameters():
    stored = hash_password("correct horse")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert "correct" not in stored
    assert hash_password("correct horse") != stored, "each has a salt of its own"
    assert not is_outdated(stored)


def test_older_parameters_are_outdated():
    assert is_outdated(CHEAP.hash("correct horse"))


@pytest.mark.parametrize(
    ("typed", "matches"),
    [
        ("contraseña", True),
        (unicodedata.normalize("NFD", "contraseña"), True),
        ("contrasena", False),
        ("Contraseña", False),
        ("contraseña ", False),
        ("contraseña\0", False),
        ("", False),
    ],
)
async def test_the_same_text_matches_and_no_other(cheap, threads, typed, matches):
    assert await threads.matches(typed, hash_password("contraseña")) is matches


@pytest.mark.parametrize("stored", [None, "", "garbage", "$argon2id$v=19$m=8,t=1,p=1$x$y"])
async def test_where_nothing_sound_is_stored_nothing_matches(cheap, threads, stored):
    assert await threads.matches("contraseña", stored) is False


async def test_a_new_password_is_judged_before_it_is_hashed(cheap, threads):
    stored = await threads.hash_new("una clave larga", ("ana.perez",))
    assert await threads.matches("una clave larga", stored)
    with pytest.raises(WeakPassword):
        await threads.hash_new("Ana.Perez.1", ("ana.perez",))


def test_places_are_counted_and_given_back(threads):
    with threads.place():
        with threads.place(), pytest.raises(TooManySignIns), threads.place():
            pass
        with threads.place():
            pass
    with pytest.raises(ZeroDivisionError), threads.place():
        raise ZeroDivisionError
    with threads.place(), threads.place():
        pass


async def test_the_event_loop_turns_while_a_password_is_hashed(monkeypatch, threads):
    turned = Event()

    class Slow:
        """Hashes as long as the event loop takes to turn."""

        def hash(self, _password):
            assert turned.wait(30)
            return "hashed"

    monkeypatch.setattr(passwords, "HASHER", Slow())
    hashing = asyncio.create_task(threads.hash("correct horse"))
    await asyncio.sleep(0)
    assert not hashing.done()
    turned.set()
    assert await hashing == "hashed"

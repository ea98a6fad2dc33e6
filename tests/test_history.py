"""The history checker finds what it is for: a checker that cannot fail proves nothing."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from history import order_faults, replay
from ledger.verbs import ANA, CAFE, COLOMBIA, NOW, SECOND, SOON, ask, earn, hold, redeem, void

from engine.codes import COINS, Kind
from tests.copy_format import chained, decode
from tests.reference import ReferenceLedger


@pytest.fixture
def rows():
    """Return the rows of a small history: refused, earned, held, given back, spent."""
    ledger = ReferenceLedger(COLOMBIA)
    ledger.load_customer(ANA, 0)
    found = []
    asked = [hold(2), earn(10, coins=5), (held := hold(2)), void(held), redeem(3), redeem(30)]
    for number, operation in enumerate(asked):
        batch = ledger.decide([operation], NOW + number * SECOND)
        ledger.publish(batch)
        found += decode(batch.journal)
    return sorted(found, key=lambda row: (row.asset, row.seq))


def test_a_sound_history_has_no_fault(rows):
    assert replay(rows, {CAFE: COLOMBIA}) == []


@pytest.mark.parametrize("place", range(8))
def test_a_row_that_the_rules_do_not_make_is_found_although_its_hash_is_right(rows, place):
    row = rows[place]
    before = next((r.hash for r in rows if (r.asset, r.seq) == (row.asset, row.seq - 1)), bytes(16))
    rows[place] = chained(replace(row, balance=row.balance + 1), before)
    (fault, *_) = replay(rows, {CAFE: COLOMBIA})
    assert str(UUID(bytes=ANA)) in fault


@pytest.mark.parametrize("late_s", [0, 1, 100])
def test_what_the_sweep_writes_down_is_sound_when_it_was_due_and_not_before(late_s):
    ledger = ReferenceLedger(COLOMBIA)
    ledger.load_customer(ANA, 0)
    found = []
    due = SOON + late_s * SECOND
    for operation, now in (
        (earn(10, coins=5), NOW),
        (hold(2), NOW + SECOND),
        (ask(Kind.EXPIRY, asset=COINS), due),
        (earn(10, coins=5), due + SECOND),
    ):
        batch = ledger.decide([operation], now)
        ledger.publish(batch)
        found += decode(batch.journal)
    rows = sorted(found, key=lambda row: (row.asset, row.seq))
    assert replay(rows, {CAFE: COLOMBIA}) == []
    (place,) = (at for at, row in enumerate(rows) if row.kind == Kind.RELEASE)
    too_early = replace(rows[place], recorded_at=SOON - SECOND, occurred_at=SOON - SECOND)
    rows[place] = chained(too_early, rows[place - 1].hash)
    assert replay(rows, {CAFE: COLOMBIA})


def test_a_row_that_is_missing_or_done_twice_is_found(rows):
    assert replay([*rows[:2], *rows[3:]], {CAFE: COLOMBIA})
    assert replay([*rows, replace(rows[-1], seq=rows[-1].seq + 1)], {CAFE: COLOMBIA})


def test_who_was_answered_before_another_asked_stands_before_it():
    assert order_faults([(1, 0.0, 1.0, "a"), (2, 0.5, 2.0, "b"), (3, 2.5, 3.0, "c")]) == []
    (fault,) = order_faults([(1, 5.0, 6.0, "late"), (2, 1.0, 2.0, "early")])
    assert fault == "late stands before early, which was answered before it was asked"

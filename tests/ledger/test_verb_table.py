"""The table of verbs: one row each, in SQL and in what is generated as in Python."""

from dataclasses import fields

import pytest

from engine.codes import (
    FACTS,
    NUMBERS,
    PAYMENT_STATUS,
    REVERSIBLE,
    SETS,
    VERBS,
    Claim,
    Kind,
    Refusal,
    Verb,
)
from engine.ledger.claims import CLAIM_TABLES
from engine.ledger.core import Batch, Ledger, Operation, hold_of
from engine.ledger.vocabulary import REFUSALS
from engine.postgres.sql import with_numbers
from tests.copy_format import Hold, pack_holds
from tests.ledger.verbs import ANA, COLOMBIA, NOW, earn, redeem


def test_every_kind_has_its_row_in_order():
    assert list(VERBS) == list(Kind)


def test_every_fact_makes_a_set():
    facts = {field.name for field in fields(Verb) if field.type == "bool"}
    assert set(FACTS) == facts | {"reversible"} == set(SETS)
    assert all(SETS.values()), "a fact that is true of no verb says nothing"


def test_every_refusal_has_a_text_and_is_given_by_a_verb():
    assert list(REFUSALS) == list(Refusal)
    assert {refusal for verb in VERBS.values() for refusal in verb.refusals} == set(Refusal)
    for verb in VERBS.values():
        assert len(set(verb.refusals)) == len(verb.refusals)


def test_what_nobody_asks_for_is_refused_to_nobody():
    for kind, verb in VERBS.items():
        assert verb.asked or not verb.refusals, kind


def test_who_claims_what_is_claimed_already_has_the_refusal_of_its_table():
    claiming = {verb.claims: verb for verb in VERBS.values() if verb.claims is not Claim.NONE}
    assert set(claiming) == set(CLAIM_TABLES)
    for claim, verb in claiming.items():
        assert CLAIM_TABLES[claim].refusal in verb.refusals


def test_what_is_reversible_earned_or_spent_and_has_an_account_on_the_other_side():
    for kind, verb in VERBS.items():
        assert (kind in REVERSIBLE) == (verb.earns or verb.spends)
        assert not (verb.earns and verb.spends)
        assert verb.counters or kind not in REVERSIBLE


def test_every_posting_of_a_payment_says_how_it_stands():
    for kind, verb in VERBS.items():
        of_payment = verb.begins_payment or verb.needs_hold or verb.gives_back
        assert (kind in PAYMENT_STATUS) == of_payment


@pytest.mark.parametrize("kind", Kind)
def test_the_core_takes_what_is_asked_for_and_nothing_else(kind):
    """Kinds that need more than an id are refused for that, and not for their kind."""
    try:
        Operation(kind=kind, customer_id=ANA, transaction_id=ANA)
    except ValueError as error:
        unknown = str(error) == f"no operation has the kind {kind.value}"
    else:
        unknown = False
    assert unknown != VERBS[kind].asked


def test_sql_has_the_numbers_of_its_names():
    sql = "where kind = {kind:reversal} and refusal = {refusal:none} and c in ({kinds:earns})"
    assert with_numbers(sql) == "where kind = 16 and refusal = 0 and c in (1, 13, 14)"
    assert with_numbers("'{}' {columns} '{1,2}'") == "'{}' {columns} '{1,2}'"
    assert set(NUMBERS) == {"kind", "refusal", "counter", "cause", "claim"}


@pytest.mark.parametrize("name", ["{kind:sale}", "{kinds:earning}", "{sort:reversal}"])
def test_a_name_that_no_table_has_is_an_error_of_the_file(name):
    with pytest.raises(ValueError, match=r"engine/codes\.py has no"):
        with_numbers(f"select {name}")


def held(payment_id, **others):
    facts = {"coins": 7, "expires_at": 10**15, "code_mac": b"m" * 16, "brand_id": 9}
    facts |= {"store_id": 90, "tries_left": 30_000, "resends_left": 2, "lots": {(9, 7): 7}}
    return Hold(payment_id=payment_id, **facts | others)


def test_a_hold_is_found_among_those_that_are_packed():
    packed = pack_holds(
        [
            held(b"p" * 16, item_id=3, unit=1, invoice_key=b"FV1"),
            held(b"q" * 16, invoice_key=b"F" * 40, lots={(9, 7): 3, (9, 8): 4}),
            held(b"r" * 16, tries_left=1, item_id=5, turn=2),
        ]
    )
    hold = hold_of(packed, b"r" * 16)
    assert (hold.payment_id, hold.tries_left, hold.item_id, hold.turn) == (b"r" * 16, 1, 5, 2)
    assert hold_of(packed, b"p" * 16).unit == 1
    assert hold_of(packed, b"q" * 16).lots == [(9 << 32 | 7, 3), (9 << 32 | 8, 4)]
    assert hold_of(packed, b"q" * 16).tries_left == 30_000
    assert hold_of(packed, b"x" * 16) is None
    assert hold_of(None, b"p" * 16) is None


def test_a_hold_that_is_cut_short_is_no_hold():
    packed = pack_holds([held(b"p" * 16, invoice_key=b"FV1")])
    for length in range(1, len(packed)):
        with pytest.raises(ValueError, match="cut short"):
            hold_of(packed[:length], b"p" * 16)


def test_what_is_decided_shows_itself():
    ledger = Ledger(COLOMBIA)
    ledger.load_customer(ANA, 0)
    sale, gift = earn(5), redeem(9)
    assert repr(sale).endswith(f"accumulation of 5 for {ANA.hex()}, undecided>")
    ledger.publish(ledger.decide([sale, gift], NOW))
    assert repr(sale).endswith(f"accumulation of 5 for {ANA.hex()}, posted>")
    assert repr(gift).endswith(f"redemption of 9 for {ANA.hex()}, refused, insufficient_points>")
    points = ledger.wallet(ANA, 7)
    assert repr(points) == "<Wallet of points of brand 7: 5 in 1 lots, 0 held, seq 2>"
    assert repr(Batch([sale])) == "<Batch of 1 operations: 0 rows, 0 bytes, 0 new wallets>"
    batch = ledger.decide([redeem(0)], NOW)
    assert repr(batch).startswith("<Batch of 1 operations: 1 rows, ")
    assert repr(points).endswith(", seq 3, planned>")
    ledger.discard(batch)

"""Coins that change hands at once: paid by a QR, converted, given as cashback, donated."""

import pytest
from harness import connection_to
from verbs import (
    ANA,
    BANK,
    BEA,
    CAFE,
    COLOMBIA,
    FUEL,
    NOW,
    ORPHANAGE,
    PARTNER,
    QR,
    TODAY,
    balances,
    cash_back,
    convert,
    donate,
    earn,
    hold,
    load_wallet,
    pay,
    post,
    redeem,
)

from engine.codes import (
    BALANCE_MAX,
    COINS,
    FLAG_BLOCKED,
    PARTNER_BIT,
    Claim,
    Counter,
    Kind,
    Outcome,
    Refusal,
)
from engine.ledger.core import Ledger, Operation
from engine.ledger.journal import Bar, append_statement
from engine.ledger.verdicts import Verdict
from tests.copy_format import decode

AT_BEA = {"customer_id": BEA}

# What each is.


def test_a_payment_by_qr_moves_from_available_to_the_receiver_at_once(ledger):
    post(ledger, earn(coins=100), earn(coins=50, brand_id=FUEL))
    [paid] = post(ledger, asked := pay(120, bill_amount=9, details=b"{}", reference=b"p" * 16))
    assert (paid.kind, paid.amount, paid.held_amount, paid.balance) == (12, -120, 0, 30)
    assert paid.moved == {(TODAY + 30, CAFE): -100, (TODAY + 30, FUEL): -20}
    assert (paid.counter, paid.counter_party) == (Counter.COINS_SETTLED, FUEL)
    assert (paid.brand_id, paid.store_id, paid.requested, paid.holds) == (FUEL, 90, 120, ())
    assert (paid.bill_amount, paid.details, paid.reference) == (9, b"{}", b"p" * 16)
    assert (asked.outcome, asked.amount, asked.balance, asked.held) == (1, -120, 30, 0)


def test_a_donation_goes_to_the_organisation(ledger):
    post(ledger, earn(coins=100))
    [given] = post(ledger, asked := donate(40))
    assert (given.kind, given.amount, given.balance) == (Kind.DONATION, -40, 60)
    assert given.moved == {(TODAY + 30, CAFE): -40}
    assert (given.counter, given.counter_party) == (Counter.COINS_DONATED, ORPHANAGE)
    assert (asked.amount, asked.balance) == (-40, 60)


def test_a_conversion_makes_coins_that_the_partner_issues(ledger):
    [made] = post(ledger, asked := convert(70, last_day=TODAY + 730))
    assert (made.kind, made.amount, made.requested, made.balance) == (13, 70, 70, 70)
    assert made.lots == made.moved == {(TODAY + 730, PARTNER): 70}
    assert (made.counter, made.counter_party) == (Counter.PARTNER_CLEARING, BANK)
    assert (asked.amount, asked.balance, asked.earned_expires_day) == (70, 70, TODAY + 730)
    assert PARTNER == PARTNER_BIT | BANK


def test_cashback_makes_coins_that_the_brand_issues(ledger):
    [made] = post(ledger, asked := cash_back(70))
    assert (made.kind, made.amount, made.requested, made.balance) == (14, 70, 70, 70)
    assert made.lots == made.moved == {(TODAY + 30, CAFE): 70}
    assert (made.counter, made.counter_party) == (Counter.COINS_ISSUED, CAFE)
    assert (asked.amount, asked.balance, asked.earned_expires_day) == (70, 70, TODAY + 30)


def test_coins_of_partners_are_spent_after_those_of_brands_that_expire_with_them(ledger):
    post(ledger, convert(10), cash_back(10), convert(10, b"R-2", last_day=TODAY + 9))
    [paid] = post(ledger, pay(15))
    assert paid.moved == {(TODAY + 9, PARTNER): -10, (TODAY + 30, CAFE): -5}
    assert paid.lots == {(TODAY + 30, CAFE): 5, (TODAY + 30, PARTNER): 10}


def test_the_largest_partner_is_no_brand_and_fits_a_lot(ledger):
    [made] = post(ledger, convert(BALANCE_MAX, party_id=2**31 - 1, last_day=2**31 - 1))
    assert made.lots == {(2**31 - 1, 2**32 - 1): BALANCE_MAX}


@pytest.mark.parametrize(
    ("asked", "counter"),
    [
        (pay(0), Counter.COINS_SETTLED),
        (convert(0, last_day=0), Counter.PARTNER_CLEARING),
        (cash_back(0, last_day=0), Counter.COINS_ISSUED),
        (donate(0), Counter.COINS_DONATED),
    ],
    ids=["pay", "convert", "cash back", "donate"],
)
def test_of_nothing_there_is_a_row_that_names_its_counter_account(ledger, asked, counter):
    [row] = post(ledger, asked)
    assert (row.amount, row.moved, row.counter, asked.refusal) == (0, {}, counter, 0)
    assert asked.earned_expires_day == 0


# Refusals, in their order.

BLOCKED = {"flags": FLAG_BLOCKED}
LADDERS = [
    (pay(1, needs_profile=True), BLOCKED, Refusal.CUSTOMER_BLOCKED),
    (pay(1, needs_profile=True), {"missing": 1}, Refusal.PROFILE_INCOMPLETE),
    (pay(1, barred=Refusal.COINS_NOT_ACCEPTED), {}, Refusal.INSUFFICIENT_COINS),
    (pay(0, barred=Refusal.QR_INVALID), {}, Refusal.QR_INVALID),
    (donate(1, needs_profile=True), BLOCKED, Refusal.CUSTOMER_BLOCKED),
    (donate(1), {"missing": 1}, Refusal.INSUFFICIENT_COINS),
    (pay(1, barred=Refusal.NOT_AVAILABLE), {}, Refusal.INSUFFICIENT_COINS),
    (pay(0, barred=Refusal.NOT_AVAILABLE), {}, Refusal.NOT_AVAILABLE),
    (convert(1, barred=Refusal.REFERENCE_ALREADY_USED), BLOCKED, Refusal.CUSTOMER_BLOCKED),
    (convert(1, barred=Refusal.REFERENCE_ALREADY_USED), {"missing": 1}, 14),
    (convert(1), {"full": True}, Refusal.LIMIT_REACHED),
    (cash_back(1, barred=Refusal.NOT_AVAILABLE), BLOCKED, Refusal.CUSTOMER_BLOCKED),
    (cash_back(1, barred=Refusal.NOT_AVAILABLE), {"full": True}, Refusal.NOT_AVAILABLE),
    (cash_back(1), {"full": True}, Refusal.LIMIT_REACHED),
]


@pytest.mark.parametrize(("asked", "state", "refusal"), LADDERS)
def test_the_first_reason_is_the_answer(ledger, asked, state, refusal):
    ledger.load_customer(ANA, state.get("missing", 0))
    lots = {(TODAY, CAFE): BALANCE_MAX} if "full" in state else {}
    load_wallet(ledger, COINS, lots, flags=state.get("flags", 0))
    batch = ledger.decide([asked], NOW)
    [row] = decode(batch.journal)
    assert row.refusal == asked.refusal == refusal
    assert (row.amount, row.moved, row.counter) == (0, {}, Counter.NONE)
    assert (batch.qr_uses, batch.claims) == ([], [])


def test_neither_conversions_nor_cashback_need_a_profile(ledger):
    ledger.load_customer(ANA, 63)
    post(ledger, asked := convert(1), other := cash_back(1), given := donate(2))
    assert [one.refusal for one in (asked, other, given)] == [0, 0, 0]


def test_held_coins_count_towards_the_limit(ledger):
    post(ledger, convert(BALANCE_MAX), hold(9))
    post(ledger, one := convert(1, b"R-2"), other := cash_back(9))
    assert one.refusal == other.refusal == Refusal.LIMIT_REACHED


# Once.


def test_a_qr_pays_once_in_a_batch_and_the_batch_tells_it(ledger):
    ledger.load_customer(BEA, 0)
    post(ledger, earn(coins=100), earn(coins=100, **AT_BEA))
    asked = pay(10), pay(10), pay(10, qr_issued_at=QR + 1), pay(10, **AT_BEA)
    asked += pay(10, qr_issued_at=0), pay(10, qr_issued_at=0)
    batch = ledger.decide(list(asked), NOW)
    assert [one.refusal for one in asked] == [0, Refusal.QR_INVALID, 0, 0, 0, 0]
    ids = [one.transaction_id for one in asked]
    assert batch.qr_uses == [(ANA, QR, ids[0]), (ANA, QR + 1, ids[2]), (BEA, QR, ids[3])]


def test_a_payment_that_is_refused_uses_no_qr(ledger):
    post(ledger, earn(coins=10))
    post(ledger, refused := pay(11), paid := pay(10), broke := pay(1))
    refusals = [one.refusal for one in (refused, paid, broke)]
    assert refusals == [Refusal.INSUFFICIENT_COINS, 0, Refusal.INSUFFICIENT_COINS]


def test_a_reference_converts_once_in_a_batch_whoever_sends_it(ledger):
    ledger.load_customer(BEA, 0)
    asked = convert(5), convert(5), convert(5, **AT_BEA), convert(5, party_id=BANK + 1)
    batch = ledger.decide([*asked, other := convert(5, b"R-0")], NOW)
    used = Refusal.REFERENCE_ALREADY_USED
    assert [one.refusal for one in (*asked, other)] == [0, used, used, 0, 0]
    assert batch.claims == [
        (Claim.REFERENCE, BANK, b"R0", ANA, other.transaction_id),
        (Claim.REFERENCE, BANK, b"R1", ANA, asked[0].transaction_id),
        (Claim.REFERENCE, BANK + 1, b"R1", ANA, asked[3].transaction_id),
    ]


def test_a_used_reference_comes_before_a_limit(ledger):
    post(ledger, hold(0))
    batch = ledger.decide([convert(BALANCE_MAX), again := convert(1)], NOW)
    assert again.refusal == Refusal.REFERENCE_ALREADY_USED
    ledger.discard(batch)
    post(ledger, again)
    assert again.refusal == 0


def test_what_is_used_up_goes_between_claims_and_rows(compiled):
    post(compiled, earn(coins=100))
    claims = earn(1, store_id=70, invoice_number=b"F-1")
    taken = redeem(0, item_id=1, unit=1)
    batch = compiled.decide([claims, convert(5, b"it's"), pay(5), taken], NOW)
    *said, _rows = append_statement(batch).split(";")
    tables = ["invoice_claim", "reference_claim", "qr_use", "item_unit"]
    assert [f"insert into {table} " in one for table, one in zip(tables, said, strict=True)]
    assert f"({BANK},'ITS','" in said[1]
    assert f"('{ANA.hex()}',{QR},'" in said[2]


# The border.

GOOD = {
    Kind.PAYMENT: {"qr_issued_at": QR},
    Kind.CONVERSION: {"party_id": BANK, "claim_reference": b"R-1"},
    Kind.CASHBACK: {"claim_reference": b"O-1"},
    Kind.DONATION: {"party_id": ORPHANAGE},
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize(
    "bad",
    [
        {"asset": CAFE},
        {"party_id": -1},
        {"qr_issued_at": -1},
        {"unit": 1},
        {"requested": 1, "kind": Kind.CASHBACK, "expires_day": 0},
        {"requested": 1, "kind": Kind.CONVERSION, "expires_day": 0},
    ],
)
def test_what_no_row_could_hold_is_not_asked_for(kind, bad):
    good = {"kind": kind, "customer_id": ANA, "transaction_id": bytes(16)} | GOOD[kind]
    Operation(**good)
    with pytest.raises(ValueError, match=r"party|brand|QR|item|range|reference"):
        Operation(**good | bad)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (Kind.CONVERSION, {"party_id": 0}),
        (Kind.CONVERSION, {"claim_reference": None}),
        (Kind.CONVERSION, {"claim_reference": b""}),
        (Kind.CONVERSION, {"claim_reference": b"x" * 65}),
        (Kind.CONVERSION, {"claim_reference": b"R\n1"}),
        (Kind.CONVERSION, {"claim_reference": "ñ".encode()}),
        (Kind.CONVERSION, {"claim_reference": b"R\x00"}),
        (Kind.DONATION, {"party_id": 0}),
        (Kind.DONATION, {"claim_reference": b"R-1"}),
        (Kind.DONATION, {"qr_issued_at": QR}),
        (Kind.PAYMENT, {"party_id": BANK}),
        (Kind.CASHBACK, {"party_id": BANK}),
        (Kind.PAYMENT, {"reference": bytes(16), "original": []}),
    ],
)
def test_what_is_of_another_kind_of_operation_is_not_asked_for(kind, facts):
    good = {"kind": kind, "customer_id": ANA, "transaction_id": bytes(16)} | GOOD[kind]
    with pytest.raises(ValueError, match=r"party|reference|QR|original"):
        Operation(**good | facts)


def test_a_reference_of_64_characters_is_taken():
    assert convert(1, b"~R" * 32).claim_reference == b"~R" * 32


def test_only_a_wallet_that_is_cached_without_its_customer_needs_a_load(compiled):
    post(compiled, earn(coins=1))
    asked = pay(1, reference=b"p" * 16), convert(1), cash_back(1), donate(1)
    assert not any(compiled.needs_load(one) for one in asked)
    assert compiled.needs_load(pay(1, **AT_BEA))


# On a real journal.


async def loaded(open_journal, *customer_ids):
    """Return a journal, and a ledger that has loaded customers from it."""
    journal, ledger = await open_journal(), Ledger(COLOMBIA)
    await journal.load(ledger, customer_ids)
    return journal, ledger


async def append(journal, ledger, *operations):
    batch = ledger.decide(list(operations), NOW)
    verdict = await journal.append(batch)
    (ledger.publish if verdict is Verdict.DURABLE else ledger.discard)(batch)
    return verdict


async def test_what_is_used_up_stands_beside_the_row_that_used_it(
    open_journal, customers, database
):
    ana = next(customers)
    journal, ledger = await loaded(open_journal, ana)
    mine = {"customer_id": ana}
    converted, paid = convert(50, b"it's R-7", **mine), pay(20, **mine)
    assert await append(journal, ledger, converted, paid) is Verdict.DURABLE
    async with connection_to(database) as connection:
        use = await connection.fetchrow("select * from qr_use where customer_id = $1", ana.hex())
        reference = await connection.fetchrow(
            "select * from reference_claim where customer_id = $1", ana.hex()
        )
        [view] = await connection.fetch(
            "select open_lots from posting where customer_id = $1 and balance = 30", ana.hex()
        )
    assert (use["issued_at"], use["transaction_id"].bytes) == (QR, paid.transaction_id)
    assert (reference["partner_id"], reference["reference_key"]) == (BANK, "ITSR7")
    assert reference["transaction_id"].bytes == converted.transaction_id
    assert f'"issuer": {BANK}' in view["open_lots"]
    assert '"partner": true' in view["open_lots"]


@pytest.mark.parametrize("verb", ["pay", "convert"])
async def test_what_another_writer_used_up_is_seen_found_and_refused(
    open_journal, customers, dice, verb
):
    ana, bea = next(customers), next(customers)
    text = b"R-%d" % dice.getrandbits(60)
    wants = {"pay": lambda who: pay(10, customer_id=who)}
    wants["convert"] = lambda who: convert(10, text, customer_id=who)
    whose = ana if verb == "pay" else bea  # a reference is used up for everybody
    writer, other = [await loaded(open_journal, ana, bea) for _ in range(2)]
    rich = [earn(coins=50, customer_id=who) for who in (ana, bea)]
    first, second = wants[verb](ana), wants[verb](whose)
    assert await append(*writer, *rich, first) is Verdict.DURABLE
    await other[0].load(other[1], [ana, bea])
    assert await append(*other, second) is Verdict.SEEN
    refusal = {"pay": Refusal.QR_INVALID, "convert": Refusal.REFERENCE_ALREADY_USED}[verb]
    barred = await other[0].find_barred([second, first, earn(1)])
    assert barred == {second.transaction_id: Bar(refusal)}
    second.bar(refusal)
    assert await append(*other, second) is Verdict.DURABLE
    assert (second.outcome, second.refusal, second.balance) == (
        Outcome.POSTED,
        refusal,
        40 if verb == "pay" else 50,
    )


async def test_another_qr_reference_or_invoice_is_no_hindrance(open_journal, customers, dice):
    ana, bea = next(customers), next(customers)
    text = b"R-%d" % dice.getrandbits(60)
    journal, ledger = await loaded(open_journal, ana, bea)
    mine, hers = {"customer_id": ana}, {"customer_id": bea}
    rich = [earn(coins=50, store_id=70, invoice_number=text, **mine), earn(coins=50, **hers)]
    used = convert(10, text, **mine), pay(10, **mine)
    assert await append(journal, ledger, *rich, *used) is Verdict.DURABLE
    free = [
        pay(10, **hers),
        pay(10, qr_issued_at=QR + 1, **mine),
        pay(10, qr_issued_at=0, store_id=70, invoice_number=text, **mine),
        convert(10, text, party_id=BANK + 1, **mine),
        convert(10, text + b"x", **hers),
        donate(10, **mine),
    ]
    assert await journal.find_barred(free) == {}
    assert await append(journal, ledger, *free) is Verdict.DURABLE
    assert balances(ledger, COINS, ana) == (20 + 10, 0)

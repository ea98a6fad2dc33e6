"""Units and turns of items (RED-5): each is taken once, whoever asks at the same time."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

import pytest
from harness import connection_to
from verbs import (
    ANA,
    BEA,
    CAFE,
    COLOMBIA,
    FUEL,
    NOW,
    RIGHT,
    SOON,
    TODAY,
    WRONG,
    ask,
    capture,
    earn,
    hold,
    load_wallet,
    post,
    redeem,
    resend,
    void,
)

from engine.codes import FLAG_BLOCKED, Counter, Kind, Outcome, Refusal
from engine.errors import ItemTaken
from engine.ledger.committer import Committer
from engine.ledger.core import Ledger, Operation
from engine.ledger.journal import append_statement
from engine.ledger.verdicts import Verdict
from engine.metrics import Metrics
from engine.settings import Settings
from tests.copy_format import decode

MUG, CAP = 11, 12
AT_BEA = {"customer_id": BEA}


def take(points=0, *, item_id=MUG, **others):
    """Return a redemption of a mug; by default it is a gift."""
    return redeem(points, item_id=item_id, **others)


# Gifts.


def test_a_gift_costs_nothing_and_names_its_counter_account(ledger):
    _opening, row = post(ledger, asked := take())
    assert (row.kind, row.refusal, row.requested, row.amount) == (Kind.REDEMPTION, 0, 0, 0)
    assert (row.moved, row.balance) == ({}, 0)
    assert (row.counter, row.counter_party) == (Counter.POINTS_REDEEMED, CAFE)
    assert (asked.outcome, asked.amount, asked.balance) == (Outcome.POSTED, 0, 0)


# What a batch takes.


def test_a_batch_tells_the_units_and_turns_that_it_takes_in_order(ledger):
    ledger.load_customer(BEA, 0)
    mine = take(unit=2, turn=1), take(unit=1, turn=2), take(item_id=CAP, turn=1)
    hers = take(unit=3, **AT_BEA), take(turn=1, **AT_BEA)
    batch = ledger.decide([*hers, *mine, redeem(0), take()], NOW)
    ids = [one.transaction_id for one in (*mine, *hers)]
    assert batch.units == [(MUG, 1, ANA, ids[1]), (MUG, 2, ANA, ids[0]), (MUG, 3, BEA, ids[3])]
    assert batch.turns == [
        (ANA, MUG, 1, ids[0]),
        (ANA, MUG, 2, ids[1]),
        (ANA, CAP, 1, ids[2]),
        (BEA, MUG, 1, ids[4]),
    ]


@pytest.mark.parametrize(
    "again",
    [
        take(unit=1),
        take(unit=1, turn=9),
        take(turn=1),
        take(unit=9, turn=1),
        take(unit=1, **AT_BEA),
        take(unit=1, turn=1, **AT_BEA),
    ],
    ids=["unit", "unit, other turn", "turn", "turn, other unit", "her unit", "her unit and turn"],
)
def test_who_comes_second_in_a_batch_leaves_no_row_and_may_come_again(ledger, again):
    ledger.load_customer(BEA, 0)
    batch = ledger.decide([take(unit=1, turn=1), again, earn(1)], NOW)
    assert again.outcome == Outcome.TAKEN
    assert again.transaction_id not in [row.transaction_id for row in decode(batch.journal)]
    assert [row.customer_id for row in decode(batch.journal)] == [ANA] * 3
    assert (len(batch.units), len(batch.turns)) == (1, 1)
    ledger.publish(batch)
    assert ledger.wallet(BEA, CAFE) is None


@pytest.mark.parametrize(
    "other",
    [
        take(unit=2, turn=2),
        take(unit=1, turn=1, item_id=CAP),
        take(unit=2, turn=1, **AT_BEA),
        take(turn=2),
        take(),
        redeem(0),
    ],
    ids=["unit and turn", "item", "customer's turn", "turn", "no limit", "no item"],
)
def test_another_unit_or_turn_is_no_hindrance(ledger, other):
    ledger.load_customer(BEA, 0)
    post(ledger, take(unit=1, turn=1), other)
    assert (other.outcome, other.refusal) == (Outcome.POSTED, 0)


@pytest.mark.parametrize("why", ["points", "barred", "profile", "blocked"])
def test_a_refused_redemption_takes_nothing(ledger, why):
    if why == "profile":
        ledger.load_customer(ANA, 1)
    load_wallet(ledger, CAFE, {}, flags=FLAG_BLOCKED * (why == "blocked"))
    ledger.load_customer(BEA, 0)
    refused = take(
        5 * (why == "points"),
        unit=1,
        needs_profile=True,
        barred=Refusal.NOT_AVAILABLE * (why == "barred"),
    )
    batch = ledger.decide([refused, follows := take(unit=1, **AT_BEA)], NOW)
    assert refused.refusal != 0
    assert follows.outcome == Outcome.POSTED
    assert batch.units == [(MUG, 1, BEA, follows.transaction_id)]


def test_who_was_second_is_first_where_the_first_is_not_there_any_more(ledger):
    first, second = take(unit=1), take(unit=1)
    ledger.discard(ledger.decide([first, second], NOW))
    assert second.outcome == Outcome.TAKEN
    post(ledger, second)
    assert (second.outcome, second.refusal) == (Outcome.POSTED, 0)


def test_a_ledger_forgets_what_its_batches_took(ledger):
    """What is taken for good is known to the journal alone."""
    post(ledger, take(unit=1, turn=1))
    post(ledger, asked := take(unit=1, turn=1))
    assert asked.outcome == Outcome.POSTED


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"unit": 1}, "need the item"),
        ({"turn": 1}, "need the item"),
        ({"item_id": -1}, "below zero"),
        ({"item_id": MUG, "unit": -1}, "below zero"),
        ({"item_id": MUG, "turn": -1}, "below zero"),
        ({"item_id": MUG, "kind": Kind.ACCUMULATION}, "nothing but a redemption"),
        ({"item_id": MUG, "kind": Kind.BLOCK}, "nothing but a redemption"),
    ],
)
def test_what_is_no_unit_or_turn_of_an_item_is_not_asked_for(bad, why):
    good = {"kind": Kind.REDEMPTION, "asset": CAFE}
    good |= {"customer_id": ANA, "transaction_id": bytes(16)}
    Operation(**good)
    with pytest.raises(ValueError, match=why):
        Operation(**good | bad)


def test_numbers_of_items_fit_the_columns(ledger):
    most = 2**31 - 1
    post(ledger, asked := take(item_id=most, unit=most, turn=most))
    assert (asked.item_id, asked.unit, asked.turn) == (most, most, most)
    with pytest.raises(OverflowError):
        take(unit=2**31)


def test_units_and_turns_go_between_claims_and_rows(compiled):
    compiled.load_customer(BEA, 0)
    claims = earn(1, store_id=70, invoice_number=b"F-1")
    batch = compiled.decide([claims, take(unit=2, turn=1), take(unit=1, turn=2, **AT_BEA)], NOW)
    statements = append_statement(batch).split(";")
    tables = ["into wallet", "into invoice_claim", "into item_unit", "into item_turn", "journal"]
    assert [table in said for table, said in zip(tables, statements, strict=True)] == [True] * 5
    assert statements[2].index("(11,1,") < statements[2].index("(11,2,")


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


async def test_what_is_taken_stands_beside_the_row_that_took_it(open_journal, customers, database):
    ana = next(customers)
    journal, ledger = await loaded(open_journal, ana)
    asked = take(unit=7, turn=1, item_id=21, customer_id=ana)
    assert await append(journal, ledger, asked) is Verdict.DURABLE
    ids = UUID(bytes=ana), UUID(bytes=asked.transaction_id)
    async with connection_to(database) as connection:
        units = await connection.fetch("select * from item_unit where item_id = 21")
        turns = await connection.fetch("select * from item_turn where item_id = 21")
    assert [tuple(row) for row in units] == [(21, 7, *ids)]
    assert [tuple(row) for row in turns] == [(ids[0], 21, 1, ids[1])]


@pytest.mark.parametrize(
    ("first", "second"), [({"unit": 1}, {"unit": 1, "turn": 5}), ({"turn": 1}, {"turn": 1})]
)
async def test_what_another_took_is_seen_and_found(open_journal, customers, dice, first, second):
    item_id, ana = dice.randrange(100, 2**31), next(customers)
    mine = {"item_id": item_id, "customer_id": ana}
    writer, other = [await loaded(open_journal, ana) for _ in range(2)]
    assert await append(*writer, took := take(**first, **mine)) is Verdict.DURABLE
    await other[0].load(other[1], [ana])
    wants = take(**second, **mine)
    assert await append(*other, wants) is Verdict.SEEN
    assert await other[0].find_taken([wants, took]) == {wants.transaction_id}
    assert await other[0].find([wants]) == {}


async def test_only_the_very_unit_and_the_customers_own_turn_are_taken(open_journal, customers):
    ana, bea = next(customers), next(customers)
    journal, ledger = await loaded(open_journal, ana, bea)
    asked = take(unit=1, turn=1, item_id=31, customer_id=ana)
    assert await append(journal, ledger, asked) is Verdict.DURABLE
    free = [
        take(unit=2, turn=2, item_id=31, customer_id=ana),
        take(unit=1, turn=1, item_id=32, customer_id=ana),
        take(turn=1, item_id=31, customer_id=bea),
        take(item_id=31, customer_id=ana),
        redeem(0, customer_id=ana),
        earn(1, customer_id=ana),
    ]
    assert await journal.find_taken(free) == set()
    assert await append(journal, ledger, *free) is Verdict.DURABLE


# Through a committer.


@asynccontextmanager
async def worker(open_journal):
    committer = Committer(open_journal, Settings(lanes=1), Metrics(), coins_utc_offset=COLOMBIA)
    committer.start()
    try:
        yield committer
    finally:
        await committer.close()


def of(customer_id, item_id, **others):
    """Return an accumulation with enough for a mug, and the redemption of it."""
    rich = earn(10, last_day=TODAY + 36_500, customer_id=customer_id)
    return rich, take(10, item_id=item_id, customer_id=customer_id, **others)


async def pick_until_taken(committer, customer_id, item_id, units):
    """Take a unit as the caller of the ledger does: another one each time, with one key."""
    rich, first = of(customer_id, item_id)
    await committer.submit(rich)
    for unit in range(1, units + 1):
        key = {"transaction_id": first.transaction_id, "fingerprint": first.fingerprint}
        _, asked = of(customer_id, item_id, unit=unit, turn=1, **key)
        try:
            answer, _ = await committer.submit(asked)
        except ItemTaken:
            continue
        return unit, answer.refusal, answer.balance
    return None


async def test_each_unit_is_taken_once_however_many_workers_hand_it_out(
    open_journal, customers, database
):
    people = [next(customers) for _ in range(9)]
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker(open_journal)) for _ in range(3)]
        got = await asyncio.gather(
            *(
                pick_until_taken(workers[at % 3], customer_id, 41, units=6)
                for at, customer_id in enumerate(people)
            )
        )
    assert sorted(one for one in got if one) == [(unit, 0, 0) for unit in range(1, 7)]
    assert got.count(None) == 3
    async with connection_to(database) as connection:
        query = "select count(*), count(distinct unit) from item_unit where item_id = 41"
        assert tuple(await connection.fetchrow(query)) == (6, 6)
        query = "select count(*) from item_turn where item_id = 41"
        assert await connection.fetchval(query) == 6


async def test_a_retry_that_picked_another_unit_is_answered_from_the_row(open_journal, customers):
    ana, bea = next(customers), next(customers)
    async with worker(open_journal) as committer:
        rich, first = of(ana, 51, unit=1, turn=1)
        await committer.submit(rich)
        answer, replayed = await committer.submit(first)
        assert (answer.balance, replayed) == (0, False)
        for facts in ({"unit": 2, "turn": 1}, {"unit": 2, "turn": 2}, {"unit": 1, "turn": 1}):
            key = {"transaction_id": first.transaction_id, "fingerprint": first.fingerprint}
            retry = of(ana, 51, **facts, **key)[1]
            answer, replayed = await committer.submit(retry)
            assert (answer.amount, answer.balance, replayed) == (-10, 0, True)
        rich, free = of(bea, 51, unit=2, turn=1)
        await committer.submit(rich)
        assert (await committer.submit(free))[0].refusal == 0
        _, late = of(ana, 51, unit=2, turn=2, **key)
        assert (await committer.submit(late))[1]


async def test_whose_unit_is_taken_fails_alone(open_journal, customers):
    people = [next(customers) for _ in range(4)]
    async with worker(open_journal) as committer, worker(open_journal) as other:
        asked = [of(customer_id, 61, unit=1) for customer_id in people]
        rich, first = asked[0]
        await committer.submit(rich)
        await committer.submit(first)
        results = await other.submit_many(
            [
                *(rich for rich, _ in asked[1:]),
                asked[1][1],
                asked[2][1],
                of(people[3], 61, unit=2)[1],
                earn(1, asset=FUEL, brand_id=FUEL, customer_id=people[3]),
            ]
        )
    assert [isinstance(result, ItemTaken) for result in results] == [
        *(False, False, False),
        *(True, True, False, False),
    ]
    assert [result[0].refusal for result in results if isinstance(result, tuple)] == [0] * 5


# What is paid for with coins (RED-6).


def buy(coins=3, **others):
    """Return a payment of a mug by a code."""
    return hold(coins, item_id=MUG, unit=1, turn=2, **others)


@pytest.fixture
def rich(ledger):
    """Return a ledger in which Ana has coins."""
    load_wallet(ledger, 0, {(TODAY + 30, CAFE): 10})
    return ledger


def decided(ledger, operation, now=NOW):
    batch = ledger.decide([operation], now)
    ledger.publish(batch)
    return batch


def test_a_hold_takes_its_unit_and_turn_and_a_capture_keeps_them(rich):
    batch = decided(rich, payment := buy())
    assert batch.units == [(MUG, 1, ANA, payment.transaction_id)]
    assert batch.turns == [(ANA, MUG, 2, payment.transaction_id)]
    batch = decided(rich, capture(payment))
    assert (batch.units, batch.freed_units, batch.freed_turns) == ([], [], [])


@pytest.mark.parametrize("how", ["voided", "released", "swept", "guessed"])
def test_what_a_hold_took_is_free_again_when_its_coins_go_back(rich, how):
    decided(rich, payment := buy(tries_max=1))
    decided(rich, resend(payment))  # which keeps what it is of
    operation, now = {
        "voided": (void(payment), NOW),
        "released": (redeem(0), SOON),
        "swept": (ask(Kind.EXPIRY, asset=0), SOON),
        "guessed": (capture(payment, WRONG), NOW),
    }[how]
    operation = hold(0) if how == "released" else operation
    batch = decided(rich, operation, now)
    assert batch.freed_units == [(MUG, 1, payment.transaction_id)]
    assert batch.freed_turns == [(ANA, MUG, 2, payment.transaction_id)]


def test_what_is_taken_and_given_back_in_one_batch_was_never_taken(rich):
    payment = buy()
    batch = rich.decide([payment, void(payment), again := buy()], NOW)
    assert batch.units == [(MUG, 1, ANA, again.transaction_id)]
    assert batch.turns == [(ANA, MUG, 2, again.transaction_id)]
    assert (batch.freed_units, batch.freed_turns) == ([], [])


def test_what_comes_back_in_a_batch_may_be_taken_in_it(rich):
    decided(rich, payment := buy())
    batch = rich.decide([void(payment), again := buy()], NOW)
    assert batch.freed_units == [(MUG, 1, payment.transaction_id)]
    assert batch.units == [(MUG, 1, ANA, again.transaction_id)]


@pytest.mark.parametrize("kind", [Kind.HOLD, Kind.PAYMENT])
def test_of_two_payments_for_one_unit_in_a_batch_the_second_leaves_no_row(rich, kind):
    facts = {"code_mac": RIGHT, "tries_max": 1} if kind == Kind.HOLD else {}
    wanted = [ask(kind, requested=3, item_id=MUG, unit=1, **facts) for _ in range(2)]
    batch = rich.decide(wanted, NOW)
    assert [one.outcome for one in wanted] == [Outcome.POSTED, Outcome.TAKEN]
    assert len(decode(batch.journal)) == 1


def test_a_payment_that_is_refused_takes_nothing(rich):
    batch = rich.decide([poor := buy(11), barred := buy(barred=Refusal.NOT_AVAILABLE)], NOW)
    assert [poor.refusal, barred.refusal] == [Refusal.INSUFFICIENT_COINS, Refusal.NOT_AVAILABLE]
    assert (batch.units, batch.turns) == ([], [])


# What is due is written down by a sweep (PTS-5).


def test_a_sweep_writes_down_what_is_due_and_nothing_of_its_own(ledger):
    load_wallet(ledger, 0, {(TODAY - 1, CAFE): 4, (TODAY, CAFE): 6})
    batch = decided(ledger, swept := ask(Kind.EXPIRY, asset=0))
    (row,) = decode(batch.journal)
    assert (row.kind, row.amount, row.counter) == (Kind.EXPIRY, -4, Counter.COINS_EXPIRED)
    assert (swept.outcome, swept.amount, swept.balance) == (Outcome.WRITTEN_DOWN, -4, 6)
    assert decode(decided(ledger, ask(Kind.EXPIRY, asset=0)).journal) == []


def test_a_sweep_of_points_goes_by_the_calendar_of_their_brand(ledger):
    load_wallet(ledger, CAFE, {(TODAY - 1, 0): 4})
    earlier = ask(Kind.EXPIRY, asset=CAFE, utc_offset=COLOMBIA - 86_400)
    assert decode(decided(ledger, earlier).journal) == []
    (row,) = decode(decided(ledger, ask(Kind.EXPIRY, asset=CAFE, utc_offset=COLOMBIA)).journal)
    assert (row.asset, row.amount, row.counter) == (CAFE, -4, Counter.POINTS_EXPIRED)


def test_a_sweep_opens_no_wallet(ledger):
    batch = decided(ledger, swept := ask(Kind.EXPIRY, asset=CAFE))
    assert swept.outcome == Outcome.WRITTEN_DOWN
    assert (decode(batch.journal), batch.new_wallets) == ([], [])


def test_a_sweep_tells_what_expired_of_what_came_back(rich):
    decided(rich, hold(4))
    load_wallet(rich, CAFE, {})
    month = 31 * 86_400 * 1_000_000
    batch = decided(rich, swept := ask(Kind.EXPIRY, asset=0), NOW + month)
    rows = decode(batch.journal)
    assert [(row.kind, row.amount) for row in rows] == [(Kind.RELEASE, 4), (Kind.EXPIRY, -10)]
    assert (swept.amount, swept.balance, swept.held) == (-10, 0, 0)


def test_that_nothing_is_due_is_only_said_of_what_was_just_loaded(compiled):
    load_wallet(compiled, CAFE, {(TODAY - 1, 0): 4})
    assert compiled.needs_load(ask(Kind.EXPIRY, asset=CAFE))
    assert not compiled.needs_load(redeem(1))

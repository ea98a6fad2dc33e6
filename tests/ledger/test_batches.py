"""Batches of many wallets: what the core does side by side and by tables, it does as one by one.

The plain rules decide the same operations; what both wrote is the same, byte for byte.
"""

from random import Random

import pytest
from verbs import CAFE, FUEL, NOW, TODAY, earn, redeem

from engine.codes import Refusal
from engine.ledger import core
from engine.ledger.core import Ledger
from tests.copy_format import decode
from tests.reference import ReferenceLedger, key_of

COLOMBIA = -5 * 3600
COMMON = b"c" * 8  # how ids of one bucket begin


@pytest.fixture(params=[False, True], ids=["as this processor can", "one by one"])
def _hashing(request):
    core.hash_one_by_one(request.param)
    yield
    core.hash_one_by_one(False)


def ids(dice, count):
    """Return ids of which half begin alike, so that an order by their first bytes is not enough."""
    return [
        (COMMON if each % 2 else dice.randbytes(8)) + dice.randbytes(8) for each in range(count)
    ]


def sales(dice, customer_ids, count):
    """Return sales whose rows have from 3 to 12 blocks, some of them refused."""
    return [
        dice.choice((earn, earn, earn, redeem))(
            dice.randrange(50),
            customer_id=dice.choice(customer_ids),
            **dice.choice(({}, {"asset": FUEL, "brand_id": FUEL})),
            **dice.choice(({}, {"details": bytes(dice.choices(range(65, 91), k=number))})),
        )
        for number in dice.choices(range(1_000), k=count)
    ]


@pytest.mark.usefixtures("_hashing")
@pytest.mark.parametrize("customers", [1, 2, 3, 4, 5, 9, 40])
def test_rows_of_any_number_of_wallets_are_chained_as_the_plain_rules_say(customers):
    dice = Random(customers)
    customer_ids = ids(dice, customers)
    ledgers = Ledger(COLOMBIA, b"key"), ReferenceLedger(COLOMBIA, b"key")
    for ledger, customer_id in ((each, one) for each in ledgers for one in customer_ids):
        ledger.load_customer(customer_id, 0)
    for number in range(12):
        asked = sales(dice, customer_ids, count=dice.choice((1, 2, 3, 30, 80)))
        compiled, plain = (ledger.decide(asked, NOW + number) for ledger in ledgers)
        assert compiled.journal == plain.journal
        for ledger, batch in zip(ledgers, (compiled, plain), strict=True):
            (ledger.discard if number % 4 == 3 else ledger.publish)(batch)


def test_both_ways_of_hashing_go_on_from_each_other(compiled):
    compiled.publish(compiled.decide([earn(1), earn(2)], NOW))
    asked, journals = [earn(3), earn(4)], []
    for one_by_one in (True, False):
        core.hash_one_by_one(one_by_one)
        batch = compiled.decide(asked, NOW)
        journals.append(batch.journal)
        compiled.discard(batch)
    assert journals[0] == journals[1]
    assert [row.seq for row in decode(journals[0])] == [3, 4]


def test_a_batch_is_in_the_order_of_customers_and_then_of_arrival(compiled):
    dice = Random("order")
    customer_ids = [*ids(dice, 200), bytes(16), b"\xff" * 16]
    asked = [earn(1, customer_id=dice.choice(customer_ids)) for _ in range(600)]
    batch = compiled.decide(asked, NOW)
    assert batch.operations == sorted(asked, key=lambda operation: operation.customer_id)


# Invoices.


def invoice_hash(store_id, key):
    """Return the hash that the core finds claims by: 32 bits of FNV-1a."""
    value = 0xCBF29CE484222325 ^ store_id
    for character in (0, *key):  # the store counts as a character by itself
        value = (value ^ character) * 0x100000001B3 % 2**64
    return (value ^ value >> 32) % 2**32


def numbers_of_one_hash(store_id):
    """Return two invoice numbers that are found by the same hash."""
    seen = {}
    for number in (b"F%d" % each for each in range(1 << 20)):
        other = seen.setdefault(invoice_hash(store_id, number), number)
        if other != number:
            return other, number
    raise AssertionError("no two of a million numbers have a hash of 32 bits in common")


def test_another_invoice_with_the_same_hash_earns_too(ledger):
    one, other = numbers_of_one_hash(70)
    asked = [earn(1, store_id=70, invoice_number=number) for number in (one, other, one)]
    batch = ledger.decide(asked, NOW)
    refusals = [operation.refusal for operation in asked]
    assert refusals == [0, 0, Refusal.INVOICE_ALREADY_CLAIMED]
    assert [claim[2] for claim in batch.claims] == sorted((one, other))


def test_each_of_many_invoices_earns_once_however_it_is_written(ledger):
    dice = Random("invoices")
    numbers = [b"fac %d" % dice.randrange(300) for _ in range(500)]
    spelled = [
        dice.choice((number, number.upper(), b"-" + number[:5] + b".")) for number in numbers
    ]
    asked = [earn(1, store_id=70, invoice_number=number) for number in spelled]
    batch = ledger.decide(asked, NOW)
    once = {key_of(number, None) for number in spelled}
    assert [claim[2] for claim in batch.claims] == sorted(once)
    earned = [each for each in asked if each.refusal != Refusal.INVOICE_ALREADY_CLAIMED]
    assert len(earned) == len(once)


def test_an_invoice_of_a_refused_sale_is_still_to_be_claimed(ledger):
    barred = earn(1, store_id=70, invoice_number=b"F-1", barred=Refusal.INVOICE_VOIDED)
    too_much = earn(2**53, store_id=70, invoice_number=b"F-1", last_day=TODAY + 9)
    earns = earn(1, store_id=70, invoice_number=b"F-1", asset=CAFE)
    ledger.publish(ledger.decide([earn(1)], NOW))
    batch = ledger.decide([barred, too_much, earns], NOW)
    refusals = [each.refusal for each in (barred, too_much, earns)]
    assert refusals == [Refusal.INVOICE_VOIDED, Refusal.LIMIT_REACHED, 0]
    assert [claim[4] for claim in batch.claims] == [earns.transaction_id]

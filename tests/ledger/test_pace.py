"""The pace of a lane: what may wait is what is settled in time (rule 10)."""

import pytest
from verbs import ask, capture, earn, hold

from engine.codes import Kind
from engine.ledger.pace import Pace


def after(*batches, wait_ms=100, queue=4096, batch=512):
    pace = Pace(queue, batch, wait_ms)
    for operations, seconds in batches:
        pace.settled(operations, seconds)
    return pace


def test_before_the_first_batch_the_queue_is_as_long_as_it_is():
    assert after().operations_max == 4096


def test_what_may_wait_is_what_is_settled_within_the_time():
    assert after((100, 0.01)).operations_max == 1000
    assert after((100, 0.01), wait_ms=300).operations_max == 3000


def test_a_slow_database_has_a_whole_batch_all_the_same():
    assert after((512, 5.0)).operations_max == 512


def test_the_queue_is_the_limit_of_a_fast_one_and_of_what_is_urgent():
    pace = after((512, 0.001))
    assert (pace.operations_max, pace.urgent_max) == (4096, 4096)
    assert after((100, 0.01), queue=1500).urgent_max == 1500


def test_the_last_batches_count_most():
    slow_then_fast = after(*[(100, 1.0)] * 10, *[(100, 0.01)] * 30)
    assert 900 < slow_then_fast.operations_max <= 1000


@pytest.mark.parametrize("number", [999, 1000, 1999, 2000])
def test_coins_are_taken_twice_as_long_as_sales(number):
    pace = after((100, 0.01))
    payment = hold(1)
    for operation, most in (
        (earn(1), 1000),
        (ask(Kind.DONATION, requested=1, party_id=1), 1000),
        (payment, 2000),
        (capture(payment), 2000),
        (ask(Kind.BLOCK), 2000),
    ):
        assert pace.allows(operation, number) is (number < most)


def test_a_batch_is_half_of_what_waits_and_of_what_was_just_settled():
    assert after((60, 0.01)).share(30) == 45
    assert after((60, 0.01)).share(61) == 61
    assert after((60, 0.01)).share(161) == 111


def test_few_are_not_divided_and_no_batch_is_too_large():
    assert after().share(32) == 32
    assert after().share(33) == 17
    assert after((20, 0.01)).share(12) == 12
    assert after((512, 0.01)).share(4096) == 512
    assert after(batch=4).share(100) == 4


def test_clients_that_come_back_together_are_soon_in_two_batches_alike():
    pace, sizes, waiting, answered = after(), [], 64, 0
    for _ in range(12):
        size = min(waiting, pace.share(waiting))
        pace.settled(size, 0.01)
        waiting, answered = waiting - size + answered, size
        sizes.append(size)
    assert sizes[-2:] == [32, 32]

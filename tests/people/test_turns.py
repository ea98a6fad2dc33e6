"""Turns: known devices first, strangers by address in turn, and who is refused where all wait."""

from __future__ import annotations

import asyncio

import pytest

from engine.people.passwords import TooManySignIns
from engine.people.turns import Turns


class Queue:
    """Turns, with those who hold or took one in `took`, by name."""

    def __init__(self, at_once, waiting_max):
        self.turns = Turns(at_once, waiting_max)
        self.took = []
        self.tasks = {}
        self.ends = {}

    async def come(self, name, address=None):
        """Let somebody come, and see what happens at once."""
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._take(name, address))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _take(self, name, address):
        async with self.turns.turn(address):
            self.took.append(name)
            await self.ends[name].wait()

    async def end(self, name):
        self.ends[name].set()
        await asyncio.gather(self.tasks[name])
        await asyncio.sleep(0)

    async def end_all(self):
        for name in self.took:  # which grows as their turns come
            await self.end(name)

    def refused(self):
        return {
            name
            for name, task in self.tasks.items()
            if task.done() and isinstance(task.exception(), TooManySignIns)
        }


async def test_a_known_device_is_served_before_strangers_who_came_first():
    queue = Queue(1, 9)
    await queue.come("s1", "a")
    await queue.come("s2", "b")
    await queue.come("d1")
    await queue.come("d2")
    await queue.end_all()
    assert queue.took == ["s1", "d1", "d2", "s2"]


async def test_strangers_leave_a_place_to_known_devices():
    queue = Queue(2, 9)
    await queue.come("s1", "a")
    await queue.come("s2", "b")
    assert queue.took == ["s1"]
    await queue.come("d1")
    assert queue.took == ["s1", "d1"]
    await queue.end_all()
    assert queue.took == ["s1", "d1", "s2"]


async def test_devices_may_take_every_place():
    queue = Queue(2, 9)
    await queue.come("d1")
    await queue.come("d2")
    await queue.come("s1", "a")
    assert queue.took == ["d1", "d2"]
    await queue.end_all()
    assert queue.took == ["d1", "d2", "s1"]


async def test_each_address_has_its_turn_after_the_others():
    queue = Queue(1, 9)
    for number in range(4):
        await queue.come(f"a{number}", "a")
    await queue.come("b0", "b")
    await queue.come("c0", "c")
    await queue.come("b1", "b")
    await queue.end_all()
    assert queue.took == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]


async def test_where_too_many_wait_the_address_with_most_gives_up_its_last_one():
    queue = Queue(1, 3)
    for number in range(5):
        await queue.come(f"a{number}", "a")
    assert queue.refused() == {"a4"}
    await queue.come("b0", "b")
    assert queue.refused() == {"a4", "a3"}
    await queue.come("b1", "b")
    assert queue.refused() == {"a4", "a3", "b1"}, "they would have more than the others"
    await queue.end_all()
    assert queue.took == ["a0", "a1", "b0", "a2"]


async def test_strangers_take_no_room_of_devices_nor_devices_of_them():
    queue = Queue(1, 1)
    await queue.come("s0", "a")
    await queue.come("s1", "a")
    await queue.come("d0")
    await queue.come("d1")
    await queue.come("s2", "a")
    assert queue.refused() == {"d1", "s2"}
    await queue.end_all()
    assert queue.took == ["s0", "d0", "s1"]


async def test_where_nobody_may_wait_a_free_turn_is_taken_all_the_same():
    queue = Queue(1, 0)
    await queue.come("s0", "a")
    await queue.come("s1", "b")
    assert (queue.took, queue.refused()) == (["s0"], {"s1"})
    await queue.end("s0")
    await queue.come("s2", "b")
    assert queue.took == ["s0", "s2"]
    await queue.end_all()


async def test_who_hangs_up_makes_room_and_leaves_the_turn_to_the_next():
    queue = Queue(1, 2)
    await queue.come("s0", "a")
    await queue.come("s1", "b")
    await queue.come("s2", "b")
    queue.tasks["s1"].cancel()
    queue.tasks["s0"].cancel()
    await asyncio.wait([queue.tasks["s0"], queue.tasks["s1"]])
    await asyncio.sleep(0)
    assert queue.took == ["s0", "s2"]
    await queue.end("s2")
    await queue.come("s3", "a")
    assert queue.took == ["s0", "s2", "s3"], "no turn was lost"
    await queue.end("s3")


async def test_a_turn_whose_owner_hangs_up_before_they_take_it_goes_on():
    queue = Queue(1, 2)
    await queue.come("s0", "a")
    await queue.come("s1", "b")
    await queue.come("s2", "c")
    queue.ends["s0"].set()
    await asyncio.sleep(0)  # s0 ends, and the turn of s1 is there
    queue.tasks["s1"].cancel()
    await asyncio.wait([queue.tasks["s0"], queue.tasks["s1"]])
    await asyncio.sleep(0)
    assert queue.took == ["s0", "s2"]
    await queue.end("s2")


@pytest.mark.parametrize("address", [None, "a"])
async def test_a_failure_during_a_turn_gives_it_back(address):
    turns = Turns(1, 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with turns.turn(address):
                raise ZeroDivisionError

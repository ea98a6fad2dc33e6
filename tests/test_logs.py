"""What goes wrong many times a second is logged a few times, and the rest is counted."""

from __future__ import annotations

import json

import pytest
import structlog

from engine.logs import BURST_LINES_MAX, Limiter


class Written:
    """Takes what is written beside the lines."""

    def __init__(self) -> None:
        self.lines = []

    def msg(self, line):
        self.lines.append(json.loads(line))


@pytest.fixture
def limiter():
    """Give (a limiter, a clock of one number, what it writes)."""
    now = [100.0]
    return Limiter(lambda: now[0]), now, Written()


def let_through(limiter, written, event, count, level="warning", **more):
    """Return those of `count` lines that are let through."""
    lines = []
    for _ in range(count):
        try:
            lines.append(limiter(written, level, {"event": event, **more}))
        except structlog.DropEvent:
            continue
    return lines


def test_a_flood_of_one_event_is_cut_and_counted(limiter):
    limit, now, written = limiter
    assert len(let_through(limit, written, "resolver_failed", 300)) == BURST_LINES_MAX
    now[0] += 1.5
    (line,) = let_through(limit, written, "resolver_failed", 100)
    assert line["suppressed"] == 300 - BURST_LINES_MAX
    now[0] += 60
    assert let_through(limit, written, "resolver_failed", 1)[0]["suppressed"] == 99


def test_one_event_does_not_silence_another(limiter):
    limit, _, written = limiter
    let_through(limit, written, "resolver_failed", 300)
    assert len(let_through(limit, written, "worker_ended", 1, "error")) == 1


def test_what_was_cut_is_told_although_the_event_does_not_come_again(limiter):
    limit, now, written = limiter
    let_through(limit, written, "resolver_failed", 300)
    now[0] += 2
    let_through(limit, written, "ready_again", 1, "info")
    (told,) = written.lines
    assert (told["event"], told["of"]) == ("lines_suppressed", "resolver_failed")
    assert told["suppressed"] == 300 - BURST_LINES_MAX
    assert told["timestamp"]


def test_every_request_is_logged_but_those_that_fail_are_limited(limiter):
    limit, _, written = limiter
    assert len(let_through(limit, written, "request", 300, "info", status=201)) == 300
    assert len(let_through(limit, written, "request", 300, "info", status=503)) < 20

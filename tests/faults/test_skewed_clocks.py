"""Two engines on one database whose clocks differ: QR codes and payments work at both (COI-6)."""

from __future__ import annotations

import re
import time
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
from harness import HASTE, People, running
from traffic import faults_of

from engine.people.qr import LIFETIME_S, SKEW_S, make_qr, read_qr

SALE = {"amount": 5_400_000, "currency": "COP"}
CODE = re.compile(r"es (\d{4})\.")
SECRET = "what both make the codes of payments with"
LAUNCHER = str(Path(__file__).parent / "skewed_clock.py")
AHEAD_S = SKEW_S - 1


@pytest.fixture(scope="module")
def engines(loaded_network, database, tmp_path_factory):
    """Give an engine with the true time, and one that is as far ahead as is allowed."""
    engines = [
        loaded_network.engine(
            *(database, tmp_path_factory.mktemp("worker"), *HASTE, "--secret", SECRET),
            command=command,
        )
        for command in (("-m", "engine"), (LAUNCHER, str(AHEAD_S)))
    ]
    with running(engines):
        yield engines


@pytest.fixture(scope="module")
def people(engines):
    return People(engines[0].demo)


@pytest.fixture
async def payer(two, people):
    person = people.complete()
    assert (await two[0].store.accumulate(person["customer_id"], **SALE)).status == 201
    return person


@pytest.mark.parametrize("made_by", [0, 1], ids=["behind", "ahead"])
async def test_a_qr_of_either_pays_at_the_other_once(two, payer, made_by):
    maker, payer_at = two[made_by], two[1 - made_by]
    customer_id = payer["customer_id"]
    shown = (await maker.app.qr(customer_id)).json
    paid = await payer_at.store.pay(customer_id, "there", coins=100, qr=shown["qr"])
    assert (paid.status, paid.json["status"]) == (201, "succeeded")
    for client in (maker, payer_at):
        replay = await client.store.pay(customer_id, coins=100, qr=shown["qr"])
        assert (replay.status, replay.code) == (409, "qr_invalid")
        retried = await client.store.pay(customer_id, "there", coins=100, qr=shown["qr"])
        assert (retried.json, retried.replayed) == (paid.json, True)
    assert await maker.store.coins(customer_id) == 440
    assert await faults_of(two[2], []) == []


async def test_a_qr_that_is_over_by_one_clock_or_forged_pays_at_none(two, payer):
    customer_id = payer["customer_id"]
    raw, key, now_s = UUID(customer_id).bytes, sha256(SECRET.encode()).digest(), int(time.time())
    over = make_qr(key, raw, now_s - LIFETIME_S + AHEAD_S - 1)  # by the clock that is ahead
    fresh = make_qr(key, raw, now_s)
    assert read_qr(key, over, now_s) is not None
    ahead = await two[1].store.pay(customer_id, coins=1, qr=over)
    assert (ahead.status, ahead.code) == (409, "qr_invalid")
    future = make_qr(key, raw, now_s + SKEW_S + AHEAD_S + 60)
    forged = make_qr(key[::-1], raw, now_s)
    changed = fresh[:-1] + ("A" if fresh[-1] != "A" else "B")
    for qr in (future, forged, changed):
        for client in two[:2]:
            reply = await client.store.pay(customer_id, coins=1, qr=qr)
            assert (reply.status, reply.code) == (409, "qr_invalid")
    assert (await two[1].store.pay(customer_id, coins=1, qr=fresh)).status == 201
    assert await two[0].store.coins(customer_id) == 539


@pytest.mark.parametrize("begun_at", [0, 1], ids=["behind", "ahead"])
async def test_a_payment_of_either_is_confirmed_at_the_other(two, engines, payer, begun_at):
    begins, confirms = two[begun_at], two[1 - begun_at]
    customer_id = payer["customer_id"]
    held = await begins.store.pay(customer_id, coins=100)
    lines = [line["text"] for line in engines[begun_at].outbox() if line["to"] == payer["phone"]]
    code = CODE.search(lines[-1])[1]
    paid = await confirms.store.confirm(customer_id, held.json["payment_id"], code)
    assert (paid.status, paid.json["status"]) == (200, "succeeded")
    assert paid.json["recorded_at"] < held.json["expires_at"]
    for client in (begins, confirms):
        read = await client.store.payment(customer_id, paid.json["payment_id"])
        assert read.json == paid.json
    assert await faults_of(two[2], []) == []

"""Who was found by their QR is there, at that store, for minutes and one payment (COI-10)."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from uuid import UUID, uuid4

import pytest

from engine.people.presence import SECONDS_BACK_MAX, Presence, presence_token, read_presence
from engine.people.qr import LIFETIME_S, make_qr

COINS_MAX = 500
LIFETIME_OF_PRESENCE_S = 300


@pytest.fixture(scope="module")
def engine_flags():
    return ("--presence-coins-max", str(COINS_MAX))


@pytest.fixture
async def payer(api, people):
    """Return a customer with 5000 coins."""
    person = people.complete()
    reply = await api.store.accumulate(person["customer_id"], amount=50_000_000, currency="COP")
    assert reply.status == 201
    return person


@pytest.fixture
def customer_id(payer):
    return payer["customer_id"]


async def qr_of(api, customer_id):
    reply = await api.app.qr(customer_id)
    assert reply.status == 200
    return reply.json["qr"]


async def presence_of(client, qr):
    reply = await client.lookup(qr=qr)
    assert reply.status == 200
    return reply.json["presence"]


def refused(reply):
    return (reply.status, reply.code) == (409, "qr_invalid")


async def test_a_presence_pays_without_a_code_and_once(api, customer_id):
    qr = await qr_of(api, customer_id)
    presence = await presence_of(api.store, qr)
    ends_at = datetime.fromisoformat(presence["expires_at"]).timestamp()
    assert LIFETIME_OF_PRESENCE_S - 5 < ends_at - time.time() <= LIFETIME_OF_PRESENCE_S
    key = str(uuid4())
    paid = await api.store.pay(customer_id, key, coins=100, presence=presence["token"])
    assert (paid.status, paid.json["status"]) == (201, "succeeded")
    again = await api.store.pay(customer_id, key, coins=100, presence=presence["token"])
    assert again.replayed
    assert again.json == paid.json
    assert refused(await api.store.pay(customer_id, coins=100, presence=presence["token"]))
    assert refused(await api.store.pay(customer_id, coins=100, qr=qr))
    assert refused(await api.store.lookup(qr=qr))


async def test_a_qr_and_its_presences_pay_once_together(api, customer_id):
    qr = await qr_of(api, customer_id)
    tokens = [(await presence_of(api.store, qr))["token"] for _ in range(2)]
    asked = [{"presence": tokens[0]}, {"qr": qr}, {"presence": tokens[1]}, {"qr": qr.lower()}]
    replies = await asyncio.gather(
        *(api.store.pay(customer_id, coins=100, **proof) for proof in asked)
    )
    assert sorted(reply.status for reply in replies) == [201, 409, 409, 409]
    assert all(refused(reply) for reply in replies if reply.status != 201)
    both = await api.store.pay(customer_id, coins=1, qr=qr, presence=tokens[0])
    assert (both.status, both.code) == (400, "invalid_request")


async def test_a_presence_outlives_its_qr(api, secret, customer_id):
    raw, now_s = UUID(customer_id).bytes, int(time.time())
    over = Presence(raw, 1, now_s - LIFETIME_S - 60, now_s + 100)
    token = presence_token(secret, over)
    assert (await api.store.pay(customer_id, coins=1, presence=f"\t{token}\r\n")).status == 201


async def test_a_presence_is_of_one_customer_at_one_store_for_its_time(
    api, secret, people, customer_id
):
    other = people.complete()["customer_id"]
    raw, now_s = UUID(customer_id).bytes, int(time.time())
    good = Presence(raw, 1, now_s, now_s + 100)
    token = presence_token(secret, good)
    changed = ("B" if token[0] != "B" else "C") + token[1:]
    for wrong in (
        presence_token(secret, Presence(UUID(other).bytes, 1, now_s, now_s + 100)),
        presence_token(secret, Presence(raw, 2, now_s, now_s + 100)),
        presence_token(secret, Presence(raw, 1, now_s - 400, now_s - 1)),
        presence_token(bytes(32), good),
        changed,
        token[:-1],
        "x",
        "ñ",
        make_qr(secret, raw, now_s),
    ):
        assert refused(await api.store.pay(customer_id, coins=1, presence=wrong)), wrong
    assert (await api.store.pay(customer_id, coins=1, presence=token)).status == 201


async def test_above_the_limit_a_code_is_asked_for_all_the_same(api, engine, payer):
    customer_id = payer["customer_id"]
    qr = await qr_of(api, customer_id)
    token = (await presence_of(api.store, qr))["token"]
    key = str(uuid4())
    held = await api.store.pay(customer_id, key, coins=COINS_MAX + 1, presence=token)
    assert (held.status, held.json["status"]) == (201, "requires_code")
    again = await api.store.pay(customer_id, key, coins=COINS_MAX + 1, presence=token)
    assert (again.replayed, again.json["status"]) == (True, "requires_code")
    paid = await api.store.pay(customer_id, coins=COINS_MAX, presence=token)
    assert paid.json["status"] == "succeeded"


async def test_a_qr_serves_the_first_store_that_looks_it_up(api, customer_id):
    qr = await qr_of(api, customer_id)
    for _ in range(3):
        await presence_of(api.store, qr)
    assert refused(await api.other_store.lookup(qr=qr))
    assert refused(await api.other_store.pay(customer_id, coins=1, qr=qr))
    assert (await api.network.lookup(qr=qr)).status == 200
    assert (await api.store.pay(customer_id, coins=1, qr=qr)).status == 201


async def test_of_two_stores_at_the_same_instant_one_is_served(api, people):
    for customer_id in people.several(5):
        qr = await qr_of(api, customer_id)
        clients = [api.store, api.other_store] * 3
        replies = await asyncio.gather(*(client.lookup(qr=qr) for client in clients))
        served = {
            client.key
            for client, reply in zip(clients, replies, strict=True)
            if reply.status == 200
        }
        assert len(served) == 1
        assert sum(refused(reply) for reply in replies) == 3


async def test_who_has_no_store_is_told_no_presence_and_binds_nothing(api, customer_id):
    qr = await qr_of(api, customer_id)
    for client in (api.network, api.brand, api.app):
        found = await client.lookup(qr=qr)
        assert found.status == 200
        assert "presence" not in found.json
    assert "presence" in (await api.other_store.lookup(qr=qr)).json


async def test_found_by_anything_else_nobody_is_present(api, payer):
    for kind in ("document", "phone", "email"):
        assert "presence" not in (await api.store.lookup(**{kind: payer[kind]})).json


async def test_what_a_scanner_adds_to_a_qr_is_dropped(api, customer_id):
    qr = await qr_of(api, customer_id)
    for sent in (
        f"]Q1{qr}",
        f"]q3{qr.lower()}",
        f"\x02]Q1{qr}\x03\r\n",
        f"]d2 {qr}\t",
        f"\ufeff{qr}\x00",
        qr.swapcase(),
    ):
        assert (await api.store.lookup(qr=sent)).status == 200, ascii(sent)
    for sent in (f"]{qr}", f"]Q{qr}", f"]Q1]Q1{qr}", f"Q{qr}", f"{qr[:20]} {qr[20:]}"):
        assert refused(await api.store.lookup(qr=sent)), sent
    paid = await api.store.pay(customer_id, coins=1, qr=f"]Q1{qr}\r\n")
    assert (paid.status, paid.json["status"]) == (201, "succeeded")


async def test_a_qr_that_is_handed_out_can_pay_however_soon_after_another(api, customer_id):
    used = set()
    for _ in range(SECONDS_BACK_MAX + 4):
        qr = await qr_of(api, customer_id)
        assert qr not in used
        used.add(qr)
        assert (await api.store.pay(customer_id, coins=1, qr=qr)).status == 201


async def test_a_qr_that_a_store_looked_up_is_not_handed_out_for_another(api, customer_id):
    first = await qr_of(api, customer_id)
    await presence_of(api.store, first)
    second = await qr_of(api, customer_id)
    assert second != first
    assert (await api.other_store.lookup(qr=second)).status == 200


async def test_a_stale_qr_is_a_stale_qr_and_costs_no_look_up(api, secret, customer_id):
    raw, now_s = UUID(customer_id).bytes, int(time.time())
    for age_s in (LIFETIME_S + 1, 3600, 86_400 * 30):
        reply = await api.store.lookup(qr=make_qr(secret, raw, now_s - age_s))
        assert refused(reply)
        assert reply.json["title"] == "The QR code is not valid"


@pytest.mark.parametrize("store_id", [1, 2**31 - 1])
def test_a_token_says_what_was_put_into_it(store_id):
    presence = Presence(uuid4().bytes, store_id, 1_796_000_000, 1_796_000_300)
    token = presence_token(b"s" * 32, presence)
    assert len(token) <= 100
    assert read_presence(b"s" * 32, token, 1_796_000_300) == presence
    assert read_presence(b"s" * 32, token, 1_796_000_301) is None
    assert read_presence(b"t" * 32, token, 1_796_000_000) is None

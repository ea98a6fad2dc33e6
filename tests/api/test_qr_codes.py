"""The QR of the customer's app: made for the app, and found with at a till (CUS-2, SYS-6)."""

from __future__ import annotations

import re
import time
from datetime import datetime
from uuid import UUID, uuid4

from engine.people.qr import LIFETIME_S, make_qr


async def test_the_app_shows_what_a_till_finds_the_customer_by(api, customer_id):
    before = time.time()
    reply = await api.app.qr(customer_id)
    assert reply.status == 200
    assert set(reply.json) == {"qr", "expires_at"}
    assert re.fullmatch("[A-Z0-9]{39}", reply.json["qr"])
    expires_at = datetime.fromisoformat(reply.json["expires_at"]).timestamp()
    assert before - 1 <= expires_at - LIFETIME_S <= time.time()
    for client in (api.network, api.store, api.store, api.network):
        found = await client.lookup(qr=reply.json["qr"])
        assert found.status == 200
        assert found.json["customer"] == (await client.customer(customer_id)).json
        assert found.json["wallets"] == (await client.wallets(customer_id)).json["wallets"]


async def test_it_is_of_that_customer_alone(api, people):
    first, second = people.several(2)
    shown = [(await api.app.qr(one)).json["qr"] for one in (first, second)]
    assert shown[0] != shown[1]
    for qr, customer_id in zip(shown, (first, second), strict=True):
        found = await api.store.lookup(qr=qr)
        assert found.json["customer"]["customer_id"] == customer_id


async def test_a_qr_that_is_too_old_is_not_valid(api, secret, customer_id):
    raw, now_s = UUID(customer_id).bytes, int(time.time())
    assert (await api.store.lookup(qr=make_qr(secret, raw, now_s))).status == 200
    for made_s in (now_s - LIFETIME_S - 1, now_s - 86_400, now_s + 3600):
        reply = await api.store.lookup(qr=make_qr(secret, raw, made_s))
        assert (reply.status, reply.code) == (409, "qr_invalid")


async def test_a_qr_that_is_not_ours_is_not_valid(api, secret, customer_id):
    good = (await api.app.qr(customer_id)).json["qr"]
    changed = good[:-1] + ("A" if good[-1] != "A" else "B")
    forged = make_qr(bytes(32), UUID(customer_id).bytes, int(time.time()))
    nobody = make_qr(secret, uuid4().bytes, int(time.time()))
    for qr in (changed, forged, nobody, good[:-1], good + "A", "A" * 39, "Z" * 39, "ñ" * 39, "x"):
        reply = await api.store.lookup(qr=qr)
        assert (reply.status, reply.code) == (409, "qr_invalid")


async def test_nobody_has_no_qr(api):
    for customer_id in (str(uuid4()), "1"):
        reply = await api.app.qr(customer_id)
        assert (reply.status, reply.code) == (404, "customer_not_found")


async def test_it_is_for_the_app_alone(api, customer_id):
    for client in (api.network, api.brand, api.store):
        assert (await client.qr(customer_id)).status == 403


async def test_a_body_is_not_wanted(api, customer_id):
    path = f"/v1/customers/{customer_id}/qr"
    assert (await api.app.request("POST", path, {})).status == 200
    reply = await api.app.request("POST", path, {"lifetime_s": 1_000_000})
    assert (reply.status, reply.code) == (400, "invalid_request")

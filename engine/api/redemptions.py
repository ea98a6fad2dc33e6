"""Redemptions: points become a reward, at once (RED-5)."""

from __future__ import annotations

import time

import orjson

from engine.api.answers import raise_refusal, redemption_answer
from engine.api.door import Call, answer, read_body
from engine.api.identity import customer_id_of, fingerprint, idempotency_key_of, transaction_id
from engine.api.places import item_of, store_of
from engine.api.problems import Problem
from engine.api.reply import Reply
from engine.api.services import Services
from engine.api.shapes.transactions import Redemption
from engine.api.wire import Wire, fingerprint_fields
from engine.ledger.core import Operation
from engine.ledger.vocabulary import Kind, Refusal
from engine.programme.items import ItemKind

WIRE = Wire(Redemption)


async def redeem(services: Services, call: Call) -> Reply:
    """`POST /v1/customers/{customer_id}/redemptions`."""
    customer_id = customer_id_of(call.params)
    key = idempotency_key_of(call.request)
    body = WIRE.decode(await read_body(services, call.request))
    snapshot = services.catalogue.now
    reward = item_of(snapshot, call.principal, ItemKind.REWARD, body.reward_id)
    store = store_of(snapshot, call.principal, body.store_id)
    if store.brand.brand_id != reward.brand.brand_id:
        raise Problem("reward_not_found", f"There is no reward {reward.item_id} of this store.")
    item = {"reward_id": reward.item_id, "name": reward.name, "points": reward.points}
    operation = Operation(
        kind=Kind.REDEMPTION,
        customer_id=customer_id,
        transaction_id=transaction_id(call.principal, customer_id, str(key)),
        fingerprint=fingerprint("redemption", fingerprint_fields(body), store.store_id),
        brand_id=reward.brand.brand_id,
        store_id=store.store_id,
        asset=reward.brand.brand_id,
        requested=reward.points,
        utc_offset=reward.brand.utc_offset,
        occurred_at=time.time_ns() // 1000,
        details=orjson.dumps({"item": item}),
        needs_profile=True,
        barred=0 if reward.on_offer(time.time()) else Refusal.NOT_AVAILABLE,
    )
    decided, replayed = await services.committer.submit(operation)
    raise_refusal(decided, replayed=replayed)
    return answer(redemption_answer(decided), 201, replayed=replayed)

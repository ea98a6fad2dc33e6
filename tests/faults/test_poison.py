"""One bad operation fails alone: whatever is wrong with it, and wherever it stands in its batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import orjson
import pytest
from harness import connection_to, settings_for

from engine.app import committer_of
from engine.codes import Kind
from engine.errors import Quarantined
from engine.ledger.core import Operation
from engine.metrics import Metrics

SALE = {"amount": 100_000, "currency": "COP"}
ITEMS = 6
STRANGER = str(UUID(int=7))
LONG_AGO = (datetime.now(UTC) - timedelta(days=30)).isoformat()

POISON = {
    "a fraction": ({"amount": 10.9}, 400),
    "a whole float": ({"amount": 10.0}, 400),
    "true for a number": ({"amount": True}, 400),
    "a text for a number": ({"amount": "100000"}, 400),
    "an amount below zero": ({"amount": -1}, 400),
    "an amount of 2^63": ({"amount": 2**63}, 400),
    "an amount of 2^64": ({"amount": 2**64 - 1}, 400),
    "no amount": ({"amount": None}, 400),
    "a field that nobody knows": ({"balance": 10**9}, 400),
    "another currency": ({"currency": "USD"}, 400),
    "a currency that is none": ({"currency": "cop"}, 400),
    "a NUL in a text": ({"invoice_number": "F\0G"}, 400),
    "a control character": ({"invoice_number": "F\x1bG"}, 400),
    "an invoice number too long": ({"invoice_number": "F" * 10_000}, 400),
    "a lone surrogate": (rb'{"type":"accumulation","customer_id":"\ud800"}', 400),
    "an item too large": ({"invoice_number": "F" * 20_000}, 413),
    "deep nesting": (b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", 400),
    "broken JSON": (b'{"type":"accumulation",', 400),
    "bytes that are no UTF-8": (b'{"type":"\xff\xfe"}', 400),
    "a customer that is nobody": ({"customer_id": STRANGER}, 404),
    "a customer that is no id": ({"customer_id": "42"}, 400),
    "a store of others": ({"store_id": 2**31 - 1}, 404),
    "a sale of long ago": ({"occurred_at": LONG_AGO}, 400),
    "a moment without an offset": ({"occurred_at": "2026-01-01T00:00:00"}, 400),
    "a verb that is not taken": ({"type": "payment"}, 400),
    "no key": ({"idempotency_key": ""}, 400),
    "a key too long": ({"idempotency_key": "k" * 256}, 400),
}


@pytest.mark.parametrize("kind", POISON)
async def test_an_upload_does_all_but_the_bad_item(api, people, kind):
    bad, status = POISON[kind]
    customers = people.several(2)
    done = 0
    for place in range(ITEMS):
        items = [
            {"type": "accumulation", "idempotency_key": str(uuid4()), "customer_id": who} | SALE
            for who in (customers * ITEMS)[:ITEMS]
        ]
        lines = [orjson.dumps(item) for item in items]
        lines[place] = bad if isinstance(bad, bytes) else orjson.dumps(items[place] | bad)
        reply = await api.store.request("POST", "/v1/transactions", b"\n".join(lines))
        assert reply.status == 200, reply
        told = [one["status"] for one in reply.json["results"]]
        assert (told[place] == status, told.count(201)) == (True, ITEMS - 1), reply.json
        done += ITEMS - 1
    balances = [await api.store.points(who, 1) for who in customers]
    assert sum(balances) == done


# What the database refuses, and no check before it has seen.

REFUSING = """
create function refuse_poison() returns trigger language plpgsql as $$
begin
    if new.requested = 666 then raise exception 'poison'; end if;
    return new;
end $$;
create trigger poison before insert on journal for each row execute function refuse_poison();
"""
BATCH = 16


def sale(customer, points):
    return Operation(
        kind=Kind.ACCUMULATION,
        customer_id=UUID(customer).bytes,
        transaction_id=uuid4().bytes,
        asset=1,
        brand_id=1,
        store_id=1,
        requested=points,
        expires_day=30_000,
    )


async def test_what_the_database_refuses_is_taken_out_at_any_place_of_a_batch(
    dsn, tmp_path, people
):
    customers = sorted(people.several(BATCH), key=lambda text: UUID(text).bytes)
    metrics = Metrics()
    async with connection_to(dsn) as connection:
        await connection.execute(REFUSING)
        async with committer_of(settings_for(tmp_path), dsn, metrics) as committer:
            for place in range(BATCH):
                points = [666 if at == place else 10 for at in range(BATCH)]
                asked = [sale(*each) for each in zip(customers, points, strict=True)]
                results = await committer.submit_many(asked)
                bad = [at for at, one in enumerate(results) if isinstance(one, Exception)]
                assert bad == [place]
                assert isinstance(results[place], Quarantined)
        balances = await connection.fetch(
            "select distinct on (customer_id) balance from journal where asset = 1"
            " order by customer_id, seq desc"
        )
        assert [row["balance"] for row in balances] == [10 * (BATCH - 1)] * BATCH
    refused = metrics.registry.get_sample_value("leal_append_failures_total", {"sqlstate": "P0001"})
    # Each batch is halved until the bad one is alone: 1 + log2 of its size appends were refused.
    assert refused == BATCH * (1 + BATCH.bit_length() - 1)

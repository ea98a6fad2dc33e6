"""What people type stays out of logs, metrics and errors, whatever goes wrong with it."""

from __future__ import annotations

import asyncio
import re
from itertools import count

import pytest
from harness import People, clients_of, connection_to
from test_database import KILL_BACKENDS

SALE = {"amount": 5_400_000, "currency": "COP"}
numbers = count(1)
METRIC_LINES_MAX = 1000


class Planted:
    """Texts that can be found again, of every kind that people type."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def _keep(self, text: str) -> str:
        self.all.append(text)
        return text

    def word(self) -> str:
        return self._keep(f"Xyzzy{next(numbers):05}q")

    def digits(self, start: str) -> str:
        return self._keep(f"{start}{next(numbers):07}")

    def email(self) -> str:
        return f"{self.word()}@example.com".lower()

    def found_in(self, text: str) -> list[str]:
        return [one for one in self.all if re.search(re.escape(one), text, re.IGNORECASE)]


@pytest.fixture
def planted():
    return Planted()


async def everything_once(clients, planted, people):
    """Send each kind of input, well-formed and not, with something to be found in each field."""
    customer_id = people.complete()["customer_id"]
    store, replies = clients.store, []

    async def send(*args, **more):
        replies.append(await args[0](*args[1:], **more))
        return replies[-1]

    registration = {
        "document": {"type": "PA", "number": planted.word()},
        "email": planted.email(),
        "phone": planted.digits("+57311"),
        "first_names": planted.word(),
        "last_names": planted.word(),
    }
    made = await send(store.register, **registration)
    assert made.status == 201
    await send(store.register, **registration)
    await send(store.register, **registration | {"nickname": planted.word()})
    await send(store.register, **registration | {"gender": planted.word()})
    for body in (
        *({"phone": planted.digits("+57312")}, {"phone": planted.word()}, {"qr": planted.word()}),
        *({"email": planted.email()}, {"document": {"type": "CC", "number": planted.word()}}),
        {"email": registration["email"]},
    ):
        await send(store.lookup, **body)
    own = f"/v1/customers/{made.json['customer_id']}"
    await send(store.request, "PATCH", own, {"last_names": planted.word()})
    await send(store.request, "PATCH", own, {"birth_date": planted.word()})
    invoice = {"invoice_number": planted.word()}
    await send(store.accumulate, customer_id, planted.word(), **SALE, **invoice)
    await send(store.accumulate, customer_id, planted.word(), **SALE, **invoice)
    await send(store.accumulate, customer_id, planted.word(), amount=planted.word())
    await send(store.accumulate, planted.word(), planted.word(), **SALE)
    await send(store.print, 1, planted.word())
    await send(store.print, 1, planted.word(), currency=planted.word())
    paid = await send(store.pay, customer_id, planted.word(), coins=3)
    await send(store.confirm, customer_id, paid.json["payment_id"], planted.word())
    await send(store.pay, customer_id, planted.word(), coins=3, qr=planted.word())
    sale = await send(store.accumulate, customer_id, planted.word(), **SALE)
    undo = sale.json["transaction_id"]
    await send(store.reverse, customer_id, undo, planted.word(), reason=planted.word())
    block = f"/v1/customers/{made.json['customer_id']}/block"
    await send(clients.network.request, "POST", block, {"reason": planted.word()})
    item = {"idempotency_key": planted.word(), "phone": planted.digits("+57313")} | SALE
    await send(store.upload, [item, item | {"amount": planted.word()}])
    await send(store.request, "POST", "/v1/transactions", planted.word().encode())
    await send(store.request, "GET", f"/v1/{planted.word()}", params={"q": planted.word()})
    await send(clients.with_key(planted.word()).wallets, customer_id)
    await send(clients.with_key(f"lk_{planted.word()}_{planted.word()}").wallets, customer_id)
    sign_in = {"store_id": 1, "user": planted.word(), "password": planted.word()}
    await send(clients.anonymous.request, "POST", "/v1/sessions", sign_in)
    cashier = {"user": planted.word(), "password": planted.word(), "name": planted.word()}
    await send(clients.brand.request, "POST", "/v1/brands/1/cashiers", cashier | {"store_id": 1})
    return replies


async def test_what_is_typed_is_in_no_log_metric_or_error(
    loaded_network, dsn, make_engine, planted
):
    engine = make_engine(loaded_network, dsn, "--log-requests")
    await asyncio.to_thread(engine.start)
    server_log = loaded_network.folder / "postgres.log"
    began_at = server_log.stat().st_size
    people = People(engine.demo)
    async with clients_of(engine) as clients, connection_to(dsn) as connection:
        replies = await everything_once(clients, planted, people)
        assert len({reply.status for reply in replies}) >= 6
        # Once more while the connections under them are killed, so that errors are told of.
        broken = asyncio.create_task(everything_once(clients, planted, people))
        while not broken.done():
            await connection.fetchval(KILL_BACKENDS)
            await asyncio.sleep(0.01)
        await asyncio.gather(broken, return_exceptions=True)
        metrics = (await clients.anonymous.request("GET", "/metrics")).json.decode()
        texts = [message["text"] for message in engine.outbox()]
    engine.terminate()
    logged = "\n".join([*map(str, engine.logs), *engine.other_lines])
    assert len(engine.events("request")) > len(replies)
    assert planted.found_in(logged) == []
    assert planted.found_in(metrics) == []
    assert len(metrics.splitlines()) < METRIC_LINES_MAX
    with server_log.open("rb") as log:
        log.seek(began_at)
        assert planted.found_in(log.read().decode()) == []
    assert any("código" in text for text in texts)
    assert not [text for text in texts if text in logged]
    for reply in replies:
        if reply.status >= 400:
            assert planted.found_in(str(reply.json)) == [], reply
    assert engine.demo["keys"]["store"]["key"].split("_")[2] not in logged + metrics

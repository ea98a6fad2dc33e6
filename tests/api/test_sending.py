"""Payments whose codes go through gateways, good ones and bad ones (SYS-8, COI-6)."""

from __future__ import annotations

import asyncio
import re

import orjson
import pytest
from gateway import SECRET, open_gateway, open_mailbox
from harness import clients_of, until

CODE = re.compile(r"es (\d{4})\.")


@pytest.fixture
async def gateway():
    async with open_gateway() as gateway:
        yield gateway


@pytest.fixture
async def mailbox():
    async with open_mailbox() as mailbox:
        yield mailbox


@pytest.fixture
async def serve(loaded_network, database, tmp_path):
    """Give what starts an engine on the module's database; it returns the engine."""
    engines = []

    async def serve(*flags):
        engine = loaded_network.engine(database, tmp_path / f"engine-{len(engines)}", *flags)
        engines.append(engine)
        return await asyncio.to_thread(engine.start)

    yield serve
    for engine in engines:
        await asyncio.to_thread(engine.stop)


@pytest.fixture(scope="module")
def payers(loaded_network):
    """Return customers that no test of the module has used yet."""
    demo = orjson.loads((loaded_network.folder / "demo.json").read_bytes())
    return iter([one for one in demo["customers"] if one["profile_complete"]])


async def sent(clients, name="codes"):
    """Return how many messages the metrics have, by outcome."""
    told = (await clients.anonymous.request("GET", "/metrics")).json.decode()
    found = re.findall(rf'leal_{name}_sent_total\{{outcome="(\w+)"\}} (\d+)', told)
    return {outcome: int(number) for outcome, number in found if int(number)}


async def with_coins(clients, payers):
    payer = next(payers)
    sale = {"amount": 10_000_000, "currency": "COP"}
    assert (await clients.store.accumulate(payer["customer_id"], **sale)).status == 201
    return payer


async def test_a_slow_or_broken_gateway_holds_no_payment_up(gateway, serve, payers):
    engine = await serve(
        *("--sender", "webhook", "--sms-webhook-url", gateway.url),
        *("--sms-webhook-secret", SECRET, "--send-timeout-ms", "30000"),
    )
    async with clients_of(engine) as clients:
        store, payer = clients.store, await with_coins(clients, payers)
        customer_id = payer["customer_id"]
        # It takes the message and says nothing: the payment is answered all the same.
        gateway.stall = asyncio.Event()
        held = await store.pay(customer_id, "stalled", coins=100)
        assert (held.status, held.json["status"]) == (201, "requires_code")
        assert await sent(clients) == {}
        again = await store.pay(customer_id, "stalled", coins=100)
        assert (again.json, again.replayed) == (held.json, True)
        gateway.stall.set()

        async def all_sent():
            return await sent(clients) == {"sent": 1}

        await until(all_sent)
        ((webhook_id, told),) = gateway.received
        assert webhook_id == held.json["payment_id"]
        assert (told["channel"], told["to"]) == ("sms", payer["phone"])
        assert told["expires_at"][:19] == held.json["expires_at"][:19]
        code = CODE.search(told["text"])[1]
        paid = await store.confirm(customer_id, held.json["payment_id"], code)
        assert paid.status == 200
        # It refuses the message for good: the cashier sends it again.
        gateway.statuses.append(400)
        held = await store.pay(customer_id, "refused", coins=100)
        assert held.status == 201
        resent = await store.resend(customer_id, held.json["payment_id"])
        assert resent.json["resends_left"] == 2
        # Or retries the payment, which costs no resend.
        gateway.statuses.append(400)
        held = await store.pay(customer_id, "retried", coins=100)
        again = await store.pay(customer_id, "retried", coins=100)
        assert (again.json["resends_left"], again.replayed) == (3, True)
        texts = [told["text"] for _, told in gateway.received[1:]]
        assert len(texts) == 4
        assert texts[2] == texts[3]
        code = CODE.search(texts[3])[1]
        assert (await store.confirm(customer_id, held.json["payment_id"], code)).status == 200
        # It has a bad moment: it is tried again without anybody's doing.
        gateway.statuses += [500, None]
        held = await store.pay(customer_id, "bad moment", coins=100)

        async def all_tried():
            return await sent(clients) == {"sent": 4, "failed": 2, "retried": 2}

        await until(all_tried)
        assert [webhook_id for webhook_id, _ in gateway.received[-3:]] == [
            held.json["payment_id"]
        ] * 3
        code = CODE.search(gateway.received[-1][1]["text"])[1]
        assert (await store.confirm(customer_id, held.json["payment_id"], code)).status == 200
        logged = str(engine.logs)
        assert len(engine.events("message_not_sent")) == 4
        for private in (SECRET, SECRET.removeprefix("whsec_"), payer["phone"], "su código"):
            assert private not in logged
        assert engine.outbox() == []


async def test_where_there_is_only_mail_codes_and_notices_go_by_mail(mailbox, serve, payers):
    engine = await serve("--sender", "smtp", "--smtp-url", mailbox.url)
    async with clients_of(engine) as clients:
        store, payer = clients.store, await with_coins(clients, payers)
        customer_id, email = payer["customer_id"], payer["email"]
        held = await store.pay(customer_id, coins=100)
        assert held.json["sent_to"] == f"{email[0]}***@{email.partition('@')[2]}"
        await until(lambda: len(mailbox.taken) == 1)
        assert mailbox.taken[0]["To"] == email
        # Whoever changes it at a till does not get the codes, and the holder is told.
        changed = await store.update(customer_id, email="somebody.else@example.com")
        assert changed.status == 200
        await until(lambda: len(mailbox.taken) == 2)
        resent = await store.resend(customer_id, held.json["payment_id"])
        await until(lambda: len(mailbox.taken) == 3)
        assert [one["To"] for one in mailbox.taken] == [email] * 3
        assert "cambió" in mailbox.taken[1].get_content()
        code = CODE.search(mailbox.taken[2].get_content())[1]
        paid = await store.confirm(customer_id, resent.json["payment_id"], code)
        assert paid.status == 200
        assert await sent(clients, "notices") == {"sent": 1}
        assert (await store.update(customer_id, phone="+573105550199")).status == 200
        assert await sent(clients, "notices") == {"sent": 1}  # no way to reach the old phone


async def test_what_waits_for_the_gateway_at_the_end_still_goes_out(gateway, serve, payers):
    engine = await serve(
        *("--sender", "webhook", "--sms-webhook-url", gateway.url),
        *("--sms-webhook-secret", SECRET, "--send-wait-ms", "0", "--send-timeout-ms", "20000"),
    )
    async with clients_of(engine) as clients:
        payer = await with_coins(clients, payers)
        gateway.stall = asyncio.Event()
        assert (await clients.store.pay(payer["customer_id"], coins=100)).status == 201
        await until(lambda: gateway.received)
        ending = asyncio.create_task(asyncio.to_thread(engine.terminate))
        await until(lambda: engine.events("drained"))
        gateway.stall.set()
        assert await ending == 0
        assert engine.events("messages_ended")[0]["left"] == 0


async def test_the_log_shows_a_code_and_hides_whom_it_is_for(serve, payers):
    engine = await serve("--sender", "log")
    async with clients_of(engine) as clients:
        payer = await with_coins(clients, payers)
        held = (await clients.store.pay(payer["customer_id"], coins=100)).json
        (line,) = await until(lambda: engine.events("message"))
        code = CODE.search(line["text"])[1]
        assert line["to"] == held["sent_to"]
        paid = await clients.store.confirm(payer["customer_id"], held["payment_id"], code)
        assert paid.status == 200


async def test_an_engine_does_not_start_with_a_sender_that_cannot_work(
    loaded_network, database, tmp_path
):
    for number, (flags, about) in enumerate(
        [
            (("--sender", "smtp"), "smtp_url"),
            (
                ("--sender", "webhook", "--sms-webhook-url", "x", "--sms-webhook-secret", "aaaa"),
                "sms_webhook_url",
            ),
        ]
    ):
        engine = loaded_network.engine(database, tmp_path / f"bad-{number}", *flags)
        with pytest.raises(AssertionError, match=about):
            await asyncio.to_thread(engine.start)

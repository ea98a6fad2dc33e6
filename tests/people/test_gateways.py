"""Messages through gateways: real servers of SMTP and HTTP, both on loopback (SYS-8)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest
from gateway import SECRET, open_gateway, open_mailbox
from harness import until
from structlog.testing import capture_logs

from engine.errors import EngineError
from engine.metrics import Metrics
from engine.people.dispatch import Dispatch
from engine.people.gateways import Smtp, Webhook, sender_of
from engine.people.sender import ByChannel, Message, NotSent, Outbox
from engine.settings import Settings

FROM = "Leal <codes@example.com>"
TEXT = "Leal: su código para pagar 400 coins en Café Ñandú es 4821. No lo comparta."


def message(**facts):
    facts = {"message_id": "m-1", "about": "code", "channel": "sms", "to": "+573001234567"} | facts
    return Message(**{"text": TEXT, "until": time.time() + 60} | facts)


def mail(**facts):
    return message(channel="email", to="ana@example.com", **facts)


@pytest.fixture
async def mailbox():
    async with open_mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def smtp_url(mailbox):
    return mailbox.url


@pytest.fixture
async def gateway():
    async with open_gateway() as gateway:
        yield gateway


@pytest.fixture
async def make_dispatch():
    """Give what makes a dispatch to a sender; it returns it with its counts by outcome."""
    made = []

    def make(sender, **settings):
        metrics = Metrics()
        settings = {"send_timeout_ms": 400, "send_wait_ms": 100} | settings
        dispatch = Dispatch(sender, Settings(**settings), metrics)
        made.append(dispatch)

        def outcomes():
            (family,) = metrics.codes_sent.collect()
            return {
                sample.labels["outcome"]: int(sample.value)
                for sample in family.samples
                if sample.name.endswith("_total") and sample.value
            }

        return dispatch, outcomes

    yield make
    for dispatch in made:
        await dispatch.close()


@pytest.fixture
async def webhook(gateway):
    sender = Webhook(gateway.url, SECRET, 0.4, 4)
    yield sender
    await sender.close()


# SMTP.


async def test_a_mail_arrives_whole(smtp_url, mailbox):
    await Smtp(smtp_url, FROM, 5).send(mail())
    (taken,) = mailbox.taken
    assert (taken["From"], taken["To"]) == (FROM, "ana@example.com")
    assert taken["Subject"] == "Su código de Leal"
    assert taken["Message-ID"] == "<m-1@leal>"
    assert taken["Date"]
    assert taken.get_content().strip() == TEXT
    assert mailbox.recipients == ["ana@example.com"]


@pytest.mark.parametrize(
    ("answer", "again"),
    [("451 later", True), ("421 busy", True), ("550 no", False), ("552 full", False)],
)
@pytest.mark.parametrize("at", ["answers", "at_rcpt"])
async def test_a_refused_mail_is_tried_again_where_the_server_says_later(
    smtp_url, mailbox, answer, again, at
):
    getattr(mailbox, at).append(answer)
    with pytest.raises(NotSent) as caught:
        await Smtp(smtp_url, FROM, 5).send(mail())
    assert caught.value.again is again
    assert "ana" not in str(caught.value)
    await Smtp(smtp_url, FROM, 5).send(mail())
    assert len(mailbox.taken) == 1


async def test_a_password_is_not_sent_without_tls(smtp_url, mailbox):
    sender = Smtp(smtp_url.replace("//", "//user:hush@"), FROM, 5)
    with pytest.raises(NotSent) as caught:
        await sender.send(mail())
    assert "hush" not in str(caught.value)
    assert mailbox.taken == []


async def test_a_server_that_is_not_there_or_says_nothing_is_tried_again(unused_port):
    for url in (f"smtp://127.0.0.1:{unused_port}",):
        with pytest.raises((NotSent, OSError)) as caught:
            await Smtp(url, FROM, 0.3).send(mail())
        assert getattr(caught.value, "again", True)

    async def nothing(reader, writer):
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(nothing, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises((NotSent, OSError)) as caught:
            await Smtp(f"smtp://127.0.0.1:{port}", FROM, 0.3).send(mail())
        assert getattr(caught.value, "again", True)


@pytest.fixture
async def unused_port():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


# The webhook.


async def test_a_post_is_signed_and_says_what_to_send(gateway, webhook):
    await webhook.send(message())
    ((webhook_id, told),) = gateway.received
    assert webhook_id == "m-1"
    assert (told["channel"], told["to"], told["text"]) == ("sms", "+573001234567", TEXT)
    assert told["type"] == "code"
    assert told["expires_at"]


@pytest.mark.parametrize(
    ("status", "again"),
    [(500, True), (503, True), (429, True), (408, True), (400, False), (401, False), (302, False)],
)
async def test_an_answer_that_is_no_success_says_whether_to_try_again(
    gateway, webhook, status, again
):
    gateway.statuses.append(status)
    with pytest.raises(NotSent) as caught:
        await webhook.send(message())
    assert (caught.value.again, caught.value.reason) == (again, f"status {status}")
    assert len(gateway.received) == 1  # no redirect is followed


# Trying again.


async def test_what_fails_is_tried_again_under_the_same_id(gateway, webhook, make_dispatch):
    gateway.statuses += [500, None, 503]
    dispatch, outcomes = make_dispatch(webhook, send_wait_ms=10_000)
    done = []

    async def then():
        done.append(len(gateway.received))

    await dispatch.send(message(), then)
    assert done == [4]
    assert [webhook_id for webhook_id, _ in gateway.received] == ["m-1"] * 4
    assert outcomes() == {"retried": 3, "sent": 1}
    assert not dispatch.has("m-1")


async def test_what_will_never_do_is_tried_once(gateway, webhook, make_dispatch):
    gateway.statuses.append(400)
    dispatch, outcomes = make_dispatch(webhook, send_wait_ms=10_000)
    done = []

    async def then():
        done.append(True)

    await dispatch.send(message(), then)
    assert (len(gateway.received), done, outcomes()) == (1, [], {"failed": 1})


async def test_no_try_is_made_after_the_code_is_over(gateway, webhook, make_dispatch):
    gateway.statuses += [500] * 100
    dispatch, outcomes = make_dispatch(webhook, send_wait_ms=10_000)
    until_s = time.time() + 1.0
    await dispatch.send(message(until=until_s))
    assert time.time() < until_s + 1
    told = outcomes()
    assert told["failed"] == 1
    assert told["retried"] == len(gateway.received) - 1 >= 1
    await dispatch.send(message(message_id="late", until=time.time() - 1))
    assert "late" not in [webhook_id for webhook_id, _ in gateway.received]
    assert outcomes()["failed"] == 2


async def test_an_answer_waits_for_a_stalled_gateway_no_longer_than_it_should(
    gateway, webhook, make_dispatch
):
    gateway.stall = asyncio.Event()
    dispatch, outcomes = make_dispatch(webhook, send_timeout_ms=60_000, send_wait_ms=50)
    await dispatch.send(message())
    assert outcomes() == {}  # the try has not ended, for its gateway has not answered
    assert dispatch.has("m-1")
    await dispatch.send(message())  # under way: not sent beside itself
    gateway.stall.set()
    await until(lambda: outcomes().get("sent") == 1)
    assert gateway.at_once_max == 1


async def test_so_many_are_tried_at_once_and_so_many_wait(gateway, webhook, make_dispatch):
    gateway.stall = asyncio.Event()
    dispatch, outcomes = make_dispatch(
        webhook,
        messages_at_once_max=3,
        messages_waiting_max=10,
        send_wait_ms=0,
        send_timeout_ms=5000,
    )
    await asyncio.gather(*(dispatch.send(message(message_id=f"m-{n}")) for n in range(14)))
    assert outcomes() == {"dropped": 4}
    await until(lambda: len(gateway.received) == 3)
    await asyncio.sleep(0.05)
    assert len(gateway.received) == 3
    gateway.stall.set()
    await until(lambda: outcomes().get("sent") == 10)
    assert gateway.at_once_max == 3
    assert Counter(webhook_id for webhook_id, _ in gateway.received).most_common(1)[0][1] == 1


async def test_what_is_under_way_at_the_end_gets_the_time_of_a_try(gateway, webhook, make_dispatch):
    gateway.stall = asyncio.Event()
    dispatch, outcomes = make_dispatch(webhook, send_wait_ms=0, send_timeout_ms=2000)
    await dispatch.send(message())
    closing = asyncio.create_task(dispatch.close())
    await until(lambda: gateway.received)
    gateway.stall.set()
    await closing
    assert outcomes() == {"sent": 1}


# By which of them.


async def test_each_channel_goes_to_the_first_that_has_it(
    smtp_url, mailbox, gateway, webhook, tmp_path
):
    both = ByChannel([Smtp(smtp_url, FROM, 5), webhook])
    assert both.channels == {"sms", "email"}
    await both.send(message())
    await both.send(mail())
    assert (len(gateway.received), len(mailbox.taken)) == (1, 1)
    with pytest.raises(NotSent):
        await ByChannel([Smtp(smtp_url, FROM, 5)]).send(message())


async def test_settings_say_which_senders_there_are(tmp_path):
    assert isinstance(sender_of(Settings(data_dir=tmp_path)), Outbox)
    webhook_of = {"sms_webhook_url": "http://127.0.0.1:1/x", "sms_webhook_secret": SECRET}
    both = sender_of(
        Settings(
            sender="smtp,webhook", smtp_url="smtps://user:p%40ss@mail.example.com", **webhook_of
        )
    )
    assert both.channels == {"sms", "email"}
    await both.close()
    for wrong in (
        *({"sender": "pigeon"}, {"sender": ""}, {"sender": "smtp"}, {"sender": "webhook"}),
        {"sender": "webhook", "sms_webhook_url": "http://127.0.0.1:1/x"},
    ):
        with pytest.raises(ValueError, match="sender"):
            Settings(**wrong)
    for wrong in (
        {"sender": "smtp", "smtp_url": "mail.example.com"},
        {"sender": "smtp", "smtp_url": "http://mail.example.com"},
        {"sender": "webhook", **webhook_of, "sms_webhook_url": "gateway"},
        {"sender": "webhook", **webhook_of, "sms_webhook_secret": "a"},
    ):
        with pytest.raises(EngineError) as caught:
            sender_of(Settings(**wrong))
        assert "smtp_url" in str(caught.value) or "sms_webhook" in str(caught.value)


async def test_nothing_of_a_message_or_a_secret_is_logged(
    smtp_url, mailbox, gateway, make_dispatch
):
    mailbox.answers += ["550 4821 is no code of ana@example.com"]
    sender = ByChannel(
        [
            Smtp(smtp_url.replace("//", "//user:hush@"), FROM, 1),
            Smtp(smtp_url, FROM, 1),
        ]
    )
    hook = Webhook(gateway.url + "?token=hush", SECRET, 0.4, 4)
    gateway.statuses += [500, None, 400]
    with capture_logs() as logs:
        for one in (sender, Smtp(smtp_url, FROM, 1), hook):
            dispatch, _ = make_dispatch(one, send_wait_ms=3000)
            await dispatch.send(mail(until=time.time() + 1))
    told = str(logs)
    assert "message_not_sent" in told
    for private in ("hush", "4821", "ana@example.com", TEXT, SECRET):
        assert private not in told
    assert private not in repr(replace(mail(), message_id="m-2"))
    assert TEXT not in repr(mail())

"""The fast path changes nothing but the time: the same bytes get the same answers without it.

Two engines work on one database, one of them without the fast path. Each exchange below is sent
over a plain socket to both, for a customer of its own at each. But for ids and times the answers,
the metrics and the logs are the same, and so is whether the connection is kept.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter

import pytest
from harness import clients_of, until

ROUTE = "/v1/customers/{customer_id}/accumulations"
SALE = {"amount": 100_000, "currency": "COP"}
ANSWER = object()
"""In an exchange: read one whole answer before going on."""
PAUSE = object()
"""In an exchange: let what was sent arrive as a packet of its own."""
PROBE = b"GET /livez HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n"
"""Ends every exchange: what it is answered with tells what became of the connection."""
SILENCE_SECONDS = 1.0
NEVER_THE_SAME = re.compile(
    rb"(?<=date: )[^\r]+|(?<=\"transaction_id\":\")[^\"]+|(?<=\"recorded_at\":\")[^\"]+"
    rb"|[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}",
    re.IGNORECASE,
)


class Till:
    """Makes the requests of one customer with one key."""

    def __init__(self, customer: str, key: str, keys: dict[str, str]) -> None:
        self.customer = customer
        self.key = key
        self.keys = keys

    def sale(self, key="k", body=None, **more):
        """A sale as most clients send it; `headers` come last, `lines` in the place of all."""
        data = body if isinstance(body, bytes) else json.dumps(body or SALE).encode()
        target = more.get("target", f"/v1/customers/{more.get('customer', self.customer)}")
        lines = more.get("lines") or [
            f"Host: {more.get('host', 'engine')}",
            f"Authorization: Bearer {more.get('bearer', self.key)}",
            f"Idempotency-Key: {key}",
            f"Content-Length: {more.get('length', len(data))}",
        ]
        first = f"{more.get('method', 'POST')} {target}{more.get('verb', '/accumulations')}"
        start = f"{first} {more.get('version', 'HTTP/1.1')}"
        head = "\r\n".join([start, *lines, *more.get("headers", ())])
        return head.encode("latin-1") + b"\r\n\r\n" + data

    def framed(self, *lines):
        """A sale whose framing is told by these headers alone."""
        plain = [
            "Host: engine",
            f"Authorization: Bearer {self.key}",
            "Idempotency-Key: framed",
        ]
        return self.sale(lines=[*plain, *lines])

    def lookup(self, padding=b""):
        body = b'{"document":{"type":"CC","number":"1"}}' + padding
        head = f"POST /v1/customers/lookup HTTP/1.1\r\nHost: engine\r\nContent-Length: {len(body)}"
        return f"{head}\r\nAuthorization: Bearer {self.key}\r\n\r\n".encode(), body


def plain(till):
    """What the fast path takes, each after the answer to the one before."""
    big = till.sale("big", SALE | {"amount": 10**12})
    yield "one sale", 1, [till.sale()]
    yield "sales one after the other", 3, [till.sale(f"k{n}") for n in range(3)]
    yield "a retry", 2, [till.sale(), till.sale()]
    yield "a key for another sale", 2, [till.sale(), till.sale(body=SALE | {"amount": 1})]
    yield "a quoted key", 2, [till.sale('"k"'), till.sale()]
    yield "an unknown customer", 1, [till.sale(customer="0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c")]
    yield "capitals in the id", 1, [till.sale(customer=till.customer.upper())]
    yield "a full wallet", 2, [big, till.sale("more", SALE | {"amount": 10**12})]
    yield (
        "named headers in any size",
        1,
        [till.sale(headers=["ACCEPT: */*", "user-agent: till/1.0", "x-REQUEST-id: here-1"])],
    )
    yield "an id that cannot be used", 1, [till.sale(headers=["X-Request-Id: with blanks in it"])]
    yield "blanks before a value", 1, [till.sale(headers=["X-Request-Id: \t  here-2"])]
    yield "no blank before a value", 1, [till.sale(headers=["X-Request-Id:here-3"])]
    yield "a trace", 1, [till.sale(headers=[f"traceparent: 00-{'a' * 32}-{'b' * 16}-01"])]
    yield "kept by name", 2, [till.sale(headers=["Connection: Keep-Alive"]), till.sale("next")]
    yield (
        "the network's key",
        1,
        [till.sale(body=SALE | {"store_id": 1}, bearer=till.keys["network"])],
    )
    yield (
        "an invoice, the store is known at the second",
        1,
        [till.sale(f"i{n}", SALE | {"invoice_number": f"{till.customer}-{n}"}) for n in range(2)],
    )
    yield (
        "an invoice that was claimed",
        2,
        [till.sale(f"c{n}", SALE | {"invoice_number": till.customer}) for n in range(2)],
    )


def refused(till):
    """What is wrong by its content: it is told by the handler, and plain sales go on."""
    bodies = {
        "no JSON": b"{",
        "no body": b"",
        "an unknown field": {**SALE, "tip": 1},
        "another kind of value": {"amount": "much"},
        "no amount": {"currency": "COP"},
        "another currency": SALE | {"currency": "USD"},
        "too long ago": SALE | {"occurred_at": "2020-01-31T10:00:00Z"},
        "no offset": SALE | {"occurred_at": "2026-01-31T10:00:00"},
        "a foreign store": SALE | {"store_id": 2**31 - 1},
        "no invoice is printed": {"invoice_number": "none"},
        "too much": SALE | {"amount": 10**15},
        "a large body": b'{"amount":1,' + b" " * 20_000 + b'"currency":"COP"}',
    }
    for name, body in bodies.items():
        wrong = till.sale("wrong", body, headers=["Accept-Language: es-CO, en;q=0.5"])
        yield name, 1, [wrong, till.sale("right")]
    for name, key in {"an empty key": "", "a key too long": "k" * 256}.items():
        yield name, None, [till.sale(key), till.sale("right")]
    yield "no idempotency key", 1, [till.framed("Content-Length: 2") + b"{}", till.sale()][1:]
    yield "nobody's key", 1, [till.sale(bearer="nonsense"), till.sale("right")]
    yield "a key that may not", 1, [till.sale(bearer=till.keys["app"]), till.sale("right")]
    yield "no customer", 1, [till.sale(customer="x" * 36), till.sale("right")]
    yield "no call", 1, [till.sale(verb="/accumulation"), till.sale("right")]
    yield "another method", 1, [till.sale(method="PUT"), till.sale("right")]
    yield (
        "asked for the head",
        1,
        [
            till.sale(method="GET", body=b"", lines=["Host: engine"]),
            till.sale("right"),
        ],
    )


def unusual(till):
    """What is read by aiohttp alone, sound or not, and so is all that follows on its connection."""
    sale, size = till.sale(), f"Content-Length: {len(json.dumps(SALE))}"
    yield "closed by name", 0, [till.sale(headers=["Connection: close"])]
    yield "another word for the connection", 0, [till.sale(headers=["Connection: te"])]
    yield "an old version", 0, [till.sale(version="HTTP/1.0")]
    yield "no version", 0, [till.sale(version="")]
    yield "another version", 0, [till.sale(version="HTTP/1.2")]
    yield "small letters", 0, [till.sale(method="post")]
    yield "another word for a method", 0, [till.sale(method="BREW")]
    yield "an unknown header", 0, [till.sale(headers=["X-Till: 7"])]
    yield "compressed", 0, [till.sale(headers=["Content-Encoding: gzip"])]
    yield "asked before", 0, [till.sale(headers=["Expect: 100-continue"])]
    yield "another protocol", 0, [till.sale(headers=["Connection: upgrade", "Upgrade: h2c"])]
    yield (
        "another protocol, websocket",
        0,
        [till.sale(headers=["Connection: upgrade", "Upgrade: websocket"])],
    )
    yield "a query", 1, [till.sale(verb="/accumulations?dry=1"), till.sale("right")]
    yield "a fragment", 1, [till.sale(verb="/accumulations#x"), till.sale("right")]
    yield "an encoded path", 1, [till.sale(verb="/%61ccumulations"), till.sale("right")]
    yield "a whole address", 0, [till.sale(target=f"http://engine/v1/customers/{till.customer}")]
    yield "no host", 0, [sale.replace(b"Host: engine\r\n", b"")]
    yield "two hosts", 0, [till.sale(headers=["Host: other"])]
    yield "an empty host", 0, [till.sale(host="")]
    yield "two lengths", 0, [till.sale(headers=[size])]
    yield "no length", 0, [till.framed()]
    yield "a length in words", 0, [till.framed("Content-Length: forty")]
    yield "a length with a sign", 0, [till.framed("Content-Length: +40")]
    yield "a length with a zero", 0, [till.framed(f"Content-Length: 0{len(json.dumps(SALE))}")]
    yield "a length below zero", 0, [till.framed("Content-Length: -1")]
    yield "a long number for a length", 0, [till.framed(f"Content-Length: {'9' * 30}")]
    yield "a length list", 0, [till.framed("Content-Length: 40, 40")]
    yield "chunked", 0, [till.framed("Transfer-Encoding: chunked")]
    yield "chunked and a length", 0, [till.framed("Transfer-Encoding: chunked", size)]
    yield "two keys", 0, [till.sale(headers=["Idempotency-Key: other"])]
    yield "two authorizations", 0, [till.sale(headers=["Authorization: Bearer other"])]
    yield "a blank at the end of a value", 0, [till.sale(headers=["X-Request-Id: here "])]
    yield "a blank before the colon", 0, [till.sale(headers=["X-Request-Id : here"])]
    yield "an empty value", 0, [till.sale(headers=["X-Request-Id:"])]
    yield "a folded line", 0, [till.sale(headers=["X-Request-Id: here\r\n there"])]
    yield "a bare line feed", 0, [till.sale(headers=["X-Request-Id: here\nAccept: */*"])]
    yield "a bare return", 0, [till.sale(headers=["X-Request-Id: here\rAccept: */*"])]
    yield "a zero byte", 0, [till.sale(headers=["X-Request-Id: a\0b"])]
    yield "a letter beyond ASCII", 0, [till.sale(headers=["X-Request-Id: caf\xe9"])]
    yield "a tab in a value", 0, [till.sale(headers=["X-Request-Id: a\tb"])]
    yield "lines ended by line feeds", 0, [sale.replace(b"\r\n", b"\n")]
    yield "a line before", 0, [b"\r\n" + sale]
    yield "a long line", 0, [till.sale(headers=[f"X-Request-Id: {'a' * 5000}"])]
    yield "a long head", 0, [till.sale(headers=[f"Cookie: {'a' * 3000}"])]
    yield "many headers", 0, [till.sale(headers=[f"X-{number}: x" for number in range(200)])]
    yield "no HTTP", 0, [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]


def cut(till):
    """Packets that end elsewhere than requests do."""
    sale, next_one = till.sale("one"), till.sale("two")
    body_at = sale.index(b"\r\n\r\n") + 4
    yield "two at once", 0, [sale + next_one, ANSWER, ANSWER]
    yield "one and a half", 0, [sale + next_one[:100], PAUSE, next_one[100:], ANSWER, ANSWER]
    yield "the second before the first is answered", None, [sale, PAUSE, next_one, ANSWER, ANSWER]
    yield (
        "many without waiting",
        None,
        [
            *(part for n in range(8) for part in (till.sale(f"k{n}"), PAUSE)),
            *(ANSWER for _ in range(8)),
        ],
    )
    yield "the body apart", 1, [sale[:body_at], PAUSE, sale[body_at:], ANSWER, next_one, ANSWER]
    yield (
        "the body in pieces",
        1,
        [
            *(
                sale[:body_at],
                PAUSE,
                sale[body_at : body_at + 5],
                PAUSE,
                sale[body_at + 5 :],
                ANSWER,
            ),
            *(next_one, ANSWER),
        ],
    )
    yield (
        "the head in pieces",
        0,
        [
            *(sale[:20], PAUSE, sale[20:90], PAUSE, sale[90:], ANSWER),
            *(next_one, ANSWER),
        ],
    )
    yield (
        "the body with half of the next",
        0,
        [
            *(sale[:body_at], PAUSE, sale[body_at:] + next_one[:30], PAUSE, next_one[30:]),
            *(ANSWER, ANSWER),
        ],
    )
    for place in (4, body_at - 2, body_at - 1, body_at + 1, len(sale) - 1):
        yield f"cut at {place}", None, [sale[:place], PAUSE, sale[place:], ANSWER]
    yield "a body that never comes", 0, [till.sale(length=4000)]
    head, body = till.lookup(padding=b" " * len(sale))
    yield (
        "a sale where a body is due",
        0,
        [
            *(head, PAUSE, sale, PAUSE, body[: len(body) - len(sale)], ANSWER),
        ],
    )
    yield "a sale behind a look-up", 1, [head + body, ANSWER, sale, ANSWER]
    chunked = till.framed("Transfer-Encoding: chunked").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    yield (
        "a sale where a chunk is due",
        0,
        [
            *(chunked + b"%x\r\n" % len(sale), PAUSE, sale, PAUSE, b"\r\n0\r\n\r\n", ANSWER),
        ],
    )
    yield "a sale behind half a head", 0, [b"GET /livez HTTP/1.1\r\nX-Y: ", PAUSE, sale]


async def exchange(url, customer, parts):
    """Return all that the engine answers to these parts and to the probe behind them.

    What is never the same is told as `*`, the customer too.
    """
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    told = b""

    async def read(whole):
        nonlocal told
        answers = told.count(b"HTTP/1.1 ")
        while not (whole and told.count(b"HTTP/1.1 ") > answers and is_whole(told)):
            piece = await asyncio.wait_for(reader.read(65536), SILENCE_SECONDS)
            if not piece:
                return
            told += piece

    try:
        for place, part in enumerate(parts, 1):
            if part is PAUSE:
                await asyncio.sleep(0.03)
            elif part is ANSWER:
                if told.count(b"HTTP/1.1 ") < parts[:place].count(ANSWER):
                    await read(whole=True)
                    await asyncio.sleep(0.02)  # aiohttp is idle a little after it has answered
            else:
                writer.write(part)
        await read(whole=True)
        writer.write(PROBE)
        await read(whole=False)
    except (TimeoutError, ConnectionError) as error:
        # Who writes to a connection that is being closed finds it closed or reset.
        if isinstance(error, TimeoutError) or b"Connection: close" not in told:
            told += type(error).__name__.encode()
    writer.close()
    return NEVER_THE_SAME.sub(b"*", re.sub(b"(?i)" + customer.encode(), b"*", told))


def is_whole(told):
    """Return whether what was told ends with an answer."""
    head, _, body = told[told.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    return length is not None and len(body) == int(length[1])


def in_turn(parts):
    """Return the parts with an answer awaited behind each, where none says otherwise."""
    if ANSWER in parts or PAUSE in parts or len(parts) == 1:
        return parts
    return [step for part in parts[:-1] for step in (part, ANSWER)] + parts[-1:]


@pytest.fixture(scope="module")
def engine_flags():
    return ("--log-requests", "--body-timeout-ms", "500")


@pytest.fixture(scope="module")
def slow_engine(loaded_network, database, engine_flags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    engine = loaded_network.engine(database, folder, "--no-fast-path", *engine_flags)
    try:
        yield engine.start()
    finally:
        engine.stop()


async def seen(engine):
    """Return what the engine counts of requests and of operations, and of the fast path."""
    async with clients_of(engine) as clients:
        text = (await clients.anonymous.request("GET", "/metrics")).json.decode()
    names = "leal_http_request_duration_seconds_count|leal_operations_total|leal_idempotency_total"
    counted = re.findall(rf"^((?:{names}|leal_http_shed_total)\S*) (\S+)$", text, re.MULTILINE)
    express = re.search(r"^leal_http_express_total\S* (\S+)$", text, re.MULTILINE)
    return Counter({name: float(value) for name, value in counted}), (
        float(express[1]) if express else 0.0
    )


def logged(engine):
    """Return what the engine has logged, without ids and times, and without its own sweeps."""
    told = ("event", "level", "method", "route", "status", "trace_id", "error")
    lines = [line for line in engine.logs if line.get("event") != "sweep_ended"]
    return Counter(tuple(line.get(name) for name in told) for line in lines)


@pytest.mark.parametrize("exchanges", [plain, refused, unusual, cut], ids=lambda one: one.__name__)
async def test_the_express_changes_no_answer(engine, slow_engine, people, exchanges):
    async with clients_of(engine) as clients:
        signed_in = await clients.anonymous.request("POST", "/v1/sessions", engine.demo["cashier"])
    keys = {role: facts["key"] for role, facts in engine.demo["keys"].items()}
    keys["cashier"] = signed_in.json["token"]
    before = {one: (await seen(one), logged(one)) for one in (engine, slow_engine)}
    names = [name for name, _, _ in exchanges(Till("", "", keys))]
    for number, name in enumerate(names):
        customers = people.several(2)
        made = [list(exchanges(Till(one, keys["store"], keys)))[number] for one in customers]
        boarded = (await seen(engine))[1]
        told, told_slowly = await asyncio.gather(
            exchange(engine.url, customers[0], in_turn(made[0][2])),
            exchange(slow_engine.url, customers[1], in_turn(made[1][2])),
        )
        assert told == told_slowly, name
        wanted, passed = made[0][1], (await seen(engine))[1] - boarded
        assert wanted in (passed, None), (name, passed, told)
    assert (await seen(slow_engine))[1] == 0
    counts, logs = [], []
    for one in (engine, slow_engine):
        (counted, _), lines = before[one]
        counts.append((await seen(one))[0] - counted)
        logs.append(await until(lambda one=one, lines=lines: logged(one) - lines))
    assert counts[0] == counts[1]
    assert logs[0] == logs[1]

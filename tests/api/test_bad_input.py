"""Whatever is sent: its documented problem, never a 5xx, and a neighbour is served meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import json
from itertools import count
from uuid import uuid4

import pytest
from harness import Reply, connection_to, raw_request

from engine.api.contract import declaration_of
from engine.api.routes import ALL_ROUTES
from engine.commands.problem import Problem
from engine.http.bodies import BodyDecoder
from engine.http.operation import examples_of
from engine.schemas.administration import NewParty
from engine.schemas.items import NewGift, PromotionChange
from engine.schemas.people import Registration
from engine.schemas.principals import NewCashier, PasswordReset
from engine.schemas.texts import Sent
from engine.schemas.transactions import (
    Accumulation,
    BulkItem,
    Confirmation,
    Nothing,
    Payment,
)

SALE = {"amount": 5_400_000, "currency": "COP"}
numbers = count(1)


@pytest.fixture(scope="module")
def engine_flags():
    return ("--body-timeout-ms", "300")


@pytest.fixture(scope="module")
def neighbour_id(people):
    """Return the customer of the requests that are made beside the bad ones."""
    return people.complete()["customer_id"]


@pytest.fixture
def beside(api, neighbour_id):
    """Return what makes a good request at the same moment as another, and returns the other's."""

    async def both(bad):
        reply, good = await asyncio.gather(bad, api.store.accumulate(neighbour_id, **SALE))
        assert good.status == 201
        assert reply.status < 500
        return reply

    return both


@pytest.fixture
async def posted(api, database, customer_id, beside):
    """Give what posts a body as an accumulation, and see that a refused one leaves no trace."""

    async def post(body, **more):
        more.setdefault("idempotency", f"k-{next(numbers)}")
        path = f"/v1/customers/{customer_id}/accumulations"
        return await beside(api.store.request("POST", path, body, **more))

    yield post
    async with connection_to(database) as connection:
        query = "select count(*) from journal where customer_id = $1"
        assert await connection.fetchval(query, customer_id) == 0


MALFORMED = {
    "nothing": b"",
    "white space": b"  \n",
    "half an object": b'{"amount": 5400000',
    "no JSON": b"amount=5400000",
    "single quotes": b"{'amount': 5400000}",
    "a comment": b'{"amount": 5400000 /* pesos */}',
    "a trailing comma": b'{"amount": 5400000,}',
    "two objects": b'{"amount": 5400000}{"amount": 5400000}',
    "not a number": b'{"amount": NaN}',
    "infinity": b'{"amount": Infinity}',
    "a leading zero": b'{"amount": 05400000}',
    "a plus": b'{"amount": +5400000}',
    "invalid UTF-8": b'{"amount": 1, "invoice_number": "\xff\xfe"}',
    "overlong UTF-8": b'{"amount": 1, "invoice_number": "\xc0\xaf"}',
    "UTF-16": '{"amount": 1}'.encode("utf-16"),
    "a byte order mark alone": b"\xef\xbb\xbf",
    "two byte order marks": b'\xef\xbb\xbf\xef\xbb\xbf{"amount": 5400000',
    "a raw control character": b'{"amount": 1, "invoice_number": "a\x01"}',
    "a raw NUL": b'{"amount": 1, "invoice_number": "a\x00"}',
    "a lone surrogate": b'{"amount": 1, "invoice_number": "\\ud800"}',
    "a surrogate the wrong way round": b'{"amount": 1, "invoice_number": "\\udc00\\ud800"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_json_is_malformed(posted, body):
    reply = await posted(body)
    assert (reply.status, reply.code) == (400, "malformed_json")


WRONG_AMOUNTS = {
    "a float": b"54000.5",
    "a whole float": b"54000.0",
    "an exponent": b"54e3",
    "a string": b'"5400000"',
    "true": b"true",
    "a list": b"[5400000]",
    "an object": b'{"value": 5400000}',
    "zero": b"0",
    "minus zero": b"-0",
    "negative": b"-5400000",
    "one too many": b"1000000000001",
    "2^31": b"-2147483648",
    "2^53": b"9007199254740993",
    "2^63": b"9223372036854775808",
    "2^64": b"18446744073709551616",
    "hexadecimal": b"0x10",
    "1e400": b"1e400",
    "1e-400": b"1e-400",
    "a number of 5000 digits": b"9" * 5000,
}


@pytest.mark.parametrize("amount", WRONG_AMOUNTS.values(), ids=WRONG_AMOUNTS)
async def test_an_amount_is_an_integer_in_its_range(posted, amount):
    reply = await posted(b'{"currency": "COP", "amount": %b}' % amount)
    assert reply.status == 400
    assert reply.code in ("invalid_request", "malformed_json")


@pytest.mark.parametrize(
    "body",
    [
        SALE | {"unknown": 1},
        SALE | {"Amount": 1},
        SALE | {"customer_id": "x"},
        SALE | {"": 1},
        SALE | {"points": 100},
        {"amount": 1, "currency": "cop"},
        {"amount": 1, "currency": "EUR"},
        {"amount": 1, "currency": 170},
        SALE | {"store_id": "1"},
        SALE | {"store_id": 1.0},
        SALE | {"store_id": True},
        SALE | {"store_id": 0},
        SALE | {"store_id": -1},
        SALE | {"store_id": 2**31},
        SALE | {"store_id": 2**64},
        SALE | {"invoice_number": "F" * 129},
        SALE | {"invoice_number": 17},
        SALE | {"invoice_number": "a\nb"},
        SALE | {"invoice_number": "a\x00b"},
        SALE | {"invoice_number": "Ñ-1"},
        SALE | {"invoice_number": "1\u202e1"},
        [],
        [SALE],
        "text",
        17,
        None,
        True,
    ],
    ids=lambda body: json.dumps(body)[-40:],
)
async def test_a_body_of_another_shape_is_refused(posted, body):
    reply = await posted(json.dumps(body).encode())
    assert (reply.status, reply.code) == (400, "invalid_request")


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"amount":[', b'{"amount":{"a":'])
async def test_deep_nesting_is_refused(posted, opening):
    reply = await posted(opening * (16_000 // len(opening)))
    assert reply.status == 400
    assert reply.code in ("invalid_request", "malformed_json")


async def test_a_value_is_not_repeated_where_it_could_be_personal(api):
    number = {"type": "CC", "number": "1020304050"}
    for body in (
        {"document": number, "email": "someone secret@example.com"},
        {"document": number | {"type": "secret` - at `$.email"}, "email": "a@b.co"},
        {"document": number, "email": "a@b.co", "birth_date": "secret"},
        {"document": number, "email": "a@b.co", "secret@example.com": 1},
        {"document": number, "email": "a@b.co", "a` - at `$.secret.x[0]": 1},
    ):
        reply = await api.store.register(**body)
        assert reply.status == 400
        assert "secret" not in str(reply.json)


WHOLE = "is a whole number from 1 to 1000000000000."
OFFSET = "is a time with its offset, like 2026-01-31T10:00:00Z"
FIELDS = "`amount`, `currency`, `invoice_number`, `store_id`, `occurred_at`, `till`"
GIFT = {"name": "Torta", "customer_ids": [str(uuid4())]}
ANA = {"document": {"type": "CC", "number": "1"}, "email": "a@b.co"}
MISTAKES = [
    (Accumulation, {"amount": "5400000"}, "`amount` is a whole number, not text."),
    (Accumulation, {"amount": [1]}, "`amount` is a whole number, not a list."),
    (
        Accumulation,
        {"amount": 54000.5},
        "`amount` is a whole number, not a number with a fraction or an exponent.",
    ),
    (Accumulation, {"amount": 0}, f"`amount` {WHOLE}"),
    (Accumulation, {"amount": 10**18}, f"`amount` {WHOLE}"),
    (Accumulation, b'{"amount": %b}' % (b"9" * 99), f"`amount` {WHOLE}"),
    (Accumulation, {"currency": "EUR"}, "`currency` is one of COP, USD, GTQ, PAB."),
    (Accumulation, {"currency": 170}, "`currency` is one of COP, USD, GTQ, PAB."),
    (Accumulation, {"occurred_at": "2026-01-31"}, f"`occurred_at` {OFFSET}."),
    (Accumulation, {"occurred_at": 5}, f"`occurred_at` {OFFSET}, not a whole number."),
    (Accumulation, {"points": 1}, f"`points` is no field of the body; it has {FIELDS}."),
    (Accumulation, {"": 1}, f"One of those sent is no field of the body; it has {FIELDS}."),
    (
        Accumulation,
        {"invoice_number": "a\nb"},
        "`invoice_number` is text of 1 to 128 characters of printable ASCII.",
    ),
    (Accumulation, [], "The body is a JSON object, not a list."),
    (Accumulation, None, "The body is a JSON object, not null."),
    (Nothing, {"a": 1}, "`a` is no field of the body; it has none."),
    (Payment, {"coins": 1}, "`document_checked` is missing."),
    (
        Payment,
        {"coins": 1, "document_checked": "yes"},
        "`document_checked` is true or false, not text.",
    ),
    (Confirmation, {"code": "12"}, "`code` is 4 to 6 digits."),
    (Confirmation, {"code": 1234}, "`code` is text, not a whole number."),
    (
        NewParty,
        {"name": "<b>"},
        "`name` is text of 1 to 100 characters without control characters, `<` and `>`.",
    ),
    (
        NewCashier,
        {"user": "a", "password": "x" * 8, "name": "Ana"},
        "`user` is text of 2 to 64 characters: ",
    ),
    (PasswordReset, {"password": "corta"}, "`password` is text of 8 to 128 characters."),
    (Registration, ANA | {"document": {"type": "CC"}}, "`document.number` is missing."),
    (
        Registration,
        ANA | {"document": {"type": "XX", "number": "1"}},
        "`document.type` is one of CC, CE, PA, NIT, TI, RC, PPT, PEP, DUI, DPI, CUI, CED, RUC.",
    ),
    (
        Registration,
        ANA | {"document": {"type": "CC", "number": "1", "issued": 1}},
        "`issued` is no field of `document`; it has `type`, `number`, `country`.",
    ),
    (Registration, ANA | {"document": None}, "`document` is a JSON object, not null."),
    (Registration, ANA | {"birth_date": "17/05/1990"}, "`birth_date` is a day, like 2026-01-31."),
    (NewGift, GIFT | {"starts_at": "2026-01-31T10:00:00"}, f"`starts_at` {OFFSET}."),
    (NewGift, GIFT | {"customer_ids": []}, "`customer_ids` is a list of 1 to 300 items."),
    (NewGift, GIFT | {"customer_ids": "a"}, "`customer_ids` is a list, not text."),
    (NewGift, GIFT | {"customer_ids": [str(uuid4()), "a"]}, "`customer_ids[1]` is a UUID, like "),
    (
        PromotionChange,
        {"segment": {"genders": ["F", "Q"]}},
        "`segment.genders[1]` is one of F, M, X.",
    ),
    (
        PromotionChange,
        {"segment": {"age_min": 200}},
        "`segment.age_min` is a whole number from 0 to 150.",
    ),
    (BulkItem, {"type": "redemption"}, "`type` is accumulation."),
]


@pytest.mark.parametrize(
    ("shape", "body", "sentence"), MISTAKES, ids=lambda one: getattr(one, "__name__", None)
)
def test_a_mistake_is_told_by_what_is_taken_there(shape, body, sentence):
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Problem) as told:
        BodyDecoder(shape).decode(sent)
    assert told.value.code == "invalid_request"
    if sentence.endswith("."):
        assert told.value.detail == sentence
    else:
        assert told.value.detail.startswith(sentence)


def test_every_body_is_one_whose_texts_are_tidied():
    bodies = {type(one) for route in ALL_ROUTES for one in examples_of(declaration_of(route).body)}
    assert len(bodies) > 20
    assert [body for body in bodies if not issubclass(body, Sent)] == []


@pytest.mark.parametrize("body", [b"", b" \n"])
async def test_where_a_body_is_needed_it_is_asked_for(posted, body):
    reply = await posted(body)
    assert (reply.status, reply.code) == (400, "malformed_json")
    assert reply.json["detail"] == "Send a JSON object as the body."


# Idempotency keys.


async def test_a_key_is_needed(posted):
    reply = await posted(SALE, idempotency=None)
    assert (reply.status, reply.code) == (400, "idempotency_key_missing")


@pytest.mark.parametrize(
    "key", ["", '""', "k" * 256, '"' + "k" * 256 + '"', "k\tk", "ñ", "ключ", "🙂"]
)
async def test_a_key_is_printable_ascii_of_sane_length(posted, key):
    reply = await posted(SALE, idempotency=key)
    assert (reply.status, reply.code) == (400, "idempotency_key_invalid")


@pytest.mark.parametrize("key", ["k", "k" * 255, "!~ :/\\{}", '"', "'; drop table journal; --"])
async def test_odd_keys_work(api, people, key):
    customer_id = people.complete()["customer_id"]
    first = await api.store.accumulate(customer_id, key, **SALE)
    again = await api.store.accumulate(customer_id, key, **SALE)
    assert (first.status, again.status) == (201, 201)
    assert first.json == again.json


async def test_quoted_and_bare_are_one_key(api, people):
    customer_id = people.complete()["customer_id"]
    first = await api.store.accumulate(customer_id, 'a"b', **SALE)
    again = await api.store.accumulate(customer_id, r'"a\"b"', **SALE)
    assert again.json == first.json
    assert again.replayed


# Sizes, encodings, slowness.


def padded(size):
    """Return an accumulation of exactly `size` bytes."""
    body = json.dumps(SALE).encode()
    return body[:1] + b" " * (size - len(body)) + body[1:]


async def chunks_of(body, size=1000):
    for at in range(0, len(body), size):
        yield body[at : at + size]


async def test_a_body_has_at_most_16_kib(api, people, posted):
    customer_id = people.complete()["customer_id"]
    path = f"/v1/customers/{customer_id}/accumulations"
    for body in (padded(16 * 1024), chunks_of(padded(16 * 1024))):
        async with api.session.post(
            api.store.url + path,
            data=body,
            headers={"Authorization": f"Bearer {api.store.key}", "Idempotency-Key": str(uuid4())},
        ) as response:
            assert response.status == 201
    reply = await posted(padded(16 * 1024 + 1))
    assert (reply.status, reply.code) == (413, "body_too_large")


@pytest.mark.parametrize("size", [16 * 1024 + 1, 1_000_000])
async def test_a_larger_body_is_refused_without_its_length_too(api, customer_id, beside, size):
    async def send():
        async with api.session.post(
            f"{api.store.url}/v1/customers/{customer_id}/accumulations",
            data=chunks_of(padded(size)),
            headers={"Authorization": f"Bearer {api.store.key}", "Idempotency-Key": "k"},
        ) as response:
            return Reply(response.status, response.headers, await response.json(content_type=None))

    reply = await beside(send())
    assert (reply.status, reply.code) == (413, "body_too_large")


async def test_a_promised_giant_is_refused_at_once(api, engine, customer_id, beside):
    reply = await beside(raw_request(engine.url, head(api, customer_id, length=10**12)))
    assert (reply.status, reply.code) == (413, "body_too_large")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
async def test_a_compressed_body_is_not_taken(posted, encoding):
    body = gzip.compress(json.dumps(SALE).encode())
    reply = await posted(body, headers={"Content-Encoding": encoding})
    assert (reply.status, reply.code) == (415, "unsupported_encoding")


async def test_a_body_that_does_not_come_is_not_waited_for(api, engine, customer_id, beside):
    request = head(api, customer_id, length=100) + b'{"amount":'
    reply = await beside(raw_request(engine.url, request))
    assert (reply.status, reply.code) == (408, "request_timeout")


async def test_a_body_that_drips_is_not_waited_for(api, engine, customer_id):
    host, _, port = engine.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head(api, customer_id, length=10_000))

    async def drip():
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(20):
        status = await reader.readline()
    dripping.cancel()
    writer.close()
    assert b" 408 " in status


async def test_a_client_that_hangs_up_in_its_body_breaks_nothing(api, engine, customer_id):
    before = len(engine.logs)
    host, _, port = engine.url.removeprefix("http://").partition(":")
    for part in (b"", b'{"amount":'):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head(api, customer_id, length=100) + part)
        await writer.drain()
        writer.transport.abort()
    assert (await api.store.customer(customer_id)).status == 200
    errors = [line for line in engine.logs[before:] if line["level"] == "error"]
    assert [line for line in errors if line["event"] != "library"] == []


def head(api, customer_id, *, length=None, more=b""):
    lines = [
        f"POST /v1/customers/{customer_id}/accumulations HTTP/1.1",
        "Host: engine",
        f"Authorization: Bearer {api.store.key}",
        "Idempotency-Key: k",
        "Content-Type: application/json",
    ]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join(lines).encode() + b"\r\n" + more + b"\r\n"


SALE_BYTES = b'{"amount": 100, "currency": "COP"}'
CHUNKED = b"Transfer-Encoding: chunked\r\n"
RAW = {
    "a chunk of no size": (CHUNKED, b"zz\r\n" + SALE_BYTES + b"\r\n0\r\n\r\n"),
    "a chunk that is longer than it says": (CHUNKED, b"5\r\n" + SALE_BYTES + b"\r\n0\r\n\r\n"),
    "both lengths": (CHUNKED + b"Content-Length: 3\r\n", b"0\r\n\r\n"),
    "two lengths": (b"Content-Length: 3\r\nContent-Length: 4\r\n", b"{}  "),
    "a negative length": (b"Content-Length: -1\r\n", b""),
    "a length that is no number": (b"Content-Length: 1x\r\n", b""),
    "a header without a colon": (b"Nonsense\r\n", b""),
    "a NUL in a header": (b"X-A: a\x00b\r\n", b""),
    "a header of 100 kB": (b"X-A: " + b"a" * 100_000 + b"\r\n", b""),
    "a thousand headers": (b"".join(b"X-%d: a\r\n" % n for n in range(1000)) + b"X: y", b""),
}


@pytest.mark.parametrize(("more", "body"), RAW.values(), ids=RAW)
async def test_broken_http_is_the_clients_fault(api, engine, customer_id, beside, more, body):
    request = head(api, customer_id, more=more) + body
    try:
        reply = await beside(raw_request(engine.url, request))
    except (asyncio.IncompleteReadError, ConnectionResetError):
        pass  # hung up on, which is an answer too
    else:
        assert 400 <= reply.status < 500
    assert (await api.store.points(customer_id, 1)) == 0


@pytest.mark.parametrize(
    "line",
    [
        b"Idempotency-Key: \xff\xfe",
        b"Authorization: Bearer %b_\xff\xfe",
        b"Authorization: Bearer %b_\xc3\xb1",
        b"X-Request-Id: \xff",
        b"Accept-Language: \xff\xfe",
        b"traceparent: \xff",
    ],
)
async def test_headers_that_are_no_text_break_nothing(api, engine, customer_id, beside, line):
    key_id = api.store.key.rpartition("_")[0].encode()
    name = line.partition(b":")[0]
    request = head(api, customer_id, length=1)
    kept = [one for one in request.split(b"\r\n") if not one.startswith(name + b":")]
    sent = b"\r\n".join([kept[0], line.replace(b"%b", key_id), *kept[1:]]) + b"["
    reply = await beside(raw_request(engine.url, sent))
    assert reply.status in (400, 401)


@pytest.mark.parametrize(
    "path",
    [
        *("//", "/v1", "/v1/", "/V1/customers", "/v1/customers/", "/v1/customers/a/b/c/d"),
        *("/%2e%2e/%2e%2e/etc/passwd", "/v1/customers/%ff/wallets", "/\x7f"),
    ],
)
async def test_a_path_of_nothing_is_not_found(api, engine, path):
    request = f"GET {path} HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer {api.store.key}\r\n\r\n"
    reply = await raw_request(engine.url, request.encode())
    assert reply.status in (400, 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/customers/"),
        ("GET", "/v1/customers/"),
        ("PATCH", "/v1/customers/"),
        ("GET", "/v1/customers//wallets"),
        ("DELETE", "/v1/brands/1/rewards/"),
        ("GET", "/v1/brands//rewards/1"),
        ("PUT", "/v1/stores/1/invoices/"),
    ],
)
async def test_an_empty_segment_names_nothing(api, method, path):
    reply = await api.network.request(method, path, {})
    assert (reply.status, reply.code) == (404, "not_found")


async def test_nothing_of_all_this_was_an_error_of_ours(engine):
    """The last test of the module: what went before left no error in the log.

    aiohttp logs broken HTTP as an error of its own; that is none of ours.
    """
    errors = [line for line in engine.logs if line["level"] in ("error", "critical")]
    assert [line for line in errors if line["event"] != "library"] == []
    assert engine.process.poll() is None

"""What is read as a plain request aiohttp reads likewise; what is written, orjson would write."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from unittest.mock import Mock

import orjson
from aiohttp.http import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from engine.http.plain import accumulation_text, plain_request
from engine.ledger.core import uuid_text
from engine.programme.calendar import iso_day, iso_moment

SALE = (
    b"POST /v1/customers/937c7a83-8f27-445a-8566-23d9c1b84f6a/accumulations HTTP/1.1\r\n"
    b"Host: engine\r\nAuthorization: Bearer lk_a_b\r\nIdempotency-Key: k-1\r\n"
    b"X-Request-Id: here\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n"
    b'Content-Length: 13\r\n\r\n{"amount":10}'
)
PROBE = b"GET /livez HTTP/1.1\r\nHost: engine\r\n\r\n"
PIECES = (
    *(b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\0", b"\xff", b"0", b"+", b",", b"%2F", b"#"),
    *(b"Host: other\r\n", b"Content-Length: 13\r\n", b"Content-Length: 1\r\n", b"HTTP/1.1"),
    *(b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n"),
    *(b"Connection: upgrade\r\n", b"Connection: close\r\n", b"Cookie: a=b; c\r\n", b"X: y\r\n"),
    *(b"Accept: */*\r\n", b"Content-Length:\r\n", b" folded\r\n", SALE, PROBE),
)


@st.composite
def nearly_sales(draw):
    """A sale with a few things put in, left out, or said twice."""
    data = SALE
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + draw(st.sampled_from((0, 1, 30))))))
        data = data[:start] + draw(st.sampled_from((b"", *PIECES))) + data[end:]
    return data


def read_by_aiohttp(*pieces):
    """Return the messages and bodies that aiohttp reads."""
    loop = asyncio.new_event_loop()
    try:
        protocol = Mock(_reading_paused=False)
        parser = HttpRequestParser(protocol, loop, 2**16, auto_decompress=False)
        found = []
        for piece in pieces:
            messages, upgraded, tail = parser.feed_data(piece)
            assert not upgraded
            assert not tail
            found += messages
        return found
    finally:
        loop.close()


@given(nearly_sales(), st.just(0) | st.integers(1, 20))
def test_aiohttp_reads_the_same_of_a_plain_request_and_nothing_behind_it(data, cut):
    data = data[: len(data) - cut]
    request = plain_request(data)
    if request is None:
        return
    rest = b"x" * request.missing
    first, second = read_by_aiohttp(data, rest, PROBE)
    message, payload = first
    assert (message.method, message.path) == (request.method, request.target)
    assert (message.should_close, message.chunked, message.upgrade) == (False, False, False)
    for name, value in request.headers.items():
        assert message.headers.getall(name) == [value]
    assert payload.is_eof()
    if request.body or rest:
        assert payload.read_nowait() == request.body + rest
    assert second[0].path == "/livez"


def test_a_sale_is_plain():
    request = plain_request(SALE)
    assert request is not None
    assert (request.method, request.missing, request.body) == ("POST", 0, b'{"amount":10}')
    assert request.headers == {
        "Authorization": "Bearer lk_a_b",
        "Idempotency-Key": "k-1",
        "X-Request-Id": "here",
    }
    assert plain_request(SALE[:-3]).missing == 3
    assert plain_request(SALE + b"x") is None


@given(
    ids=st.tuples(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16)),
    places=st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)),
    points=st.tuples(st.integers(0, 2**53), st.integers(-(2**53), 2**53), st.integers(0, 2932896)),
    coins=st.none()
    | st.tuples(st.integers(0, 2**53), st.integers(-(2**53), 2**53), st.integers(0, 2932896)),
    recorded_at=st.integers(0, 253_402_300_799_999_999),
)
def test_an_accumulation_is_told_as_orjson_would_tell_it(ids, places, points, coins, recorded_at):
    def earned(amount, balance, day):
        expires_on = iso_day(day) if amount else None
        return {"earned": amount, "balance": balance, "expires_on": expires_on}

    decided = SimpleNamespace(
        transaction_id=ids[0],
        customer_id=ids[1],
        store_id=places[0],
        brand_id=places[1],
        amount=points[0],
        balance=points[1],
        earned_expires_day=points[2],
        has_coins=coins is not None,
        coins_amount=coins[0] if coins else 0,
        coins_balance=coins[1] if coins else 0,
        coins_expires_day=coins[2] if coins else 0,
        recorded_at=recorded_at,
    )
    assert accumulation_text(decided) == orjson.dumps(
        {
            "transaction_id": uuid_text(ids[0]),
            "customer_id": uuid_text(ids[1]),
            "store_id": places[0],
            "brand_id": places[1],
            "points": earned(*points),
            "coins": None if coins is None else earned(*coins),
            "recorded_at": iso_moment(recorded_at),
        }
    )

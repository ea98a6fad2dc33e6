"""Whatever bytes come, decoding them ends in a value or in a documented problem, and in time.

What is accepted another reader of JSON or HTTP takes for the same. `make fuzz` runs these very
functions under atheris, which is guided by what the code does with its input.
"""

from __future__ import annotations

import json
from itertools import chain

import msgspec
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from torture import size

from engine.api.bulk import items_of
from engine.api.contract import declaration_of
from engine.api.routes import ALL_ROUTES
from engine.commands.problem import Problem
from engine.http.bodies import BodyDecoder
from engine.http.operation import examples_of
from engine.http.plain import plain_request
from engine.http.problems import body_of, status_of
from engine.schemas.transactions import BulkItem

CASES = size(300, 20_000)
REFUSALS = {"malformed_json", "invalid_request"}
ITEMS_MAX = 10


EXAMPLES = list(
    chain.from_iterable(examples_of(declaration_of(route).body) for route in ALL_ROUTES)
)
SHAPES = sorted({type(one) for one in EXAMPLES}, key=lambda shape: shape.__name__)
ITEM = BodyDecoder(BulkItem)
WIRES = [BodyDecoder(shape) for shape in SHAPES]
BODIES = sorted({msgspec.json.encode(one) for one in EXAMPLES})
PIECES = (
    *(b"", b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\\u0000", b"\\ud800", b"\\u", b" "),
    *(b"\0", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\n", b"\r\n", b"/**/"),
    *(b"-", b"-0", b"0", b"1e999", b"0.1", b"9" * 400, b"NaN", b"Infinity", b"null", b"true"),
    *(b"[" * 2000, b'{"a":' * 2000, b"]" * 2000, b'"amount":1,', b'{"type":"accumulation"}'),
)
FRAMES = (
    *(b"POST ", b"GET ", b"/v1/customers/", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n", b"\n"),
    *(b"Host: e\r\n", b"Content-Length: 2\r\n", b"Content-Length: 00", b": ", b"\r\n\r\n", b"{}"),
    *(b"Authorization: Bearer lk_a_b\r\n", b"Idempotency-Key: k\r\n", b"Connection: ", b"close"),
)


@st.composite
def nearly_bodies(draw):
    """A body of the contract with a few things put in, left out, or said twice."""
    data = draw(st.sampled_from(BODIES))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + draw(st.sampled_from((0, 1, 20))))))
        data = data[:start] + draw(st.sampled_from(PIECES) | st.binary(max_size=4)) + data[end:]
    return data


def outcome_of(decode, *given):
    """Return (what is decoded, None) or (None, the problem)."""
    try:
        return decode(*given), None
    except Problem as problem:
        return None, problem


@settings(max_examples=CASES)
@given(wire=st.sampled_from(WIRES), data=nearly_bodies() | st.binary(max_size=200))
def test_a_body_is_decoded_or_refused(wire, data):
    found, problem = outcome_of(wire.decode, data)
    if problem is not None:
        assert (status_of(problem), problem.code in REFUSALS) == (400, True)
        assert orjson.loads(body_of(problem, "id", "en"))["detail"] == problem.detail != ""
        assert orjson.loads(body_of(problem, "id", "es"))["detail"] != ""
    else:
        assert wire.decode(msgspec.json.encode(found)) == found
        assert not data.strip() or isinstance(json.loads(data), dict)


@settings(max_examples=CASES)
@given(st.lists(nearly_bodies() | st.sampled_from(PIECES), max_size=12), st.booleans())
def test_an_upload_falls_into_items_that_are_decoded_or_refused(lines, array):
    data = b"[" + b",".join(lines) + b"]" if array else b"\n".join(lines)
    items, problem = outcome_of(items_of, data, ITEMS_MAX)
    if problem is not None:
        assert status_of(problem) in (400, 413)
        return
    assert 1 <= len(items) <= ITEMS_MAX
    for item in items:
        _, problem = outcome_of(ITEM.decode, bytes(item))
        assert problem is None or problem.code in REFUSALS
    if array:  # what is no UTF-8 is still in an item
        assert len(json.loads(data.decode(errors="replace"))) == len(items)


@settings(max_examples=CASES)
@given(st.lists(st.sampled_from(FRAMES) | st.binary(max_size=8), max_size=30))
def test_any_bytes_are_a_plain_request_or_none(pieces):
    data = b"".join(pieces)
    request = plain_request(data)
    if request is not None:
        assert data.endswith(b"\r\n\r\n" + request.body)
        assert request.missing >= 0

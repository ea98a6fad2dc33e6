"""The head of a request is read as strictly as its body: each parameter and each header once."""

from __future__ import annotations

import asyncio
import json
import re
from uuid import uuid4

import pytest

from engine.api.contract import declaration_of
from engine.api.routes import OPEN_ROUTES, ROUTES
from engine.http.dispatcher import OpenRoute, Route
from engine.http.headers import DECIDING

SALE = {"amount": 5_400_000, "currency": "COP"}
STRICT = [one for one in ROUTES + OPEN_ROUTES if isinstance(one, Route) or one.counted]
NAMED = {
    "customer_id": "0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c",
    "payment_id": "0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c",
    "transaction_id": "0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c",
}


def path_of(route):
    return re.sub(r"\{(\w+)\}", lambda found: NAMED.get(found[1], "1"), route.path)


@pytest.fixture
async def exchange(api):
    """Return what sends a head and a body as they are, and reads all that comes until the end."""
    host, port = api.store.url.removeprefix("http://").split(":")

    async def send(lines, body=b"", *, method="POST", path, version="HTTP/1.1", close=True):
        head = [f"{method} {path} {version}", "Host: x", *lines]
        head += [f"Content-Length: {len(body)}"] if body else []
        head += ["Connection: close"] if close else []
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write("\r\n".join([*head, "", ""]).encode() + body)
        try:
            async with asyncio.timeout(20):
                whole = await reader.read() if close else await read_one(reader)
        finally:
            writer.close()
        head_read, _, rest = whole.partition(b"\r\n\r\n")
        told = json.loads(rest) if rest else None
        return int(head_read.split(b" ")[1]), head_read.decode(), told

    return send


async def read_one(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])
    return head + await reader.readexactly(length)


@pytest.fixture
def selling(api, exchange, customer_id):
    """Return what sells with these headers."""

    async def sell(*lines, key=None):
        path = f"/v1/customers/{customer_id}/accumulations"
        lines = [*lines, f"Authorization: Bearer {key or api.store.key}"]
        return await exchange(lines, json.dumps(SALE).encode(), path=path)

    return sell


@pytest.mark.parametrize("route", STRICT, ids=lambda one: f"{one.method} {one.path}")
async def test_a_query_parameter_that_is_unknown_is_refused_and_named(api, route):
    roles = getattr(route, "roles", frozenset())
    role = next((one for one in ("network", "store", "app") if one in {r.value for r in roles}), "")
    client = getattr(api, role) if role else api.anonymous
    reply = await client.request(route.method, f"{path_of(route)}?dry_run=true")
    if "cashier" in {one.value for one in roles} and not role:
        assert reply.status == 401
        return
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert reply.json["detail"].startswith("`dry_run` is no query parameter of this call")


@pytest.mark.parametrize("route", STRICT, ids=lambda one: f"{one.method} {one.path}")
def test_a_route_takes_the_query_parameters_that_it_is_declared_with(route):
    assert route.query == set(declaration_of(route).query)


@pytest.mark.parametrize(
    "route",
    [one for one in ROUTES if one.query],
    ids=lambda one: f"{one.method} {one.path}",
)
async def test_a_query_parameter_that_is_in_the_contract_is_read(api, route):
    for name in sorted(route.query):
        reply = await api.network.request(route.method, f"{path_of(route)}?{name}=%00no%0Bvalue")
        if reply.status == 404:  # what the path names is looked for first
            assert reply.code.endswith("_not_found")
        else:
            assert (reply.status, reply.code) == (400, "invalid_request"), name
            assert f"`{name}`" in reply.json["detail"]
            assert "no query parameter" not in reply.json["detail"]
        blank = await api.network.request(route.method, f"{path_of(route)}?{name}=%20")
        assert (blank.status, blank.code) == (400, "invalid_request")
        assert f"`{name}` is empty" in blank.json["detail"]


async def test_nothing_is_booked_by_a_request_with_an_unknown_parameter(api, customer_id):
    for query in ("dry_run=true", "dry_run", "=1", "amount=1", "store_id=1"):
        path = f"/v1/customers/{customer_id}/accumulations?{query}"
        reply = await api.store.request("POST", path, SALE, idempotency=str(uuid4()))
        assert (reply.status, reply.code) == (400, "invalid_request")
    assert (await api.store.transactions(customer_id)).json["transactions"] == []


async def test_a_parameter_may_come_twice_where_it_says_the_same(api, customer_id):
    path = f"/v1/customers/{customer_id}/transactions"
    assert (await api.store.request("GET", f"{path}?limit=5&limit=5")).status == 200
    reply = await api.store.request("GET", f"{path}?limit=5&limit=6")
    assert (reply.status, reply.code) == (400, "invalid_request")
    assert "`limit` comes with several values" in reply.json["detail"]


async def test_what_could_be_personal_in_a_query_is_not_repeated(api, customer_id):
    path = f"/v1/customers/{customer_id}/wallets?secret@example.com=1"
    reply = await api.store.request("GET", path)
    assert reply.status == 400
    assert "secret" not in reply.json["detail"]


async def test_probes_and_pages_take_what_monitors_and_browsers_add(api):
    for path in ("/livez?verbose", "/readyz?x=1", "/metrics?x=1", "/openapi.json?v=2", "/docs?x"):
        assert (await api.anonymous.request("GET", path)).status == 200


async def test_a_key_that_comes_twice_is_one_intent_or_none(selling, api, customer_id):
    first, second = str(uuid4()), str(uuid4())
    status, _, sold = await selling(f"Idempotency-Key: {first}")
    assert status == 201
    for lines in ([first, second], [second, first], [first, f'"{first}x"'], [first, ""]):
        status, head, told = await selling(*[f"Idempotency-Key: {one}" for one in lines])
        assert (status, told["code"]) == (400, "idempotency_key_invalid")
        assert "application/problem+json" in head
    for joined in (
        f"{first}, {second}",
        f"{first},\t{second}",
        f'"{first}", "{second}"',
        f'"{first}","{second}"',
        f'{first}, "{second}"',
        f'"{first}", {second}',
        f"{first},",
        f",{first}",
    ):
        status, _, told = await selling(f"Idempotency-Key: {joined}")
        assert (status, told["code"]) == (400, "idempotency_key_invalid"), joined
        assert "quotes" in told["detail"]
    same = [f"Idempotency-Key: {first}"] * 2
    status, head, told = await selling(*same)
    assert (status, told) == (201, sold)
    assert "Idempotent-Replayed: true" in head
    assert len((await api.store.transactions(customer_id)).json["transactions"]) == 2


@pytest.mark.parametrize("quoted", ['"A, 1"', '"A,1"', '"say \\"yes\\", please"'])
async def test_a_key_in_quotes_may_have_commas(selling, quoted):
    key = f"{uuid4()} {quoted[1:-1]}"
    first = await selling(f'Idempotency-Key: "{key}"')
    again = await selling(f'Idempotency-Key: "{key}"')
    assert (first[0], again[0]) == (201, 201)
    assert first[2] == again[2]


async def test_a_comma_without_a_blank_is_part_of_a_key(selling):
    key = f"till,{uuid4()}"
    bare, quoted = (
        await selling(f"Idempotency-Key: {key}"),
        await selling(f'Idempotency-Key: "{key}"'),
    )
    assert bare[0] == 201
    assert bare[2] == quoted[2]


async def test_two_principals_at_once_are_none(api, selling):
    own, other = f"Bearer {api.store.key}", f"Bearer {api.other_store.key}"
    for extra in (other, "", own.swapcase()):
        status, head, told = await selling(f"Authorization: {extra}", f"Idempotency-Key: {uuid4()}")
        assert (status, told["code"]) == (400, "invalid_request")
        assert "application/problem+json" in head
    status, _, _ = await selling(f"Authorization: {own}", f"Idempotency-Key: {uuid4()}")
    assert status == 201
    joined = f"{api.store.key}, {other}"
    assert (await selling(f"Idempotency-Key: {uuid4()}", key=joined))[0] == 401


async def test_every_header_that_decides_is_looked_at(api, exchange, customer_id):
    for name in DECIDING:
        lines = [f"{name}: a", f"{name}: b"]
        lines += [] if name == "Authorization" else [f"Authorization: Bearer {api.store.key}"]
        path = f"/v1/customers/{customer_id}/wallets"
        status, _, told = await exchange(lines, method="GET", path=path)
        assert (status, told["code"]) == (400, DECIDING[name])


async def test_two_lengths_of_a_body_are_refused(api, exchange, customer_id):
    path = f"/v1/customers/{customer_id}/accumulations"
    lines = [f"Authorization: Bearer {api.store.key}", f"Idempotency-Key: {uuid4()}"]
    for length in ("5", "5, 35"):
        head = [*lines, f"Content-Length: {length}"]
        status, answered, told = await exchange(head, json.dumps(SALE).encode(), path=path)
        assert (status, told["code"]) == (400, "invalid_request")
        assert "application/problem+json" in answered


@pytest.mark.parametrize("asked", ["keep-alive", "Keep-Alive"])
@pytest.mark.parametrize("path", ["/livez", "/v1/brands"])
async def test_an_old_client_is_answered_whether_its_connection_is_kept(api, exchange, path, asked):
    lines = [f"Authorization: Bearer {api.store.key}", f"Connection: {asked}"]
    _, head, _ = await exchange(lines, method="GET", path=path, version="HTTP/1.0", close=False)
    assert re.search(r"^Connection: keep-alive\r?$", head, re.MULTILINE)
    _, head, _ = await exchange(lines[:1], method="GET", path=path, version="HTTP/1.0")
    assert "keep-alive" not in head


@pytest.mark.parametrize(
    "lines",
    [
        [f"Cookie: {'c' * 5000}"],
        [f"{'N' * 5000}: x"],
        [f"X-Trace-{number}: {number}" for number in range(200)],
    ],
    ids=["a long value", "a long name", "many headers"],
)
async def test_a_head_that_is_too_large_is_told_by_which_limit(exchange, lines):
    status, head, told = await exchange(lines, method="GET", path="/livez")
    assert (status, told["code"]) == (431, "headers_too_large")
    assert "application/problem+json" in head
    assert re.search(r"at most (4096 bytes|128 headers)", told["detail"])


async def test_a_request_line_that_is_too_long_is_told_so(exchange):
    status, _, told = await exchange([], method="GET", path=f"/livez?{'x' * 5000}")
    assert (status, told["code"]) == (431, "headers_too_large")


async def test_a_body_may_be_said_to_be_as_it_is(selling):
    for encoding, status in (("identity", 201), ("Identity", 201), ("gzip", 415), ("br", 415)):
        lines = [f"Content-Encoding: {encoding}", f"Idempotency-Key: {uuid4()}"]
        assert (await selling(*lines))[0] == status


def test_open_routes_of_the_contract_are_counted_and_so_are_strict():
    assert [one.path for one in OPEN_ROUTES if isinstance(one, OpenRoute) and one.counted] == [
        one.path for one in OPEN_ROUTES if one.path.startswith("/v1/")
    ]

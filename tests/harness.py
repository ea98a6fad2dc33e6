"""The running engine for tests: a process of it, a client for it, and a network to use it on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import asyncpg
import orjson
from contract import CONTRACT_OF_ENGINE

from engine.demo import prepare
from engine.postgres.connections import connect
from engine.postgres.migrations import migrate
from engine.settings import Settings

ROOT = Path(__file__).parent.parent
START_SECONDS_MAX = 60.0
END_SECONDS_MAX = 60.0

HASTE = (
    *("--lock-timeout-ms", "300"),
    *("--statement-timeout-ms", "600"),
    *("--append-timeout-ms", "1000"),
    *("--answer-timeout-ms", "2000"),
)
"""Flags of an engine that notices a fault soon."""

CHAIN_SECRET = "what all engines of the tests chain the journal with"
CHAIN_KEY = sha256(CHAIN_SECRET.encode()).digest()
os.environ["LEAL_CHAIN_KEY"] = CHAIN_SECRET  # engines and commands of the tests inherit it

database_numbers = count(1)


class Reply(NamedTuple):
    """What the engine answered."""

    status: int
    headers: Any
    json: Any

    @property
    def code(self) -> str | None:
        """The code of a problem, None of an answer that is none."""
        return self.json.get("code") if isinstance(self.json, dict) else None

    @property
    def replayed(self) -> bool:
        return self.headers.get("Idempotent-Replayed") == "true"


class Told(NamedTuple):
    """One event of a stream."""

    name: str
    id: str
    json: Any


class Stream:
    """What a reader of server-sent events sees of them."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.headers = response.headers
        self.last_event_id = ""
        self.signs_of_life = 0
        self._content = response.content

    async def next(self, seconds_max: float = 20.0) -> Told | None:
        """Return the next event, None at the end of the stream; raises TimeoutError."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(seconds_max):
            while line := (await self._content.readline()).decode():
                name, _, value = line.rstrip("\n").partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
                    continue
                self.signs_of_life += line.startswith(":")
                if line == "\n":
                    self.last_event_id = fields.get("id", self.last_event_id)
                    if "data" in fields:
                        data = orjson.loads(fields["data"])
                        return Told(fields["event"], self.last_event_id, data)
                    fields = {}
        return None

    async def several(self, count: int) -> list[Told]:
        """Return the next events, so many of them."""
        told = [await self.next() for _ in range(count)]
        assert None not in told
        return [one for one in told if one is not None]


class Api:
    """A client with one key: one method for each call of the contract."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str | None) -> None:
        self.session = session
        self.url = url
        self.key = key

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        idempotency: str | None = None,
        **more: Any,
    ) -> Reply:
        """Send a request; fail where the engine's document does not allow its answer.

        `body` is JSON, or bytes to be sent as they are.
        """
        headers = dict(more.pop("headers", {}))
        if self.key is not None:
            headers.setdefault("Authorization", f"Bearer {self.key}")
        if idempotency is not None:
            headers["Idempotency-Key"] = idempotency
        data = body
        if body is not None and not isinstance(body, bytes):
            data = orjson.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        async with self.session.request(
            method, self.url + path, data=data, headers=headers, **more
        ) as response:
            read = await response.read()
            is_json = read and "json" in response.headers.get("Content-Type", "")
            told = orjson.loads(read) if is_json else read
        reply = Reply(response.status, response.headers, told)
        CONTRACT_OF_ENGINE.check(method, path, body, reply)
        return reply

    async def register(self, **body: Any) -> Reply:
        return await self.request("POST", "/v1/customers", body)

    async def lookup(self, **body: Any) -> Reply:
        return await self.request("POST", "/v1/customers/lookup", body)

    async def customer(self, customer_id: str) -> Reply:
        return await self.request("GET", f"/v1/customers/{customer_id}")

    async def update(self, customer_id: str, **body: Any) -> Reply:
        return await self.request("PATCH", f"/v1/customers/{customer_id}", body)

    async def block(self, customer_id: str, reason: str, key: str | None = None) -> Reply:
        path = f"/v1/customers/{customer_id}/block"
        return await self.request("POST", path, {"reason": reason}, idempotency=key)

    async def unblock(self, customer_id: str, reason: str, key: str | None = None) -> Reply:
        path = f"/v1/customers/{customer_id}/unblock"
        return await self.request("POST", path, {"reason": reason}, idempotency=key)

    async def qr(self, customer_id: str) -> Reply:
        return await self.request("POST", f"/v1/customers/{customer_id}/qr")

    async def accumulate(self, customer_id: str, key: str | None = None, **body: Any) -> Reply:
        return await self._post(customer_id, "accumulations", key, body)

    async def redeem(self, customer_id: str, key: str | None = None, **body: Any) -> Reply:
        return await self._post(customer_id, "redemptions", key, body)

    async def pay(self, customer_id: str, key: str | None = None, **body: Any) -> Reply:
        body.setdefault("document_checked", True)
        return await self._post(customer_id, "payments", key, body)

    async def confirm(
        self, customer_id: str, payment_id: str, code: str, key: str | None = None
    ) -> Reply:
        path = f"/v1/customers/{customer_id}/payments/{payment_id}/confirm"
        return await self.request("POST", path, {"code": code}, idempotency=key)

    async def resend(self, customer_id: str, payment_id: str, key: str | None = None) -> Reply:
        path = f"/v1/customers/{customer_id}/payments/{payment_id}/resend"
        return await self.request("POST", path, idempotency=key)

    async def void(self, customer_id: str, payment_id: str, key: str | None = None) -> Reply:
        path = f"/v1/customers/{customer_id}/payments/{payment_id}/void"
        return await self.request("POST", path, idempotency=key)

    async def payment(self, customer_id: str, payment_id: str) -> Reply:
        return await self.request("GET", f"/v1/customers/{customer_id}/payments/{payment_id}")

    async def convert(self, customer_id: str, key: str | None = None, **body: Any) -> Reply:
        return await self._post(customer_id, "conversions", key, {"partner_id": 1} | body)

    async def cash_back(self, customer_id: str, key: str | None = None, **body: Any) -> Reply:
        order = f"WEB-{customer_id[:8]}-{key or uuid4()}"  # the same for a retry
        body = {"store_id": 1, "order": order} | body
        return await self._post(customer_id, "cashbacks", key, body)

    async def donate(self, customer_id: str, key: str | None = None, **body: Any) -> Reply:
        return await self._post(customer_id, "donations", key, {"organisation_id": 1} | body)

    async def reverse(
        self, customer_id: str, transaction_id: str, key: str | None = None, **body: Any
    ) -> Reply:
        body = {"transaction_id": transaction_id, "reason": "a mistake"} | body
        return await self._post(customer_id, "reversals", key, body)

    async def wallets(self, customer_id: str) -> Reply:
        return await self.request("GET", f"/v1/customers/{customer_id}/wallets")

    async def transactions(self, customer_id: str, **query: Any) -> Reply:
        path = f"/v1/customers/{customer_id}/transactions"
        return await self.request("GET", path, params=query)

    async def offers(self, customer_id: str, **query: Any) -> Reply:
        path = f"/v1/customers/{customer_id}/offers"
        return await self.request("GET", path, params=query)

    async def transaction(self, customer_id: str, transaction_id: str) -> Reply:
        path = f"/v1/customers/{customer_id}/transactions/{transaction_id}"
        return await self.request("GET", path)

    async def print(self, store_id: int, number: str, **body: Any) -> Reply:
        """Send a sale as a point of sale does that has just printed it."""
        path = f"/v1/stores/{store_id}/invoices/{quote(number, safe='')}"
        body.setdefault("issued_at", datetime.now(UTC).isoformat())
        return await self.request("PUT", path, {"amount": 5_400_000, "currency": "COP"} | body)

    async def invoice(self, store_id: int, number: str) -> Reply:
        path = f"/v1/stores/{store_id}/invoices/{quote(number, safe='')}"
        return await self.request("GET", path)

    async def invoices(self, store_id: int, **query: Any) -> Reply:
        return await self.request("GET", f"/v1/stores/{store_id}/invoices", params=query)

    async def fund(self, brand_id: int = 1) -> Reply:
        return await self.request("GET", f"/v1/brands/{brand_id}/fund")

    async def prepay(self, prepaid: bool = True, brand_id: int = 1) -> Reply:
        path = f"/v1/brands/{brand_id}/fund"
        return await self.request("PATCH", path, {"prepaid": prepaid})

    async def deposit(self, coins: int, key: str | None = None, **body: Any) -> Reply:
        """Deposit coins in the fund of a brand, 1 if `brand_id` says nothing else."""
        path = f"/v1/brands/{body.pop('brand_id', 1)}/fund/deposits"
        body = {"coins": coins, "reference": str(uuid4())} | body
        return await self.request("POST", path, body, idempotency=key or str(uuid4()))

    async def upload(self, items: list[dict[str, Any]], **more: Any) -> Reply:
        """Send accumulations in bulk, a line for each."""
        body = b"\n".join(orjson.dumps({"type": "accumulation"} | item) for item in items)
        return await self.request("POST", "/v1/transactions", body, **more)

    @asynccontextmanager
    async def follow(
        self, store_id: int, last_event_id: str | None = None, **query: Any
    ) -> AsyncIterator[Stream]:
        """Open the stream of a store's printed sales."""
        headers = {"Authorization": f"Bearer {self.key}"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        url = f"{self.url}/v1/stores/{store_id}/invoices/stream"
        async with self.session.get(url, headers=headers, params=query) as response:
            assert response.status == 200, await response.text()
            yield Stream(response)

    async def points(self, customer_id: str, brand_id: int) -> int:
        """Return the balance of points at a brand."""
        return await self._balance(customer_id, brand_id)

    async def coins(self, customer_id: str) -> int:
        """Return the balance of coins."""
        return await self._balance(customer_id, None)

    async def _balance(self, customer_id: str, brand_id: int | None) -> int:
        wallets = (await self.wallets(customer_id)).json["wallets"]
        return next((w["balance"] for w in wallets if w.get("brand_id") == brand_id), 0)

    async def _post(self, customer_id: str, verb: str, key: str | None, body: Any) -> Reply:
        path = f"/v1/customers/{customer_id}/{verb}"
        return await self.request("POST", path, body, idempotency=key or str(uuid4()))


class CashierApi(Api):
    """A client that signs in before its first request; `signed_in` remembers the token."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        sign_in: dict[str, Any],
        signed_in: dict[str, str],
    ) -> None:
        super().__init__(session, url, None)
        self._sign_in = sign_in
        self._signed_in = signed_in
        self._turn = asyncio.Lock()

    async def request(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        async with self._turn:
            if "token" not in self._signed_in:
                reply = await super().request("POST", "/v1/sessions", self._sign_in)
                assert reply.status == 201, reply
                self._signed_in["token"] = reply.json["token"]
        self.key = self._signed_in["token"]
        if (method, path) == ("DELETE", "/v1/sessions/current"):
            self._signed_in.clear()
        return await super().request(method, path, body, **more)


class Clients:
    """A client for each role of the demo network; `anonymous` has no key."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        demo: dict[str, Any],
        signed_in: dict[str, str],
    ) -> None:
        keys = demo["keys"]
        self.network, self.brand, self.store, self.other_store, self.app = (
            Api(session, url, keys[role]["key"])
            for role in ("network", "brand", "store", "other_store", "app")
        )
        self.cashier = CashierApi(session, url, demo["cashier"], signed_in)
        self.anonymous = Api(session, url, None)
        self.session = session

    def with_key(self, key: str) -> Api:
        """Return a client with another key."""
        return Api(self.session, self.anonymous.url, key)


@asynccontextmanager
async def clients_of(engine: EngineProcess, seconds_max: float = 30.0) -> AsyncIterator[Clients]:
    """Give clients of a running engine; each request has a connection if it needs one."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=seconds_max)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Clients(session, engine.url, engine.demo, engine.signed_in)


class EngineProcess:
    """`serve` as a process of its own. Its log lines are read as they come."""

    def __init__(
        self, dsn: str, folder: Path, *flags: str, command: tuple[str, ...] = ("-m", "engine")
    ) -> None:
        self.folder = folder
        self.logs: list[dict[str, Any]] = []
        self.other_lines: list[str] = []
        self.url = ""
        self.signed_in: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._command = [
            *(sys.executable, *command, "serve", "--database-url", dsn, "--port", "0"),
            *("--data-dir", str(folder), "--demo", *flags),
        ]
        self._news = threading.Condition()
        self._reader: threading.Thread | None = None

    @property
    def demo(self) -> dict[str, Any]:
        """What demo.json says."""
        return orjson.loads((self.folder / "demo.json").read_bytes())

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> EngineProcess:
        """Start, and return when the engine serves."""
        before = len(self.logs)
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        serving = self.wait_for_log("serving", since=before)
        self.url = f"http://127.0.0.1:{serving['port']}"
        return self

    def terminate(self) -> int:
        """Send SIGTERM; return the exit code."""
        return self._end(signal.SIGTERM)

    def wait_for_end(self) -> int:
        """Return the exit code once the process has ended by itself."""
        return self._end(None)

    def kill(self) -> int:
        """Send SIGKILL; return the exit code."""
        return self._end(signal.SIGKILL)

    def restart(self) -> EngineProcess:
        """Start again, on another port."""
        assert self.process is None
        return self.start()

    def stop(self) -> None:
        """End the process, whatever state it is in."""
        if self.process is not None:
            self.kill()

    def wait_for_log(
        self, event: str, *, since: int = 0, seconds_max: float = START_SECONDS_MAX
    ) -> dict[str, Any]:
        """Return the first log line of `event` after the first `since` lines, once it is there."""
        deadline = time.monotonic() + seconds_max
        with self._news:
            while True:
                for line in self.logs[since:]:
                    if line.get("event") == event:
                        return line
                assert self.process is not None
                if self.process.poll() is not None:
                    break
                self._news.wait(0.2)
                assert time.monotonic() < deadline, f"no {event!r} in {self.logs[-5:]}"
        self._end(None)
        raise AssertionError(f"the engine ended: {self.other_lines} {self.logs[-5:]}")

    def events(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of `event` so far."""
        return [line for line in self.logs if line.get("event") == event]

    def outbox(self) -> list[dict[str, Any]]:
        """Return what the sender sent."""
        path = self.folder / "outbox.ndjson"
        return (
            [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
        )

    def _end(self, sign: int | None) -> int:
        process = self.process
        assert process is not None
        if sign is not None and process.poll() is None:
            process.send_signal(sign)
        code = process.wait(END_SECONDS_MAX)
        if self._reader is not None:
            self._reader.join(END_SECONDS_MAX)
        self.process = None
        return code

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                with self._news:
                    try:
                        self.logs.append(json.loads(line))
                    except ValueError:
                        self.other_lines.append(line.decode(errors="replace"))
                    self._news.notify_all()


class People:
    """Customers of the demo network, each given once, so that tests do not meet in a wallet."""

    def __init__(self, demo: dict[str, Any]) -> None:
        self._complete = (one for one in demo["customers"] if one["profile_complete"])
        self._incomplete = (one for one in demo["customers"] if not one["profile_complete"])

    def complete(self) -> dict[str, Any]:
        """Return a customer whose profile is complete."""
        return next(self._complete)

    def incomplete(self) -> dict[str, Any]:
        """Return a customer whose profile is not."""
        return next(self._incomplete)

    def several(self, number: int) -> list[str]:
        """Return the ids of customers whose profiles are complete."""
        return [self.complete()["customer_id"] for _ in range(number)]


class Network:
    """A server with a database that has the demo network, to make copies of."""

    def __init__(self, server_dsn: str, folder: Path) -> None:
        self.server_dsn = server_dsn
        self.folder = folder

    async def load(self) -> Network:
        """Migrate and load the network into the server's own database."""
        connection = await connect(
            self.server_dsn,
            statement_timeout_ms=60_000,
            lock_timeout_ms=60_000,
            application_name="test",
            command_timeout_seconds=60.0,
        )
        await migrate(connection)
        assert await prepare.prepare(connection, self.folder)
        await connection.close()
        return self

    def new_database(self) -> str:
        """Return the DSN of a fresh copy."""
        return asyncio.run(self._new_database())

    async def _new_database(self) -> str:
        name = f"copy_{next(database_numbers)}"
        other = self.server_dsn.replace("/leal?", "/postgres?")
        connection = await asyncpg.connect(other)
        await connection.execute(f"create database {name} template leal strategy file_copy")
        await connection.close()
        return self.server_dsn.replace("/leal?", f"/{name}?")

    def engine(
        self, dsn: str, folder: Path, *flags: str, command: tuple[str, ...] = ("-m", "engine")
    ) -> EngineProcess:
        """Return an engine, not yet started, on a copy; the keys are the same for every copy."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(self.folder / "demo.json", folder / "demo.json")
        return EngineProcess(dsn, folder, "--allow-data-loss", *flags, command=command)


def settings_for(folder: Path, **more: Any) -> Settings:
    """Return the settings of an engine in this process, with the key of the others' hashes."""
    return Settings(data_dir=folder, chain_key=CHAIN_SECRET, **more)


@asynccontextmanager
async def connection_to(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Give a connection of the test's own."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@contextmanager
def running(engines: list[EngineProcess]) -> Iterator[None]:
    """Start engines one after the other; however it ends, all of them are stopped."""
    try:
        for engine in engines:
            engine.start()
        yield
    finally:
        for engine in engines:
            engine.stop()


async def audit(dsn: str, *flags: str) -> tuple[int, str]:
    """Run the command; return its exit status and what it said."""
    command = (sys.executable, "-m", "engine", "audit", "--database-url", dsn, *flags)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    return int(process.returncode or 0), (out + err).decode()


async def assert_balanced(dsn: str) -> None:
    """Fail with what the command says of the books, unless they balance."""
    status, said = await audit(dsn)
    assert status == 0, said


async def until(holds: Callable[[], Any], seconds_max: float = 30.0) -> Any:
    """Return what `holds` gives as soon as that is true; for what nothing can be awaited of."""
    deadline = time.monotonic() + seconds_max
    while True:
        found = holds()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, "it never became true"
        await asyncio.sleep(0.01)


async def answered(send: Callable[[], Any]) -> Reply:
    """Send until there is an answer that is final; return it."""

    async def once() -> Reply | None:
        reply = await send()
        return None if reply.status in (503, 504) else reply

    reply: Reply = await until(once)
    return reply


def numbered(prefix: str) -> Iterator[str]:
    """Give `prefix`-1, `prefix`-2, …"""
    return (f"{prefix}-{number}" for number in count(1))


async def raw_request(url: str, *parts: bytes, seconds_max: float = 30.0) -> Reply:
    """Send bytes as they are, and return the answer; for what a proper client would not send."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(seconds_max):
            for part in parts:
                writer.write(part)
                await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers.get("Content-Length", 0)))
    finally:
        writer.close()
    is_json = "json" in headers.get("Content-Type", "")
    return Reply(int(head[0].split()[1]), headers, orjson.loads(body) if is_json else body)

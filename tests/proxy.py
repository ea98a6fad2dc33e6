"""A proxy between an engine and its PostgreSQL that breaks the connection where it is told to.

It follows the frontend's messages, so that a fault can be put at the very message that commits:
CopyDone where a batch is one COPY, the query `commit` where it is a transaction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from struct import unpack_from
from urllib.parse import parse_qs, urlsplit

COPY_DONE = b"c"
QUERY = b"Q"
WRITER = b"leal-writer"


@dataclass(eq=False)
class Fault:
    """What happens to one commit.

    `request_bytes`: the server gets so many bytes of the committing message, then the connection
    is cut. `reply_bytes`: the server commits, the engine gets so many bytes of what it says, then
    the connection is cut. `hold_request` and `hold_reply`: the message, or the reply, waits for the
    event; nobody is told that the other side has gone.
    """

    request_bytes: int | None = None
    reply_bytes: int | None = None
    hold_request: asyncio.Event | None = None
    hold_reply: asyncio.Event | None = None
    struck: asyncio.Event = field(default_factory=asyncio.Event)


class Proxy:
    """Listens on TCP in front of a server's unix socket."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        query = parse_qs(parts.query)
        self._socket = Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}"
        self._database = parts.path.lstrip("/")
        self._server: asyncio.Server | None = None
        self._pipes: set[_Pipe] = set()
        self.plan: deque[Fault] = deque()
        """Faults of the next commits, one each."""
        self.delay_s: Callable[[], float] | None = None
        """How long what a server says to a commit is on its way; None for no time at all."""
        self.silent = False
        """Whether nothing goes through in either direction, and nobody is told so."""

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.silent = False
        self.cut_all()
        while self._pipes:
            await asyncio.sleep(0.005)
        await self._server.wait_closed()

    @property
    def dsn(self) -> str:
        """Where the engine connects to."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://leal@127.0.0.1:{port}/{self._database}?sslmode=disable"

    def strike(self, fault: Fault) -> Fault:
        """Let `fault` happen to the next commit."""
        self.plan.append(fault)
        return fault

    def cut_all(self) -> None:
        """Cut every connection there is."""
        for pipe in list(self._pipes):
            pipe.cut()

    async def audible(self) -> None:
        """Return when something may go through."""
        while self.silent:
            await asyncio.sleep(0.01)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back_reader, back_writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError:
            writer.close()
            return
        pipe = _Pipe(self, reader, writer, back_reader, back_writer)
        self._pipes.add(pipe)
        try:
            await pipe.run()
        finally:
            self._pipes.discard(pipe)


class _Pipe:
    """One connection through the proxy."""

    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back_reader: asyncio.StreamReader,
        back_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._back_reader, self._back_writer = back_reader, back_writer
        self._writes = False
        self._in_transaction = False
        self._committed = False
        self._fault: Fault | None = None

    async def run(self) -> None:
        """Carry both directions until one of them ends."""
        there = asyncio.create_task(self._to_server())
        back = asyncio.create_task(self._to_engine())
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        self.cut()
        for task in (there, back):
            task.cancel()
        await asyncio.gather(there, back, return_exceptions=True)

    def cut(self) -> None:
        """Reset both sides."""
        for writer in (self._writer, self._back_writer):
            with suppress(RuntimeError):
                writer.transport.abort()

    async def _to_server(self) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await self._reader.readexactly(4)
            startup = head + await self._reader.readexactly(unpack_from(">i", head)[0] - 4)
            self._writes = WRITER in startup
            await self._give_server(startup)
            while True:
                head = await self._reader.readexactly(5)
                message = head + await self._reader.readexactly(unpack_from(">i", head, 1)[0] - 4)
                self._committed = self._writes and self._commits(message)
                if self._committed and self._proxy.plan:
                    if not await self._strike(self._proxy.plan.popleft(), message):
                        return
                else:
                    await self._give_server(message)

    def _commits(self, message: bytes) -> bool:
        if message[:1] == QUERY:
            text = message[5:-1].lower()
            if text in (b"begin", b"rollback"):
                self._in_transaction = text == b"begin"
            if text == b"commit":
                self._in_transaction = False
                return True
        return message[:1] == COPY_DONE and not self._in_transaction

    async def _strike(self, fault: Fault, message: bytes) -> bool:
        """Do to a committing message what `fault` says; return whether the connection goes on."""
        if fault.request_bytes is not None:
            await self._give_server(message[: fault.request_bytes])
            fault.struck.set()
            return False
        if fault.hold_request is not None:
            fault.struck.set()
            await fault.hold_request.wait()
        else:
            self._fault = fault
        await self._give_server(message)
        return True

    async def _give_server(self, data: bytes) -> None:
        await self._proxy.audible()
        self._back_writer.write(data)
        await self._back_writer.drain()

    async def _to_engine(self) -> None:
        with suppress(ConnectionError):
            while data := await self._back_reader.read(65536):
                await self._proxy.audible()
                if self._committed and self._proxy.delay_s is not None:
                    await asyncio.sleep(self._proxy.delay_s())
                self._committed = False
                fault = self._fault
                if fault is not None:
                    self._fault = None
                    fault.struck.set()
                    if fault.hold_reply is not None:
                        await fault.hold_reply.wait()
                    if fault.reply_bytes is not None:
                        self._writer.write(data[: fault.reply_bytes])
                        await self._writer.drain()
                        return
                self._writer.write(data)
                await self._writer.drain()

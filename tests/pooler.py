"""A pooler in front of a real server, with few sessions that its clients share or keep.

It lends a session for a transaction (`transaction`) or for as long as a client stays (`session`).
As PgBouncer does, it gives clients a number of a process of its own making, and refuses what it
does not know in a startup message.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from struct import pack, unpack_from
from urllib.parse import parse_qs, urlsplit

KNOWN_AT_STARTUP = {"user", "database", "client_encoding", "application_name"}
KEY_OF_POOLER = b"K" + pack(">iii", 12, 7_777_777, 1)

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pooler:
    """Listens on TCP; `lends` is what it lends a session for, `round_robin` in which order."""

    def __init__(self, dsn: str, lends: str, *, round_robin: bool = False) -> None:
        parts = urlsplit(dsn)
        query = parse_qs(parts.query)
        self._socket = Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}"
        self._database = parts.path.lstrip("/")
        self._lends = lends
        self._round_robin = round_robin
        self._idle: list[Stream] = []
        self._greeting = b""
        self._startup = b""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Pooler:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, writer in self._idle:
            writer.close()

    @property
    def dsn(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://leal@127.0.0.1:{port}/{self._database}?sslmode=disable"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(4)
        startup = await reader.readexactly(unpack_from(">i", head)[0] - 4)
        names = startup[4:].rstrip(b"\0").split(b"\0")[::2]
        unknown = [name.decode() for name in names if name.decode() not in KNOWN_AT_STARTUP]
        if unknown:
            text = f"unsupported startup parameter: {unknown[0]}".encode()
            body = b"SFATAL\0C08P01\0M" + text + b"\0\0"
            writer.write(b"E" + pack(">i", len(body) + 4) + body)
            await writer.drain()
            return
        self._startup = head + startup
        kept = await self._borrow()
        writer.write(self._greeting)
        if self._lends == "session":
            await self._pipe(reader, writer, kept)
            return
        self._give_back(kept)
        while (message := await _message(reader))[:1] != b"X":
            session = await self._borrow()
            await self._exchange(message, session, reader, writer)
            self._give_back(session)

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: Stream
    ) -> None:
        """Carry all bytes both ways until one side ends."""

        async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()

        ways = {asyncio.create_task(carry(reader, kept[1])),
                asyncio.create_task(carry(kept[0], writer))}  # fmt: skip
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            kept[1].close()

    async def _exchange(
        self,
        message: bytes,
        session: Stream,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Carry messages both ways until the session is outside of a transaction."""
        ready: asyncio.Queue[bytes] = asyncio.Queue()
        back = asyncio.create_task(self._carry_back(session, writer, ready))
        try:
            while True:
                session[1].write(message)
                if message[:1] in (b"Q", b"S") and await ready.get() == b"I":
                    return
                message = await _message(reader)
        finally:
            back.cancel()

    async def _carry_back(
        self, session: Stream, writer: asyncio.StreamWriter, ready: asyncio.Queue[bytes]
    ) -> None:
        while True:
            told = await _message(session[0])
            writer.write(told)
            await writer.drain()
            if told[:1] == b"Z":
                ready.put_nowait(told[5:6])
                if told[5:6] == b"I":
                    return

    async def _borrow(self) -> Stream:
        if self._idle and self._lends == "transaction":
            return self._idle.pop(0 if self._round_robin else -1)
        stream = await asyncio.open_unix_connection(str(self._socket))
        stream[1].write(self._startup)
        greeting = b""
        while True:
            told = await _message(stream[0])
            greeting += KEY_OF_POOLER if told[:1] == b"K" else told
            if told[:1] == b"Z":
                self._greeting = greeting
                return stream

    def _give_back(self, session: Stream) -> None:
        self._idle.append(session)


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(unpack_from(">i", head, 1)[0] - 4)

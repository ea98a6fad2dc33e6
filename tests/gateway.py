"""Gateways that messages go through in tests: servers of SMTP and of HTTP, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP
from standardwebhooks import Webhook as Verifier

SECRET = "whsec_c2VjcmV0IG9mIHRoZSBnYXRld2F5IGZvciB0ZXN0cw=="


class Mailbox:
    """Takes mail, or answers as it is told to."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.answers: list[str] = []
        self.at_rcpt: list[str] = []
        self.url = ""

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        self.recipients.append(address)
        if self.at_rcpt:
            return self.at_rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        self.taken.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@asynccontextmanager
async def open_mailbox() -> AsyncIterator[Mailbox]:
    """Serve SMTP."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="test"), "127.0.0.1", 0)
    async with server:
        mailbox.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield mailbox


class Gateway:
    """Takes posts whose signature it has verified, and answers with a given status.

    A status of None cuts the connection. While `stall` is not set, it takes them and says nothing.
    """

    def __init__(self) -> None:
        self.statuses: list[int | None] = []
        self.stall: asyncio.Event | None = None
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.at_once = self.at_once_max = 0
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        told = Verifier(SECRET).verify(body, dict(request.headers))
        self.received.append((request.headers["webhook-id"], told))
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        try:
            if self.stall is not None:
                await self.stall.wait()
            status = self.statuses.pop(0) if self.statuses else 204
        finally:
            self.at_once -= 1
        if status is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=status, headers={"Location": self.url} if status == 302 else {})


@asynccontextmanager
async def open_gateway() -> AsyncIterator[Gateway]:
    """Serve HTTP."""
    gateway = Gateway()
    app = web.Application()
    app.router.add_post("/messages", gateway.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}/messages"
    try:
        yield gateway
    finally:
        if gateway.stall is not None:
            gateway.stall.set()
        await runner.cleanup()

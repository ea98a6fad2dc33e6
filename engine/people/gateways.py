"""Gateways that messages go through: e-mail by SMTP, SMS by a signed webhook (SYS-8).

They log nothing of a message, and their errors name no more than a status or a class: addresses
have passwords in them, and servers quote what they refuse.
"""

from __future__ import annotations

from binascii import Error as NotBase64
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import aiohttp
import aiosmtplib
import orjson
from standardwebhooks import Webhook as Signer
from standardwebhooks.webhooks import EmptyWebhookSecretError

from engine.errors import EngineError
from engine.people.sender import CHANNELS, ByChannel, Log, Message, NotSent, Outbox, Sender
from engine.settings import Settings

SMTP_PORTS = {"smtp": 587, "smtps": 465}
TRY_AGAIN = frozenset({408, 425, 429})
"""Answers below 500 that say "later"."""
SUBJECTS = {"code": "Su código de Leal", "notice": "Su cuenta de Leal"}


class Smtp:
    """Sends e-mails by an SMTP server: `smtp://` or, with TLS from the start, `smtps://`.

    A user and a password in the URL are never sent without TLS.
    """

    channels = frozenset({"email"})

    def __init__(self, url: str, sent_from: str, timeout_s: float) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or SMTP_PORTS.get(parts.scheme)
        except ValueError:
            host = port = None
        if not host or parts.scheme not in SMTP_PORTS:
            raise EngineError("smtp_url is like smtp://user:password@mail.example.com:587.")
        self._host, self._port = host, port
        self._user = None if parts.username is None else unquote(parts.username)
        self._password = None if parts.password is None else unquote(parts.password)
        self._tls = parts.scheme == "smtps"
        self._from = sent_from
        self._timeout_s = timeout_s

    async def send(self, message: Message) -> None:
        """Send it; raises NotSent, or OSError."""
        mail = EmailMessage()
        mail["From"], mail["To"] = self._from, message.to
        mail["Subject"] = SUBJECTS[message.about]
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{message.message_id}@leal>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        try:
            await aiosmtplib.send(
                mail,
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._tls,
                # None takes TLS where the server offers it; True insists on it.
                start_tls=False if self._tls else (True if self._user is not None else None),
                timeout=self._timeout_s,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            final = all(500 <= one.code < 600 for one in error.recipients)
            raise NotSent("recipient refused", again=not final) from None
        except aiosmtplib.SMTPResponseException as error:
            raise NotSent(f"status {error.code}", again=error.code < 500) from None
        except aiosmtplib.SMTPException as error:
            raise NotSent(type(error).__name__, again=True) from None

    async def close(self) -> None:
        """Each message has a connection of its own."""


class Webhook:
    """Posts messages to a gateway as JSON, signed as Standard Webhooks says.

    `webhook-id` is the same at each try of a message, so that the gateway can tell one that it has.
    """

    channels = CHANNELS

    def __init__(self, url: str, secret: str, timeout_s: float, connections_max: int) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise EngineError("sms_webhook_url is like https://gateway.example.com/messages.")
        try:
            self._signer = Signer(secret)
        except (NotBase64, ValueError, EmptyWebhookSecretError):
            raise EngineError("sms_webhook_secret is base64, with or without whsec_.") from None
        self._url = url
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            connector=aiohttp.TCPConnector(limit=connections_max),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def send(self, message: Message) -> None:
        """Post it; raises NotSent, or OSError."""
        now = datetime.now(UTC)
        body = orjson.dumps(
            {
                "type": message.about,
                "channel": message.channel,
                "to": message.to,
                "text": message.text,
                "expires_at": datetime.fromtimestamp(message.until, UTC).isoformat(),
            }
        )
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message.message_id, now, body.decode()),
        }
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
        except aiohttp.ClientError as error:
            raise NotSent(type(error).__name__, again=True) from None
        if not 200 <= status < 300:
            raise NotSent(f"status {status}", again=status >= 500 or status in TRY_AGAIN)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def sender_of(settings: Settings) -> Sender:
    """Return the sender of the settings; raises EngineError where what it needs is not right."""
    timeout_s = settings.send_timeout_ms / 1000
    senders: list[Sender] = []
    for name in settings.sender.split(","):
        if name == "smtp":
            senders.append(Smtp(settings.smtp_url, settings.smtp_from, timeout_s))
        elif name == "webhook":
            senders.append(
                Webhook(
                    settings.sms_webhook_url,
                    settings.sms_webhook_secret,
                    timeout_s,
                    settings.messages_at_once_max,
                )
            )
        else:
            senders.append(Log() if name == "log" else Outbox(settings.data_dir / "outbox.ndjson"))
    return senders[0] if len(senders) == 1 else ByChannel(senders)

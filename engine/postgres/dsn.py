"""The URL of a database, which follows libpq, made into what asyncpg takes.

asyncpg sends a parameter that it does not know to the server as a setting. So the parameters of
libpq are sorted here: those with an equal are honoured, the others are left out and named in a
warning. Any other parameter is kept, because it may be a setting of the server.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Final
from urllib.parse import unquote_plus

KNOWN: Final = frozenset(
    {
        *("host", "port", "dbname", "database", "user", "password", "passfile", "service"),
        *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword"),
        *("sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version"),
        *("target_session_attrs", "krbsrvname", "gsslib", "options"),
    }
)
"""The parameters of libpq that asyncpg honours by itself."""
SAME: Final = frozenset({"application_name", "fallback_application_name", "client_encoding"})
"""Those that the engine sets to its own value; the names begin with `leal-`, the text is UTF-8."""
SOCKET_OPTIONS: Final[dict[str, tuple[int, int, int]]] = {
    "keepalives": (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    "keepalives_idle": (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", -1), 1),
    "keepalives_interval": (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", -1), 1),
    "keepalives_count": (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", -1), 1),
    "tcp_user_timeout": (socket.IPPROTO_TCP, getattr(socket, "TCP_USER_TIMEOUT", -1), 1),
}
"""Those that are options of the connection's socket: level, option, smallest value that counts."""
WITHOUT_EQUAL: Final = frozenset(
    {
        *("channel_binding", "gssencmode", "gssdelegation", "require_auth", "requirepeer"),
        *("requiressl", "sslcompression", "sslcertmode", "sslcrldir", "sslkeylogfile", "sslsni"),
        *("load_balance_hosts", "min_protocol_version", "max_protocol_version", "servicefile"),
        *("scram_client_key", "scram_server_key", "oauth_issuer", "oauth_client_id"),
        *("oauth_client_secret", "oauth_scope"),
    }
)
REFUSED: Final = {
    "replication": "A connection for replication takes no sales: leave replication out.",
    "hostaddr": "Write the address as the host: hostaddr is not known here.",
}
LIBPQ: Final = KNOWN | SAME | WITHOUT_EQUAL | {*SOCKET_OPTIONS, *REFUSED, "connect_timeout"}
CONNECT_SECONDS_MAX: Final = 10.0
CONNECT_SECONDS_MIN: Final = 2.0
"""Of `connect_timeout`; libpq takes a shorter one for this as well."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a database is, as asyncpg takes it."""

    dsn: str
    connect_seconds_max: float = CONNECT_SECONDS_MAX
    socket_options: tuple[tuple[int, int, int], ...] = ()
    """Level, option and value, for a connection by TCP."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """Sentences about what the URL asks for and does not get."""


@cache
def target_of(dsn: str) -> Target:
    """Return the target of a URL. Raises ValueError with a sentence where it cannot be used."""
    base, mark, query = dsn.partition("?")
    pairs = [_split(pair) for pair in query.split("&") if pair]
    asked = {name: value for name, value, _ in pairs}
    for name, sentence in REFUSED.items():
        if name in asked:
            raise ValueError(f"{_named(name)}. {sentence}")
    if asked.get("gssencmode") == "require":
        raise ValueError(
            f"{_named('gssencmode=require')}: the engine encrypts by TLS alone. Use sslmode."
        )
    _refuse_nobody(base, asked)
    left_out = SAME | WITHOUT_EQUAL | {*SOCKET_OPTIONS, "connect_timeout"}
    kept = "&".join(text for name, _, text in pairs if name not in left_out)
    return Target(
        dsn=base + mark + kept if kept else base,
        connect_seconds_max=_connect_seconds(asked),
        socket_options=tuple(_socket_options(asked)),
        warnings=tuple(_warnings(asked)),
    )


def unknown_parameter(message: str) -> str:
    """Return a sentence about a parameter that the server refused, or an empty text.

    `message` is the server's, or that of a pooler.
    """
    for before in ("unrecognized configuration parameter ", "unsupported startup parameter: "):
        if before in message:
            name = message.partition(before)[2].strip('" ').partition('"')[0]
            near = get_close_matches(name, sorted(LIBPQ), 1)
            advice = f"Did you mean {near[0]}?" if near else "Leave it out."
            return (
                f"The database URL has the parameter {name}, which is neither one of libpq nor a"
                f" setting that the server takes. {advice}"
            )
    return ""


def _split(pair: str) -> tuple[str, str, str]:
    name, _, value = pair.partition("=")
    return unquote_plus(name), unquote_plus(value), pair


def _named(name: str) -> str:
    return f"The database URL has {name}"


def _connect_seconds(asked: dict[str, str]) -> float:
    text = asked.get("connect_timeout", "")
    if not text:
        return CONNECT_SECONDS_MAX
    seconds = _whole("connect_timeout", text)
    return max(CONNECT_SECONDS_MIN, seconds) if seconds > 0 else CONNECT_SECONDS_MAX


def _socket_options(asked: dict[str, str]) -> Iterator[tuple[int, int, int]]:
    if asked.get("keepalives", "1") != "0":
        yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
    for name, (level, option, least) in SOCKET_OPTIONS.items():
        if name in asked and name != "keepalives" and option != -1:
            value = _whole(name, asked[name])
            if value >= least:
                yield level, option, value


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{_named(f'{name}={text}')}, which is not a whole number.") from None


def _warnings(asked: dict[str, str]) -> Iterator[str]:
    harmless = {"channel_binding": ("prefer", "disable"), "gssencmode": ("prefer", "disable")}
    for name, value in asked.items():
        if name in WITHOUT_EQUAL and value not in harmless.get(name, ()):
            yield f"{_named(f'{name}={value}')}, which has no effect here."
        elif name == "application_name":
            yield f"{_named(name)}, which has no effect here: each connection has its own."


def _refuse_nobody(base: str, asked: dict[str, str]) -> None:
    """Raise ValueError where no user is named, and that of the process has no name."""
    authority = base.partition("://")[2].partition("/")[0]
    user = authority.rpartition("@")[0].partition(":")[0]
    if user or asked.get("user") or asked.get("service") or os.environ.get("PGUSER"):
        return
    look_up: Callable[[], str] = getpass.getuser
    try:
        look_up()
    except (KeyError, OSError):
        raise ValueError(
            f"The database URL names no user, and the user id {os.geteuid()} of this process has no"
            " name in /etc/passwd. Write postgresql://USER@…, or set PGUSER."
        ) from None

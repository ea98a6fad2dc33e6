"""The address that a request comes from, by which tries to sign in are counted (USR-8).

That is the address of the connection. Where it is one of `trusted_proxies`, the header
X-Forwarded-For is read from its end, which is what the nearest proxy added, to the first address
that is no trusted proxy. What stands before that is whatever the client wrote, and is not read.

An IPv6 address counts by its network of 64 bits, all of which one client may have.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from aiohttp import web

from engine.settings import Settings

Address = IPv4Address | IPv6Address
UNKNOWN = "unknown"
"""Who has no address shares one place: a connection by a Unix socket."""


def address_of(settings: Settings, request: web.BaseRequest) -> str:
    """Return the address of a client, or of the last hop that is known."""
    found = _parsed(request.remote or "")
    if found is None:
        return UNKNOWN
    trusted = _networks(settings.trusted_proxies)
    hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
    while any(found in network for network in trusted) and hops:
        before = _parsed(hops.pop())
        if before is None:
            break
        found = before
    return str(IPv6Network((found, 64), strict=False)) if found.version == 6 else str(found)


def _parsed(text: str) -> Address | None:
    """Return an address as proxies write it: with a port or not; None for what is none."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


@lru_cache(maxsize=8)
def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    parts = filter(None, map(str.strip, text.split(",")))
    return tuple(ip_network(part, strict=False) for part in parts)

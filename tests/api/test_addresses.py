"""The address of a request: the connection's, or what trusted proxies say (USR-8)."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from engine.http.addresses import address_of
from engine.settings import Settings


class Request:
    """What `address_of` reads of a request."""

    def __init__(self, remote, *forwarded):
        self.remote = remote
        self.headers = CIMultiDict([("X-Forwarded-For", value) for value in forwarded])


@pytest.mark.parametrize(
    ("trusted", "remote", "forwarded", "address"),
    [
        ("", "198.51.100.7", (), "198.51.100.7"),
        ("", "127.0.0.1", ("203.0.113.9",), "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("127.0.0.1", "198.51.100.7", ("203.0.113.9",), "198.51.100.7"),
        ("127.0.0.1", "127.0.0.1", (), "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", ("10.9.9.9, 203.0.113.9",), "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1", ("10.9.9.9", "203.0.113.9"), "203.0.113.9"),
        ("127.0.0.1, 10.0.0.0/8", "127.0.0.1", ("203.0.113.9, 10.1.2.3",), "203.0.113.9"),
        ("127.0.0.1, 10.0.0.0/8", "127.0.0.1", ("192.0.2.1, 203.0.113.9,10.1.2.3",), "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1", ("203.0.113.9, unknown",), "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", ("203.0.113.9:4711",), "203.0.113.9"),
        ("127.0.0.1", "127.0.0.1", ("[2001:db8:1:2:3:4:5:6]:4711",), "2001:db8:1:2::/64"),
        ("::1", "::1", ("2001:db8::7",), "2001:db8::/64"),
        ("", "::ffff:198.51.100.7", (), "198.51.100.7"),
        ("", "fe80::1%eth0", (), "fe80::/64"),
        ("", "", (), "unknown"),
        ("", None, (), "unknown"),
    ],
)
def test_the_client_is_the_last_hop_that_no_trusted_proxy_vouches_for(
    trusted, remote, forwarded, address
):
    assert address_of(Settings(trusted_proxies=trusted), Request(remote, *forwarded)) == address


def test_what_is_no_network_is_refused_at_the_start():
    with pytest.raises(ValueError, match="trusted_proxies has 'nginx'"):
        Settings(trusted_proxies="127.0.0.1, nginx")

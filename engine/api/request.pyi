"""Types of the compiled reader of requests (`ext/request.pyx`)."""

from typing import final

@final
class PlainRequest:
    """A request on which no two readers of HTTP differ.

    `headers` has those that the engine reads, by the names that it calls them: Authorization,
    Idempotency-Key, X-Request-Id, traceparent, Accept-Language. `missing` are the bytes of the body
    that have not come.
    """

    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def missing(self) -> int: ...
    @property
    def body(self) -> bytes:
        """As much of the body as has come."""

def plain_request(data: bytes) -> PlainRequest | None:
    """Return the request that `data` begins and no other follows; None where it is not plain."""

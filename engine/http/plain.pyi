"""Types of what plain requests are read by and answered with (`ext/plain.pyx`)."""

from typing import final

from engine.ledger.receipts import Answer

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

def repeated_member(data: bytes) -> bytes | None:
    """Return the name of a member that an object of this sound JSON has twice, None for none.

    b"" where that cannot be told at a glance: look at it with another reader.
    """

def accumulation_text(decided: Answer) -> bytes:
    """Return the JSON of an accumulation that was done, of an operation or of its receipt."""

def whole_answer(
    usual: bytes, date: bytes, headers: dict[str, str], body: bytes, length: int, close: bytes
) -> bytes:
    """Return an answer as it goes over the wire: its head, with the `length` told, and its body.

    `usual` and `date` are the lines that begin the head, `close` is one that may end it.
    """

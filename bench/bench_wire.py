"""The wire: bytes to a checked request, a decided operation to the bytes of its answer."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bench.sales import NOW, sales_of
from engine.commands.identity import fingerprint, fingerprint_fields
from engine.http.bodies import BodyDecoder
from engine.http.plain import accumulation_text
from engine.ledger.core import Ledger
from engine.schemas.transactions import Accumulation

BODY = b'{"amount":5400000,"currency":"COP","store_id":1,"invoice_number":"F2026-1"}'


@pytest.mark.benchmark(group="decode a sale")
def bench_decode(benchmark: Any) -> None:
    """Decode and check the body of a sale."""
    assert benchmark(BodyDecoder(Accumulation).decode, BODY).amount == 5_400_000


@pytest.mark.benchmark(group="decode a sale")
def bench_decode_unchecked(benchmark: Any) -> None:
    """The yardstick: orjson, which checks no shape."""
    assert benchmark(orjson.loads, BODY)["amount"] == 5_400_000


@pytest.mark.benchmark(group="fingerprint of a sale")
def bench_fingerprint(benchmark: Any) -> None:
    """Tell a request from another one under the same key."""
    body = BodyDecoder(Accumulation).decode(BODY)
    benchmark(lambda: fingerprint("accumulation", fingerprint_fields(body), 1))


@pytest.mark.benchmark(group="answer of a sale")
def bench_answer(benchmark: Any, ledger: Ledger, customer_ids: list[bytes]) -> None:
    """Encode the answer of a sale that earned points and coins."""
    (operation,) = sales_of(customer_ids, invoices=False)(1)
    ledger.publish(ledger.decide([operation], NOW))
    assert orjson.loads(benchmark(accumulation_text, operation))["points"]["earned"] == 54

"""What authorises a payment, without the database: the QR of the app, and the code's hash."""

from __future__ import annotations

from typing import Any

import pytest

from engine.people.codes import Authorised, code_mac, code_of
from engine.people.qr import make_qr, read_qr

SECRET = bytes(range(32))
CUSTOMER = bytes.fromhex("0f1e2d3c4b5a49788796a5b4c3d2e1f0")
NOW_S = 1_795_000_000
PAYMENT = Authorised(payment_id=b"p" * 16, customer_id=CUSTOMER, store_id=7, coins=400)


@pytest.mark.benchmark(group="QR of the app")
def bench_read_qr(benchmark: Any) -> None:
    """Verify a QR that is shown."""
    assert benchmark(read_qr, SECRET, make_qr(SECRET, CUSTOMER, NOW_S), NOW_S) is not None


@pytest.mark.benchmark(group="QR of the app")
def bench_refuse_forged_qr(benchmark: Any) -> None:
    """Refuse one that was made with another secret."""
    assert benchmark(read_qr, SECRET, make_qr(SECRET[::-1], CUSTOMER, NOW_S), NOW_S) is None


@pytest.mark.benchmark(group="code of a payment")
def bench_code(benchmark: Any) -> None:
    """Make the code of a posting."""
    assert len(benchmark(code_of, SECRET, PAYMENT, b"t" * 16, 4)) == 4


@pytest.mark.benchmark(group="code of a payment")
def bench_mac(benchmark: Any) -> None:
    """Hash a code that was typed."""
    assert len(benchmark(code_mac, SECRET, PAYMENT, "4821")) == 16

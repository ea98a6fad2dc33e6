"""Values that the examples of the contract have in common."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

CUSTOMER_ID = UUID("6f1d2c3b-4a59-4e68-9d77-8c6b5a493827")
TRANSACTION_ID = UUID("3e0b9a2c-71d4-8b1f-a2c3-5d6e7f809112")
PAYMENT_ID = UUID("a41c5e07-92b8-8d3a-b6f0-1c2d3e4f5a6b")
REQUEST_ID = "01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6071"
STORE_ID = 1
BRAND_ID = 1
NOW = datetime(2026, 11, 22, 15, 4, 5, 120000, UTC)
NOW_TEXT = "2026-11-22T15:04:05.120000Z"
REGISTERED = datetime(2026, 3, 1, 9, 30, 0, 0, UTC)
POINTS_EXPIRE = date(2027, 11, 22)
COINS_EXPIRE = date(2028, 11, 22)

"""The statement of the customer's app: what came and went, what they had and have (SYS-5)."""

from __future__ import annotations

from datetime import timedelta
from time import time
from typing import Any

import orjson

from engine.api.date_ranges import query_days
from engine.api.wallets import page_body, page_wanted, refuse_unknown
from engine.commands.services import Services
from engine.constants import MICROSECONDS
from engine.http.dispatcher import Call, answer
from engine.http.parameters import customer_id_of
from engine.http.response import Response
from engine.ledger.core import uuid_text
from engine.ledger.statements import Page, State, WalletSpan
from engine.ledger.vocabulary import COINS, Kind
from engine.people.keys import Principal
from engine.programme.calendar import (
    COINS_COUNTRY,
    UTC_OFFSETS,
    iso_moment,
    local_date,
    local_day,
)

STATEMENT_DAYS = 30
EXPIRING_DAYS = (30, 60, 90)


async def statement(services: Services, call: Call) -> Response:
    """`GET /v1/customers/{customer_id}/statement`: balances, totals, postings, what expires."""
    customer_id = customer_id_of(call.params)
    today = local_date(time(), UTC_OFFSETS[COINS_COUNTRY])
    days_max = services.settings.statement_days_max
    first, last = query_days(call.request, STATEMENT_DAYS, days_max, today)
    page = page_wanted(services, call, (first, last + timedelta(days=1)))
    utc_offset = services.catalogue.now.utc_offset
    spans, rows, now = await services.statements.statement(customer_id, page, utc_offset)
    if not spans:
        await refuse_unknown(services, customer_id)
    seen = [span for span in spans if _is_seen(span.asset, page, call.principal)]
    body = {
        "customer_id": uuid_text(customer_id),
        "from": first.isoformat(),
        "to": last.isoformat(),
        "as_of": iso_moment(now),
        "wallets": [
            _wallet_body(span, local_day(now / MICROSECONDS, utc_offset(span.asset)), page)
            for span in seen
        ],
    }
    return answer(orjson.dumps(body | page_body(page, rows)))


def _is_seen(asset: int, page: Page, principal: Principal) -> bool:
    """Return whether a wallet is asked for, and the principal's to see (USR-2)."""
    if asset == COINS:
        return not page.points_only
    if page.asset == COINS or page.brand_id not in (None, asset):
        return False
    return principal.sees_brand(asset)


def _wallet_body(span: WalletSpan, today: int, page: Page) -> dict[str, Any]:
    body: dict[str, Any] = {"asset": "coins" if span.asset == COINS else "points"}
    if span.asset != COINS:
        body["brand_id"] = span.asset
    whole = page.brand_id in (None, span.asset)
    return body | {
        "opening": _state_body(span.opening),
        "closing": _state_body(span.closing),
        "totals": _totals_body(span, whole=whole),
        "expiring": {
            f"within_{days}_days": sum(
                amount for day, amount in span.now.expiring if day < today + days
            )
            for days in EXPIRING_DAYS
        },
    }


def _state_body(state: State) -> dict[str, int]:
    return {"balance": state.balance, "held": state.held}


def _totals_body(span: WalletSpan, *, whole: bool) -> dict[str, int]:
    """Return what came and went; of a brand's part of the coins nothing is said to expire."""

    def moved(*kinds: Kind) -> int:
        return sum(span.moved.get(kind, 0) for kind in kinds)

    return {
        "earned": moved(Kind.ACCUMULATION, Kind.CASHBACK),
        "converted": moved(Kind.CONVERSION),
        "spent": -moved(Kind.REDEMPTION),
        "paid": -moved(Kind.CAPTURE, Kind.PAYMENT),
        "donated": -moved(Kind.DONATION),
        "expired": span.expired if whole else 0,
        "reversed": moved(Kind.REVERSAL),
    }

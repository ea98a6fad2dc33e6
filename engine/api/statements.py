"""The statement of the customer's app: what came and went, what they had and have (SYS-5)."""

from __future__ import annotations

from datetime import date, timedelta
from time import time
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta

from engine.api.date_ranges import query_days
from engine.api.example_values import BRAND_ID, CUSTOMER_ID, NOW_TEXT
from engine.api.wallets import PAGE, SALE, page_wanted, postings_of, refuse_unknown
from engine.codes import COINS, VERBS
from engine.commands.services import Services
from engine.constants import MICROSECONDS
from engine.http.dispatcher import Call
from engine.http.operation import operation
from engine.http.parameters import customer_id_of
from engine.ledger.statements import Page, WalletSpan
from engine.people.keys import Principal
from engine.programme.calendar import (
    COINS_COUNTRY,
    UTC_OFFSETS,
    iso_moment,
    local_date,
    local_day,
)
from engine.schemas.reports import (
    ExpiringSoon,
    Statement,
    StatementTotals,
    StatementWallet,
    WalletState,
)
from engine.schemas.scalars import Day

STATEMENT_DAYS = 30


STATEMENT = Statement(
    customer_id=CUSTOMER_ID,
    start=date(2026, 10, 24),
    end=date(2026, 11, 22),
    as_of=NOW_TEXT,
    wallets=[
        StatementWallet(
            asset="points",
            brand_id=BRAND_ID,
            opening=WalletState(balance=1186, held=0),
            closing=WalletState(balance=1240, held=0),
            totals=StatementTotals(
                earned=54, converted=0, spent=0, paid=0, donated=0, expired=0, reversed=0
            ),
            expiring=ExpiringSoon(within_30_days=0, within_60_days=120, within_90_days=120),
        )
    ],
    transactions=[SALE],
    next_cursor=None,
)
DAYS = {
    "from": Annotated[
        Day, Meta(description="The first day; 29 days before `to` where it is left out.")
    ],
    "to": Annotated[Day, Meta(description="The last day; today where it is left out.")],
}


@operation(
    "readStatement",
    summary="Read a customer's statement: balances, totals, postings, what expires (PTS-4)",
    about="Days are those of each brand's country, and of Colombia for coins. Of coins, a brand"
    " sees the balances, and the totals of what happened at its stores; so does who asks for"
    " one `brand_id`.",
    query=PAGE | DAYS,
    answer_example=STATEMENT,
    problems=("not_found",),
)
async def statement(services: Services, call: Call) -> Statement:
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
    postings = postings_of(page, rows)
    return Statement(
        customer_id=UUID(bytes=customer_id),
        start=first,
        end=last,
        as_of=iso_moment(now),
        wallets=[
            _wallet(span, local_day(now / MICROSECONDS, utc_offset(span.asset)), page)
            for span in spans
            if _is_seen(span.asset, page, call.principal)
        ],
        transactions=postings.transactions,
        next_cursor=postings.next_cursor,
    )


def _is_seen(asset: int, page: Page, principal: Principal) -> bool:
    """Return whether a wallet is asked for, and the principal's to see (USR-2)."""
    if asset == COINS:
        return not page.points_only
    if page.asset == COINS or page.brand_id not in (None, asset):
        return False
    return principal.sees_brand(asset)


def _wallet(span: WalletSpan, today: int, page: Page) -> StatementWallet:
    of_coins = span.asset == COINS
    return StatementWallet(
        asset="coins" if of_coins else "points",
        brand_id=UNSET if of_coins else span.asset,
        opening=WalletState(balance=span.opening.balance, held=span.opening.held),
        closing=WalletState(balance=span.closing.balance, held=span.closing.held),
        totals=_totals(span, whole=page.brand_id in (None, span.asset)),
        expiring=ExpiringSoon(
            within_30_days=_expiring(span, today + 30),
            within_60_days=_expiring(span, today + 60),
            within_90_days=_expiring(span, today + 90),
        ),
    )


def _expiring(span: WalletSpan, before: int) -> int:
    """Return what expires before a day, if it is not spent."""
    return sum(amount for day, amount in span.now.expiring if day < before)


def _totals(span: WalletSpan, *, whole: bool) -> StatementTotals:
    """Return what came and went; of a brand's part of the coins nothing is said to expire."""

    def moved(line: str) -> int:
        return sum(
            span.moved.get(kind, 0) for kind, verb in VERBS.items() if verb.statement == line
        )

    return StatementTotals(
        earned=moved("earned"),
        converted=moved("converted"),
        spent=-moved("spent"),
        paid=-moved("paid"),
        donated=-moved("donated"),
        expired=span.expired if whole else 0,
        reversed=moved("reversed"),
    )

"""Wallets and history: what a customer has, and how it came about."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
import orjson
from aiohttp import web
from msgspec import UNSET, Meta

from engine.api.answers import recorded_answer, redeemed_item
from engine.api.example_values import (
    BRAND_ID,
    COINS_EXPIRE,
    NOW_TEXT,
    POINTS_EXPIRE,
    STORE_ID,
    TRANSACTION_ID,
)
from engine.codes import COINS, ISSUES, STANDING, Kind
from engine.commands.problem import Problem
from engine.commands.refusals import raise_refusal
from engine.commands.scope import sees_transaction
from engine.commands.services import Services
from engine.constants import EPOCH_DAY, ID_MAX, MICROSECONDS
from engine.errors import CustomerNotFound
from engine.http.bodies import query_int
from engine.http.dispatcher import Call, answer
from engine.http.headers import query_text
from engine.http.operation import operation
from engine.http.parameters import customer_id_of, transaction_of
from engine.http.response import Response
from engine.ledger.core import uuid_text
from engine.ledger.receipts import microseconds
from engine.ledger.statements import Page
from engine.people.keys import Principal, Role
from engine.programme.calendar import iso_moment
from engine.schemas.items import RedeemedItem
from engine.schemas.scalars import Asset, Id
from engine.schemas.wallets import Expiring, Posting, Postings, Wallet, Wallets

PAGE_TRANSACTIONS = 20


POINTS_WALLET = Wallet(
    asset="points",
    brand_id=BRAND_ID,
    balance=1240,
    held=0,
    expiring=[Expiring(amount=1240, expires_on=POINTS_EXPIRE)],
)
COINS_WALLET = Wallet(
    asset="coins",
    balance=5400,
    held=0,
    expiring=[Expiring(amount=5400, expires_on=COINS_EXPIRE)],
)
SALE = Posting(
    transaction_id=TRANSACTION_ID,
    type="accumulation",
    asset="points",
    brand_id=BRAND_ID,
    store_id=STORE_ID,
    amount=54,
    held_amount=0,
    balance=1240,
    payment_id=None,
    invoice_number="FV-20931",
    bill_amount=5_400_000,
    item=None,
    occurred_at=NOW_TEXT,
    recorded_at=NOW_TEXT,
)
PAGE = {
    "limit": Annotated[int, Meta(ge=1, le=100, description="Postings on one page.")],
    "cursor": Annotated[str, Meta(description="The `next_cursor` of the page before.")],
    "asset": Asset,
    "brand_id": Annotated[Id, Meta(description="Only of this brand.")],
}
"""What a page of postings is asked for by."""


@dataclass(frozen=True, slots=True)
class WalletsSeen:
    """A customer's wallets as a principal may see them."""

    wallets: list[Wallet]
    as_of: str
    blocked: bool

    @property
    def listed(self) -> Any:
        """The wallets as builtins."""
        return msgspec.to_builtins(self.wallets)


async def wallets_of(services: Services, principal: Principal, customer_id: bytes) -> WalletsSeen:
    """Return what the principal may see: a brand its own points, and coins (PTS-6, USR-2).

    A brand sees its points and the coins even where the customer has none yet.
    """
    utc_offset = services.catalogue.now.utc_offset
    wallets, now = await services.statements.wallets(customer_id, utc_offset)
    listed = {
        wallet.asset: _wallet(wallet.asset, wallet.balance, wallet.held, wallet.expiring)
        for wallet in wallets
        if wallet.asset == COINS or principal.sees_brand(wallet.asset)
    }
    if principal.brand_id is not None:
        for asset in (principal.brand_id, COINS):
            listed.setdefault(asset, _wallet(asset, 0, 0, []))
    return WalletsSeen(
        [listed[asset] for asset in sorted(listed)],
        iso_moment(now),
        any(wallet.blocked for wallet in wallets),
    )


@operation(
    "listWallets",
    summary="List what a customer has (PTS-6)",
    answer_example=Wallets(wallets=[COINS_WALLET, POINTS_WALLET], as_of=NOW_TEXT),
)
async def wallets(services: Services, call: Call) -> Wallets:
    """`GET /v1/customers/{customer_id}/wallets`."""
    customer_id = customer_id_of(call.params)
    seen = await wallets_of(services, call.principal, customer_id)
    if not any(wallet.balance for wallet in seen.wallets):
        await refuse_unknown(services, customer_id)
    return Wallets(wallets=seen.wallets, as_of=seen.as_of)


@operation(
    "listTransactions",
    summary="List a customer's postings, newest first",
    query=PAGE,
    answer_example=Postings(transactions=[SALE], next_cursor=None),
    problems=("not_found",),
)
async def transactions(services: Services, call: Call) -> Postings:
    """`GET /v1/customers/{customer_id}/transactions`: postings, newest first."""
    customer_id = customer_id_of(call.params)
    page = page_wanted(services, call)
    rows = await services.statements.history(customer_id, page)
    if not rows:
        await refuse_unknown(services, customer_id)
    return postings_of(page, rows)


def page_wanted(services: Services, call: Call, days: tuple[date, date] | None = None) -> Page:
    """Return the page that the query string asks for, of what the principal may see (USR-2).

    It has one posting more than is told, which says whether another page follows. Raises Problem.
    """
    limit_max = services.settings.page_transactions_max
    limit = query_int(call.request, "limit", min(PAGE_TRANSACTIONS, limit_max), limit_max)
    asset, brand_id = _asset_filter(call.request)
    own_brand = call.principal.brand_id
    if own_brand is not None:
        if brand_id not in (None, own_brand):
            raise Problem("not_found", f"This key sees nothing of brand {brand_id}.")
        brand_id = own_brand
    return Page(
        asset=COINS if asset == "coins" else None,
        brand_id=brand_id,
        before=_cursor(query_text(call.request, "cursor")),
        limit=limit + 1,
        points_only=asset == "points",
        standing=call.principal.role is Role.NETWORK,
        days=days,
    )


def postings_of(page: Page, rows: list[Any]) -> Postings:
    """Return a page of postings, with the cursor of the next one."""
    more = len(rows) == page.limit
    shown = rows[: page.limit - 1]
    return Postings(
        transactions=[_posting(row) for row in shown],
        next_cursor=_cursor_text(shown[-1]) if more else None,
    )


async def transaction(services: Services, call: Call) -> Response:
    """`GET …/transactions/{transaction_id}`: the recorded answer, or the recorded refusal."""
    transaction_id = transaction_of(call.params)
    receipt = await services.statements.receipt(customer_id_of(call.params), transaction_id)
    if receipt is None or not sees_transaction(call.principal, receipt):
        raise Problem(
            "transaction_not_found", f"There is no transaction {uuid_text(transaction_id)}."
        )
    raise_refusal(receipt)
    hold = None
    if receipt.kind == Kind.RESEND and receipt.reference is not None:
        hold = await services.statements.receipt(receipt.customer_id, receipt.reference)
    return answer(recorded_answer(receipt, hold))


def _wallet(asset: int, balance: int, held: int, expiring: list[tuple[int, int]]) -> Wallet:
    return Wallet(
        asset="coins" if asset == COINS else "points",
        brand_id=UNSET if asset == COINS else asset,
        balance=balance,
        held=held,
        expiring=[
            Expiring(amount=amount, expires_on=EPOCH_DAY + timedelta(days=day))
            for day, amount in expiring
        ],
    )


def _posting(row: Any) -> Posting:
    details = orjson.loads(row["details"] or "{}")
    standing = details if row["kind"] in STANDING else {}
    reversal = row["kind"] == Kind.REVERSAL
    item = redeemed_item(details) if row["kind"] == Kind.REDEMPTION else None
    return Posting(
        transaction_id=row["transaction_id"],
        type=_type_of(row),
        asset="coins" if row["asset"] == COINS else "points",
        brand_id=row["brand_id"] or None,
        store_id=row["store_id"] or None,
        amount=row["amount"],
        held_amount=row["held_amount"],
        balance=row["balance"],
        payment_id=None if reversal or row["kind"] in ISSUES else row["reference"],
        invoice_number=row["invoice_number"],
        bill_amount=row["bill_amount"],
        item=None if item is None else RedeemedItem(**item),
        occurred_at=iso_moment(microseconds(row["occurred_at"])),
        recorded_at=iso_moment(microseconds(row["recorded_at"])),
        reversed_transaction_id=row["reference"] if reversal else UNSET,
        reason=standing.get("reason", UNSET),
        by=standing.get("by", UNSET),
    )


def _type_of(row: Any) -> Any:
    """Return what a posting did; the wrong code that was the last one gave the coins back."""
    gave_back = row["kind"] == Kind.CAPTURE and row["amount"] > 0
    return (Kind.RELEASE if gave_back else Kind(row["kind"])).name.lower()


def _asset_filter(request: web.BaseRequest) -> tuple[str | None, int | None]:
    asset = query_text(request, "asset")
    if asset not in (None, "points", "coins"):
        raise Problem("invalid_request", "`asset` is points or coins.")
    brand_id = query_int(request, "brand_id", 0, ID_MAX)
    return asset, None if brand_id == 0 else brand_id


def _cursor_text(row: Any) -> str:
    place = f"{microseconds(row['recorded_at'])}.{row['asset']}.{row['seq']}"
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _cursor(text: str | None) -> tuple[datetime, int, int] | None:
    """Return the place that a cursor names; raises Problem where it names none."""
    if text is None:
        return None
    try:
        place = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        moment, asset, seq = (int(part) for part in place.split("."))
        if not (0 <= asset <= ID_MAX and 0 <= seq < 2**63):
            raise ValueError("no place has these numbers")
        seconds, fraction = divmod(moment, MICROSECONDS)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=fraction), asset, seq
    except (ValueError, OverflowError, OSError):
        raise Problem(
            "invalid_request", "`cursor` must be a `next_cursor` that this list gave."
        ) from None


async def refuse_unknown(services: Services, customer_id: bytes) -> None:
    """Tell an unknown customer from one who has nothing yet."""
    if await services.customers.get(UUID(bytes=customer_id)) is None:
        raise CustomerNotFound

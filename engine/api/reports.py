"""Reports for finance: settlement between brands, what a brand owes its customers, the books."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from io import StringIO
from typing import Annotated, Any, Literal

from aiohttp import web
from msgspec import UNSET, Meta

from engine.api.date_ranges import query_as_of, query_period
from engine.api.report_examples import LIABILITY, SETTLEMENT, TABLE, TRIAL_BALANCE
from engine.codes import COINS, DEBT_DAY, Counter
from engine.commands.problem import Problem
from engine.commands.scope import brand_of
from engine.commands.services import Services
from engine.constants import EPOCH_DAY
from engine.http.dispatcher import Call
from engine.http.headers import query_text
from engine.http.operation import operation
from engine.http.response import Response
from engine.ledger.receipts import microseconds
from engine.network.reports import Account, AssetBooks, Party, Position, Reach, Settlement
from engine.programme.calendar import COINS_COUNTRY, CURRENCIES, UTC_OFFSETS, iso_moment
from engine.programme.catalogue import Snapshot
from engine.schemas import reports as schemas
from engine.schemas.reports import DayOrMoment

COINS_OFFSET = UTC_OFFSETS[COINS_COUNTRY]
CURRENCY = CURRENCIES[COINS_COUNTRY]
MINOR_UNITS = 100
"""Minor units of the currency that a coin is worth: it is a peso (COI-1)."""
CSV = "text/csv"
BYTE_ORDER_MARK = "\ufeff"
"""By it spreadsheets know that a file is UTF-8."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet would carry out."""
PARTY_OF_BRAND = (
    *(Counter.POINTS_ISSUED, Counter.POINTS_REDEEMED, Counter.POINTS_EXPIRED),
    *(Counter.COINS_ISSUED, Counter.COINS_SETTLED),
)


@dataclass(frozen=True, slots=True)
class Aged:
    """Lots by whether they can be spent: by month those that can, and what cannot any more."""

    months: dict[str, int]
    expired: int
    owed: int


AS_OF = {
    "as_of": Annotated[
        DayOrMoment,
        Meta(description="A day, to its end, or a moment; now where it is left out."),
    ]
}
PERIOD = {
    "from": Annotated[
        DayOrMoment, Meta(description="The first day, or a moment; today where it is left out.")
    ],
    "to": Annotated[
        DayOrMoment,
        Meta(description="The last day, or the first moment after; today where it is left out."),
    ],
}
FORMAT = {
    "format": Annotated[
        Literal["json", "csv"],
        Meta(description="`csv` for a spreadsheet; the header `Accept` may say so too."),
    ]
}


@operation(
    "readSettlement",
    summary="Read who owes whom: whose coins were spent where (COI-9)",
    about="Days are those of Colombia, where coins are.",
    query=PERIOD | FORMAT,
    answer_example=SETTLEMENT,
    texts=(TABLE,),
)
async def settlement(services: Services, call: Call) -> schemas.Settlement | Response:
    """`GET /v1/settlements`: whose coins went where, and who owes whom (COI-9)."""
    as_csv = _wants_csv(call.request)
    days_max = services.settings.settlement_days_max
    period = query_period(call.request, COINS_OFFSET, days_max)
    brand_id = call.principal.brand_id
    found = await services.reports.settlement(*period.cuts, brand_id)
    snapshot = services.catalogue.now
    if as_csv:
        return _csv_reply(found, snapshot, f"settlement-{period.start}-{period.end}.csv")
    positions = [one for one in found.positions if brand_id is None or one.party.id == brand_id]
    if brand_id is not None:
        positions = [one for one in positions if one.party.kind == "brand"]
    coins = sum(flow.coins for flow in found.flows)
    net = sum(position.net for position in found.positions)
    return schemas.Settlement(
        start=period.start,
        end=period.end,
        currency=CURRENCY,
        settlements=[
            schemas.SettlementFlow(
                issuer=_party(snapshot, flow.issuer),
                receiver=_party(snapshot, flow.receiver),
                reason=flow.reason,
                coins=flow.coins,
                amount=flow.coins * MINOR_UNITS,
            )
            for flow in found.flows
        ],
        positions=[_position(snapshot, position) for position in positions],
        totals=schemas.SettlementTotals(
            coins=coins, amount=coins * MINOR_UNITS, net=net, net_amount=net * MINOR_UNITS
        ),
        folded=_folded(found.reach),
    )


@operation(
    "readLiability",
    summary="Read what a brand's customers hold, by the month it expires in (PTS-4, PTS-5)",
    query=AS_OF,
    answer_example=LIABILITY,
)
async def liability(services: Services, call: Call) -> schemas.Liability:
    """`GET /v1/brands/{brand_id}/liability`: what a brand owes its customers, by month (PTS-4)."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    as_of = query_as_of(call.request, brand.utc_offset)
    places = [(brand.brand_id, 0), (COINS, brand.brand_id)]
    (points, coins), reach = await services.reports.outstanding(as_of.cut, places)
    return schemas.Liability(
        brand_id=brand.brand_id,
        as_of=as_of.told,
        points=schemas.Outstanding(**_outstanding(aged(points, as_of.day))),
        coins=_coins_outstanding(aged(coins, as_of.day)) if coins else None,
        folded=_folded(reach),
    )


@operation(
    "readTrialBalance",
    summary="Read the balances of all accounts",
    about="Days are those of each brand's country, and of Colombia for coins.",
    query=AS_OF,
    answer_example=TRIAL_BALANCE,
)
async def trial_balance(services: Services, call: Call) -> schemas.TrialBalance:
    """`GET /v1/trial-balance`: the balance of every account."""
    as_of = query_as_of(call.request, COINS_OFFSET)
    books, reach = await services.reports.trial_balance(as_of.cut)
    snapshot = services.catalogue.now
    return schemas.TrialBalance(
        as_of=as_of.told,
        books=[_books(snapshot, one) for one in books],
        difference=sum(abs(one.difference) for one in books),
        folded=_folded(reach),
    )


def aged(lots: dict[int, int], today: date) -> Aged:
    """Return lots, given by their last day, as they are on a day: its last moment still counts."""
    months: dict[str, int] = defaultdict(int)
    expired = 0
    for day, amount in sorted(lots.items()):
        last = EPOCH_DAY + timedelta(days=day)
        if day == DEBT_DAY:
            continue
        if last < today:
            expired += amount
        else:
            months[f"{last:%Y-%m}"] += amount
    return Aged(months, expired, -lots.get(DEBT_DAY, 0))


def _party(snapshot: Snapshot, party: Party) -> schemas.SettlementParty:
    """Return who takes part, with the name that the catalogue has."""
    return schemas.SettlementParty(type=party.kind, id=party.id, name=_name_of(snapshot, party))


def _name_of(snapshot: Snapshot, party: Party) -> str | None:
    named: Any = {
        "brand": snapshot.brands,
        "partner": snapshot.partners,
        "organisation": snapshot.organisations,
    }[party.kind]
    found = named.get(party.id)
    return None if found is None else str(found.name)


def _position(snapshot: Snapshot, position: Position) -> schemas.SettlementPosition:
    return schemas.SettlementPosition(
        party=_party(snapshot, position.party),
        receives=position.receives,
        pays=position.pays,
        net=position.net,
        net_amount=position.net * MINOR_UNITS,
        issued=position.issued,
        expired=position.expired,
    )


def _outstanding(found: Aged) -> dict[str, Any]:
    """Return the fields of Outstanding."""
    return {
        "outstanding": sum(found.months.values()),
        "months": [
            schemas.OwedInMonth(month=month, amount=amount)
            for month, amount in found.months.items()
        ],
        "expired": found.expired,
        "owed": found.owed,
    }


def _coins_outstanding(found: Aged) -> schemas.CoinsOutstanding:
    fields = _outstanding(found)
    return schemas.CoinsOutstanding(
        **fields, outstanding_amount=fields["outstanding"] * MINOR_UNITS, currency=CURRENCY
    )


def _books(snapshot: Snapshot, books: AssetBooks) -> schemas.AssetBooks:
    of_coins = books.asset == COINS
    return schemas.AssetBooks(
        asset="coins" if of_coins else "points",
        brand_id=UNSET if of_coins else books.asset,
        customers=schemas.CustomersSide(
            available=books.available, held=books.held, lots=books.lots
        ),
        accounts=[_account(snapshot, account) for account in books.accounts],
        difference=books.difference,
    )


def _account(snapshot: Snapshot, account: Account) -> schemas.LedgerAccount:
    party = None
    if account.counter in PARTY_OF_BRAND:
        party = Party("brand", account.party)
    elif account.counter == Counter.PARTNER_CLEARING:
        party = Party("partner", account.party)
    elif account.counter == Counter.COINS_DONATED:
        party = Party("organisation", account.party)
    name: Any = account.counter.name.lower()
    return schemas.LedgerAccount(
        account=name,
        party=None if party is None else _party(snapshot, party),
        balance=account.balance,
    )


def _folded(reach: Reach) -> schemas.Folded:
    until = iso_moment(microseconds(reach.until))
    return schemas.Folded(until=until, rows_added=reach.rows_added)


def _wants_csv(request: web.BaseRequest) -> bool:
    """Return whether a spreadsheet is asked for, by `format` or by the header Accept."""
    asked = query_text(request, "format")
    if asked not in (None, "json", "csv"):
        raise Problem("invalid_request", "`format` is json or csv.")
    accepted = request.headers.get("Accept", "").partition(",")[0].partition(";")[0]
    return asked == "csv" or (asked is None and accepted.strip().lower() == CSV)


def _csv_reply(found: Settlement, snapshot: Snapshot, name: str) -> Response:
    """Return the flows as a table that a spreadsheet opens, one row each."""
    text = StringIO(BYTE_ORDER_MARK)
    text.seek(0, 2)
    csv.writer(text).writerows(_csv_rows(found, snapshot))
    headers = {"Content-Disposition": f'attachment; filename="{name.replace(":", "")}"'}
    return Response(text.getvalue().encode(), content_type=f"{CSV}; charset=utf-8", headers=headers)


def _csv_rows(found: Settlement, snapshot: Snapshot) -> Iterator[list[Any]]:
    parts = ("type", "id", "name")
    head = [f"{side}_{part}" for side in ("issuer", "receiver") for part in parts]
    yield [*head, "reason", "coins", "amount", "currency"]
    for flow in found.flows:
        cells: list[Any] = []
        for party in (flow.issuer, flow.receiver):
            cells += [party.kind, party.id, _cell(_name_of(snapshot, party) or "")]
        yield [*cells, flow.reason, flow.coins, flow.coins * MINOR_UNITS, CURRENCY]


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text

"""A sale earns points, and at an issuer brand coins (PTS-3, COI-2).

One sale is `accumulate`. What has nothing to be looked up is `accumulation_at_once`, and many sales
are uploaded (`engine.commands.upload`): all three find the store, then how the sale stands, and
make an `Earning` of both, from which the operation is made.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from engine.commands.currencies import check_currency
from engine.commands.decisions import Decided, accepted, retried
from engine.commands.identity import fingerprint, fingerprint_fields, transaction_id
from engine.commands.issuing import issue, needs_funds
from engine.commands.moments import occurred_at_s
from engine.commands.problem import Problem
from engine.commands.sales import NOT_KNOWN, Asked, Sale, check_printed, find_sale, sold_at_s
from engine.commands.scope import store_of
from engine.commands.services import Services
from engine.ledger.core import Operation
from engine.ledger.operations import accumulation
from engine.people.keys import Principal
from engine.programme.brands import Brand, Store
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS, local_day
from engine.programme.earning import coins_expire
from engine.schemas.scalars import AMOUNT_MAX
from engine.schemas.transactions import Accumulation

VERB = "accumulation"
"""What fingerprints of sales begin with."""
COINS_UTC_OFFSET = UTC_OFFSETS[COINS_COUNTRY]


class Earning(Struct, frozen=True):
    """What a sale earns; each try to book it is another operation made from this.

    `points` and `coins` are good until the end of their last days. It is a Struct because that is
    made in a third of a frozen dataclass's time, and every sale makes one.
    """

    brand: Brand
    store_id: int
    customer_id: bytes
    transaction_id: bytes
    fingerprint: int
    points: int
    expires_day: int
    coins: int
    coins_expires_day: int
    occurred_at: int
    bill_amount: int
    invoice_number: bytes | None
    invoice_scope: bytes | None

    def operation(self, allotment_id: bytes | None = None) -> Operation:
        """Return a new operation; `allotment_id` is what pays for the coins of a prepaid issuer."""
        brand = self.brand
        return accumulation(
            customer_id=self.customer_id,
            transaction_id=self.transaction_id,
            fingerprint=self.fingerprint,
            brand_id=brand.brand_id,
            store_id=self.store_id,
            points=self.points,
            expires_day=self.expires_day,
            coins=self.coins,
            coins_expires_day=self.coins_expires_day,
            utc_offset=brand.utc_offset,
            occurred_at=self.occurred_at,
            bill_amount=self.bill_amount,
            invoice_number=self.invoice_number,
            invoice_scope=self.invoice_scope,
            allotment_id=allotment_id,
        )

    def unfunded(self) -> Operation:
        """Return a new operation for a brand that has no coins left: points, and no coins."""
        return replace(self, coins=0).operation()


async def accumulate(
    services: Services, principal: Principal, customer_id: bytes, key: str, body: Accumulation
) -> Decided:
    """Book a sale; raises Problem and what `issue` raises."""
    try:
        store = store_of(services.catalogue.now, principal, body.store_id)
        asked = await sale_to_find(services, store, body)
        sale = NOT_KNOWN if asked is None else await find_sale(services, asked)
        earning = earning_of(services, principal, store, customer_id, key, body, sale)
    except Problem as problem:
        return await retried(services, principal, customer_id, key, VERB, body, problem)
    return accepted(await issue(services, earning))


def accumulation_at_once(
    services: Services, principal: Principal, customer_id: bytes, key: str, body: Accumulation
) -> Operation | None:
    """Return the operation of a sale for which nothing has to be looked up, None for another one.

    Raises Problem where `accumulate` does, which may know an answer all the same.
    """
    store = store_of(services.catalogue.now, principal, body.store_id)
    if body.invoice_number is not None and (
        _is_looked_up(store, body) or not services.invoices.prints_nothing(store.store_id)
    ):
        return None
    earning = earning_of(services, principal, store, customer_id, key, body, NOT_KNOWN)
    operation = earning.operation()
    if needs_funds(store.brand, operation) or services.committer.repeats.expects(operation):
        return None
    return operation


async def sale_to_find(services: Services, store: Store, body: Accumulation) -> Asked | None:
    """Return which sale a body names that may stand already (INV-2), None where none can.

    A store whose point of sale prints nothing is not asked for what it cannot have. Raises Problem.
    """
    number = body.invoice_number
    if number is None or not (
        _is_looked_up(store, body) or await services.invoices.prints(store.store_id)
    ):
        return None
    return Asked(store, number, sold_at_s(services, body.occurred_at), body.till)


def _is_looked_up(store: Store, body: Accumulation) -> bool:
    """Return whether the sale of a number is looked up whatever its store prints."""
    return body.amount is None or bool(store.earlier_scopes)


def earning_of(
    services: Services,
    principal: Principal,
    store: Store,
    customer_id: bytes,
    key: str,
    body: Accumulation,
    sale: Sale,
) -> Earning:
    """Return what a sale earns by the programme in force at that time (PTS-2).

    What the point of sale has printed of the `sale` is what was sold, when it was issued unless the
    body says otherwise; nobody types another amount. Raises Problem.
    """
    brand, printed = store.brand, sale.printed
    amount, occurred_at, scope = body.amount, body.occurred_at, None
    number = body.invoice_number
    if printed is not None:
        # Of a claimed one the ledger says so, whatever amount was sent.
        check_printed(printed, amount if printed.transaction_id is None else None)
        amount = printed.amount
        occurred_at = printed.issued_at if occurred_at is None else occurred_at
    if amount is None:
        raise Problem("amount_required", _what_is_missing(store, number))
    check_currency(body.currency, brand)
    occurred_s = occurred_at_s(occurred_at, services.settings.occurred_days_max)
    programme = brand.programme_at(occurred_s)
    if programme is None:
        raise Problem("occurred_at_out_of_range", "The brand had no programme when this was sold.")
    if number is not None:
        scope = sale.scope(store, number, occurred_s, body.till)
    points, coins = programme.points_for(amount), programme.coins_for(amount)
    if points > AMOUNT_MAX or coins > AMOUNT_MAX:
        raise Problem("invalid_request", f"`amount` is too large: it earns more than {AMOUNT_MAX}.")
    return Earning(
        brand,
        store.store_id,
        customer_id,
        transaction_id(principal, customer_id, key),
        fingerprint(VERB, fingerprint_fields(body), store.store_id),
        points,
        programme.points_expire(local_day(occurred_s, brand.utc_offset)),
        coins,
        coins_expire(local_day(occurred_s, COINS_UTC_OFFSET)),
        int(occurred_s * 1_000_000),
        amount,
        None if number is None else number.encode(),
        scope,
    )


def _what_is_missing(store: Store, number: str | None) -> str:
    if number is None:
        return "Send `amount` in minor units, or the `invoice_number` of a sale that was printed."
    missing = "Send `amount`: the point of sale of this store has printed no invoice of this number"
    if store.invoice_scope == "forever":
        return f"{missing}."
    return (
        f"{missing} on the day of the sale. Its numbers restart: send `occurred_at` for a sale of"
        " another day."
    )

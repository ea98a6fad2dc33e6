"""Offers: what a customer can take at a store, and what is missing for the rest (RED-4, RED-6)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, get_args
from uuid import UUID

from msgspec import UNSET, Meta

from engine.api.items import ENDS
from engine.api.wallets import wallets_of
from engine.codes import Refusal
from engine.commands.scope import store_of
from engine.commands.services import Services
from engine.constants import ID_MAX
from engine.errors import CustomerNotFound
from engine.http.bodies import query_int
from engine.http.dispatcher import Call
from engine.http.operation import operation
from engine.http.parameters import customer_id_of
from engine.people.customers import Customer
from engine.programme.items import Item, ItemKind, moment_of
from engine.programme.stock import Standing
from engine.schemas.items import Offer, Offers, Reason
from engine.schemas.scalars import Id

REASONS: dict[Refusal, Reason] = {Refusal[code.upper()]: code for code in get_args(Reason)}
UNLIMITED = Standing(out_of_stock=False, limit_reached=False, named=True)


@dataclass(frozen=True, slots=True)
class Buyer:
    """A customer at a store, as far as it decides what they can take there."""

    customer: Customer
    blocked: bool
    points: int
    coins: int
    coins_accepted: bool

    def missing(self, item: Item) -> int:
        """Return how many points or coins of its price the customer does not have."""
        have, price = (self.coins, item.coins) if item.coins else (self.points, item.points)
        return max(0, price - have)

    def refusal(self, item: Item, standing: Standing) -> Refusal | None:
        """Return why they could not take it now, in the ledger's order of precedence."""
        if self.blocked:
            return Refusal.CUSTOMER_BLOCKED
        if self.customer.missing_fields:
            return Refusal.PROFILE_INCOMPLETE
        if self.missing(item):
            return Refusal.INSUFFICIENT_COINS if item.coins else Refusal.INSUFFICIENT_POINTS
        if item.coins and not self.coins_accepted:
            return Refusal.COINS_NOT_ACCEPTED
        if standing.out_of_stock:
            return Refusal.OUT_OF_STOCK
        return Refusal.LIMIT_REACHED if standing.limit_reached else None


OFFERS = Offers(
    rewards=[
        Offer(
            reward_id=1,
            name="Café americano",
            points=500,
            coins=0,
            available=False,
            missing=120,
            reason="insufficient_points",
            ends_at=None,
        )
    ],
    promotions=[],
    gifts=[
        Offer(
            gift_id=3,
            name="Postre de bienvenida",
            points=0,
            coins=0,
            available=True,
            missing=0,
            reason=None,
            ends_at=ENDS,
        )
    ],
)


@operation(
    "listOffers",
    summary="List what a customer can take at a store, and what the rest lacks (RED-4)",
    query={
        "store_id": Annotated[Id, Meta(description="Where; a key of one store may leave it out.")]
    },
    answer_example=OFFERS,
    problems=("store_required", "store_not_found"),
)
async def offers(services: Services, call: Call) -> Offers:
    """`GET /v1/customers/{customer_id}/offers`: the brand's table, as this customer sees it."""
    customer_id = customer_id_of(call.params)
    now = time.time()
    snapshot = services.catalogue.now
    store_id = query_int(call.request, "store_id", 0, ID_MAX) or None
    store = store_of(snapshot, call.principal, store_id)
    brand_id = store.brand.brand_id
    customer = await services.customers.get(UUID(bytes=customer_id))
    if customer is None:
        raise CustomerNotFound
    wallets = await wallets_of(services, call.principal, customer_id)
    balances = {wallet.brand_id: wallet.balance for wallet in wallets.wallets}
    buyer = Buyer(
        customer=customer,
        blocked=wallets.blocked,
        points=balances.get(brand_id, 0),
        coins=balances.get(UNSET, 0),
        coins_accepted=store.takes_coins(now),
    )
    items = [
        item
        for item in snapshot.items.values()
        if item.brand.brand_id == brand_id and item.on_offer(now) and item.is_for(customer, now)
    ]
    standings = await services.stock.standings(items, customer_id)
    items.sort(key=lambda item: (item.points or item.coins, item.item_id))
    return Offers(
        rewards=list(_offers(ItemKind.REWARD, items, standings, buyer)),
        promotions=list(_offers(ItemKind.PROMOTION, items, standings, buyer)),
        gifts=list(_offers(ItemKind.GIFT, items, standings, buyer)),
    )


def _offers(
    kind: ItemKind, items: list[Item], standings: dict[int, Standing], buyer: Buyer
) -> Iterator[Offer]:
    """Give what there is of one kind; a gift that was taken is no offer any more."""
    for item in items:
        standing = standings.get(item.item_id, UNLIMITED)
        over = item.kind is ItemKind.GIFT and standing.limit_reached
        if item.kind is not kind or over or not standing.named:
            continue
        refusal = buyer.refusal(item, standing)
        yield Offer(
            **{kind.id_name: item.item_id},
            name=item.name,
            points=item.points,
            coins=item.coins,
            available=refusal is None,
            missing=buyer.missing(item),
            reason=None if refusal is None else REASONS[refusal],
            ends_at=moment_of(item.ends_at),
        )

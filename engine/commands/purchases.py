"""What is paid for with coins: where, how many, for which promotion, and why not (COI-3, RED-6)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from engine.codes import Refusal
from engine.commands.bills import COIN_MINOR_UNITS
from engine.commands.problem import Problem
from engine.commands.scope import item_of, store_of
from engine.people.customers import Customer
from engine.people.keys import Principal
from engine.programme.brands import Store
from engine.programme.catalogue import Snapshot
from engine.programme.items import Item, ItemKind
from engine.programme.stock import Pick
from engine.schemas.transactions import Payment


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is paid for with coins at a store; `promotion` is None where it is a bill."""

    store: Store
    coins: int
    promotion: Item | None

    def item(self, pick: Pick) -> dict[str, Any]:
        """Return what the details of its postings say of a promotion, as it is priced now.

        A reversal frees the unit and the turn, which nobody is told.
        """
        if self.promotion is None:
            return {}
        told = {
            "promotion_id": self.promotion.item_id,
            "name": self.promotion.name,
            "coins": self.promotion.coins,
        }
        return {"item": told, "unit": pick.unit, "turn": pick.turn}

    def barred(self, customer: Customer, pick: Pick, *, qr_is_valid: bool) -> int:
        """Return the refusal that no balance has a say in, 0 where there is none (COI-3, COI-6).

        `pick` is what there is of a promotion, and for this customer.
        """
        now, promotion = time.time(), self.promotion
        if not self.store.takes_coins(now):
            return Refusal.COINS_NOT_ACCEPTED
        if not qr_is_valid:
            return Refusal.QR_INVALID
        if promotion is None:
            return 0
        on_offer = promotion.on_offer(now) and promotion.is_for(customer, now)
        return refusal_of(pick, on_offer=on_offer)


def purchase_of(snapshot: Snapshot, principal: Principal, body: Payment) -> Purchase:
    """Return what a body asks to pay for; raises Problem where that cannot be.

    A promotion has its price, so that `coins` may be left out, or say the same (RED-6).
    """
    store = store_of(snapshot, principal, body.store_id)
    coins, promotion = body.coins, None
    if body.promotion_id is not None:
        promotion = item_of(snapshot, principal, ItemKind.PROMOTION, body.promotion_id)
        if promotion.brand.brand_id != store.brand.brand_id:
            raise Problem(
                "promotion_not_found", f"There is no promotion {body.promotion_id} of this store."
            )
        if not promotion.coins:
            raise Problem(
                "invalid_request", "This promotion costs no coins: take it with a redemption."
            )
        if coins not in (None, promotion.coins):
            raise Problem(
                "invalid_request",
                f"This promotion costs {promotion.coins} coins: send that, or leave `coins` out.",
            )
        coins = promotion.coins
    if coins is None:
        raise Problem("invalid_request", "Send `coins`, or the `promotion_id` of what costs them.")
    if body.amount is not None and coins * COIN_MINOR_UNITS > body.amount:
        raise Problem("invalid_request", "The coins are more than the bill of `amount`.")
    return Purchase(store, coins, promotion)


def refusal_of(pick: Pick, *, on_offer: bool) -> int:
    """Return why the item is not to be had, in the ledger's order of precedence; 0 if it is."""
    if pick.out_of_stock:
        return Refusal.OUT_OF_STOCK
    if pick.limit_reached:
        return Refusal.LIMIT_REACHED
    return 0 if on_offer and pick.named else Refusal.NOT_AVAILABLE

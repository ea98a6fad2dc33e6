"""Postings of all kinds from a seed, made by the compiled core alone and spread over days.

Shared by the bench of settlement and by the tests of the sums. The same seed gives the same rows,
byte for byte. Nothing of it passes a committer: who wants a million rows copies the batches into
the journal as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from bench.sales import CHAIN_KEY
from engine.codes import Kind
from engine.constants import DAY_SECONDS
from engine.ledger.core import Batch, Ledger, Leg, Operation
from engine.programme.calendar import COINS_COUNTRY, UTC_OFFSETS

SECOND: Final = 1_000_000
DAY: Final = DAY_SECONDS * SECOND
COINS_OFFSET: Final = UTC_OFFSETS[COINS_COUNTRY]
SHARES: Final = {
    "sale": 60,
    "redeem": 8,
    "hold": 8,
    "end": 8,
    "pay": 6,
    "donate": 2,
    "convert": 2,
    "cash_back": 2,
    "reverse": 4,
}
"""Of a hundred operations, how many are of each kind."""
CODE: Final = bytes(16)
WRONG_CODE: Final = b"w" * 16
PARTNERS: Final = 2
ORGANISATIONS: Final = 2


class Postings:
    """Batches of operations of `customers`; each is published when it is given.

    `offsets` are the brands with their offsets from UTC in seconds, of which `issuers` issue coins.
    What is earned lives for `validity_days`, and coins for twice as long. Only what is added to
    `reversible` is reversed: who has read the rows of a batch knows their legs.
    """

    def __init__(
        self,
        seed: int,
        customers: Sequence[bytes],
        offsets: Mapping[int, int],
        issuers: Sequence[int],
        *,
        validity_days: int = 365,
    ) -> None:
        self._dice = Random(f"postings {seed}")
        self.customers, self._offsets, self._issuers = customers, offsets, issuers
        self._brands = list(offsets)
        self._validity_days = validity_days
        self._holds: list[tuple[bytes, bytes]] = []
        self.reversible: list[tuple[bytes, bytes, list[Leg]]] = []
        """Customer, transaction and legs."""
        self._ledger = Ledger(COINS_OFFSET, CHAIN_KEY)
        for customer_id in customers:
            self._ledger.load_customer(customer_id, 0)

    def batches(self, rows: int, start: int, end: int, *, size: int = 256) -> Iterator[Batch]:
        """Give batches until they have about so many rows, at times from `start` to `end`.

        The times are in microseconds since 1970; `size` is how many operations a batch has.
        """
        made = 0
        while made < rows:
            now = start + (end - start) * made // rows
            batch = self._ledger.decide([self._operation(now) for _ in range(size)], now)
            self._ledger.publish(batch)
            made += batch.postings
            yield batch

    def _operation(self, now: int) -> Operation:
        verb = self._dice.choices(list(SHARES), list(SHARES.values()))[0]
        if verb == "end" and self._holds:
            return self._end_of_a_hold(now)
        if verb == "reverse" and self.reversible:
            return self._reversal(now)
        brand = self._dice.choice(self._brands)
        facts = self._facts(now, self._dice.choice(self.customers), self._offsets[brand])
        if verb in ("redeem", "donate", "convert"):
            return self._online(verb, facts | {"brand_id": brand})
        facts |= {"brand_id": brand, "store_id": brand}
        if verb == "hold":
            self._holds.append((facts["customer_id"], facts["transaction_id"]))
            lifetime = self._dice.choice((60, DAY_SECONDS)) * SECOND
            facts |= {"hold_expires_at": now + lifetime, "tries_max": 2, "code_mac": CODE}
            facts |= {"reference": facts["transaction_id"]}
            return Operation(kind=Kind.HOLD, requested=self._coins(), **facts)
        if verb == "pay":
            return Operation(kind=Kind.PAYMENT, requested=self._coins(), **facts)
        issues = brand in self._issuers
        if verb == "cash_back" and issues:
            order = b"O-%d" % self._dice.getrandbits(62)
            facts |= {"claim_reference": order, "requested": self._coins()}
            return Operation(kind=Kind.CASHBACK, **self._coins_for(facts))
        return Operation(
            kind=Kind.ACCUMULATION,
            asset=brand,
            requested=self._dice.randint(0, 200),
            coins=self._coins() if issues else 0,
            coins_expires_day=self._coins_for(facts)["expires_day"] if issues else 0,
            **facts,
        )

    def _online(self, verb: str, facts: dict[str, Any]) -> Operation:
        """Return what needs no till: a redemption of points, a donation or a conversion."""
        if verb == "redeem":
            return Operation(
                kind=Kind.REDEMPTION,
                asset=facts["brand_id"],
                requested=self._dice.randint(0, 300),
                **facts,
            )
        del facts["brand_id"]
        if verb == "donate":
            party_id = self._dice.randint(1, ORGANISATIONS)
            return Operation(
                kind=Kind.DONATION, party_id=party_id, requested=self._coins(), **facts
            )
        return Operation(
            kind=Kind.CONVERSION,
            party_id=self._dice.randint(1, PARTNERS),
            claim_reference=b"R-%d" % self._dice.getrandbits(60),
            requested=self._coins(),
            **self._coins_for(facts),
        )

    def _end_of_a_hold(self, now: int) -> Operation:
        """Return the end of a late one, by the right code, a wrong one or a void."""
        at = self._dice.randrange(max(0, len(self._holds) - 50), len(self._holds))
        customer_id, reference = self._holds.pop(at)
        facts = self._facts(now, customer_id, COINS_OFFSET) | {"reference": reference}
        if self._dice.random() < 0.2:
            return Operation(kind=Kind.VOID, **facts)
        code = WRONG_CODE if self._dice.random() < 0.2 else CODE
        return Operation(kind=Kind.CAPTURE, code_mac=code, **facts)

    def _reversal(self, now: int) -> Operation:
        customer_id, reference, legs = self.reversible.pop(
            self._dice.randrange(len(self.reversible))
        )
        offset = self._offsets.get(legs[0].asset, COINS_OFFSET)
        return Operation(
            kind=Kind.REVERSAL,
            reference=reference,
            original=legs,
            **self._facts(now, customer_id, offset),
        )

    def _facts(self, now: int, customer_id: bytes, utc_offset: int) -> dict[str, Any]:
        today = (now // SECOND + utc_offset) // DAY_SECONDS
        return {
            "customer_id": customer_id,
            "transaction_id": self._dice.randbytes(16),
            "occurred_at": now,
            "utc_offset": utc_offset,
            "expires_day": today + self._validity_days,
        }

    def _coins_for(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return the facts of an operation on coins, which live twice as long as points."""
        return facts | {"expires_day": facts["expires_day"] + self._validity_days}

    def _coins(self) -> int:
        return self._dice.randint(0, 900)

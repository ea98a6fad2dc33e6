"""What the clients of the simulation ask for, drawn from the seed, and the outcomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from engine.codes import COINS, Cause, Claim, Kind
from engine.ledger.core import Operation
from tests.copy_format import Posting, leg_of
from tests.simulation.loop import STARTS_AT_S
from tests.simulation.workers import COLOMBIA

CAFE, FUEL, BANK = 7, 9, 3
RIGHT, WRONG = b"r" * 16, b"w" * 16
LAST_DAY = STARTS_AT_S // 86_400 + 30
CUSTOMERS = [bytes([n]) * 16 for n in range(1, 9)]
HOT = 2
"""How many customers are hot: every worker has requests of them."""


@dataclass(eq=False, slots=True)
class Intent:
    """One thing that a client wants to be done once, whatever it takes, under one key."""

    facts: dict[str, Any]
    asked_at: float = -1.0
    answered_at: float = -1.0
    uncertain: bool = False
    """Whether an attempt may have done it without an answer."""
    patient: bool = False
    """Whether it is tried until it is known what came of it."""
    outcome: str = ""
    """What came of it: posted, nothing, or the name of the error."""
    refusal: int = 0
    units: list[int] = field(default_factory=list)
    """The units that are tried next, where one is taken."""

    @property
    def transaction_id(self) -> bytes:
        return self.facts["transaction_id"]

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return f"{Kind(self.facts['kind']).name} {int.from_bytes(self.transaction_id)}"

    @property
    def claim(self) -> tuple[Any, ...] | None:
        """What happens once by it: an invoice, a reference, a QR, a reversal."""
        facts = self.facts
        for name, owner in (
            ("invoice_number", "store_id"),
            ("claim_reference", "party_id"),
            ("qr_issued_at", "customer_id"),
        ):
            if facts.get(name):
                return name, facts[owner], facts[name]
        if facts["kind"] == Kind.REVERSAL:
            return "reversal", facts["customer_id"], facts["reference"]
        return None

    def operation(self) -> Operation:
        """Return the operation as a request of this intent asks for it."""
        return Operation(**self.facts)


class Workload:
    """Draws intents; keys are numbers in the order of drawing."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.intents: list[Intent] = []
        self.bad: set[bytes] = set()
        """The transactions that the database refuses, whatever they come with."""
        self._bad = dice.choice((0, 0, 0, 0.03))
        self._hot = dice.choice((0.2, 0.6, 0.95))
        self._makers: list[Callable[[], Intent]] = dice.choices(
            (self.earn, self.earn_by_invoice, self.redeem, self.take, self.pay, self.convert),
            weights=[dice.choice((0, 1, 1, 4)) or 0.05 for _ in range(6)],
            k=40,
        )

    def any(self) -> Intent:
        """Return something that needs nothing before it."""
        return self.dice.choice(self._makers)()

    def earn(self, **more: Any) -> Intent:
        """Return a sale, of which half earn coins too."""
        coins = self.dice.choice((0, 0, 5, 20))
        facts = {"asset": CAFE, "brand_id": CAFE, "requested": self.dice.randint(1, 50)}
        facts |= {"expires_day": LAST_DAY, "coins": coins, "coins_expires_day": LAST_DAY}
        return self._intent(Kind.ACCUMULATION, **facts | {"store_id": 1} | more)

    def earn_by_invoice(self) -> Intent:
        """Return a sale by one of few invoices, in one of two stores."""
        number = b"F%d" % self.dice.randint(1, 9)
        return self.earn(invoice_number=number, store_id=self.dice.choice((1, 1, 2)))

    def earn_for_another(self, intent: Intent) -> Intent:
        """Return another request, which has the same key."""
        key = {"customer_id": intent.facts["customer_id"], "transaction_id": intent.transaction_id}
        return self.earn(**key, fingerprint=-intent.facts["fingerprint"])

    def redeem(self) -> Intent:
        points = self.dice.randint(1, 60)
        return self._intent(Kind.REDEMPTION, asset=CAFE, brand_id=CAFE, requested=points)

    def take(self) -> Intent:
        """Return a redemption of one of few units, which costs nothing."""
        units = self.dice.sample(range(1, 9), 3)
        intent = self._intent(
            Kind.REDEMPTION, asset=CAFE, brand_id=CAFE, item_id=1, unit=units.pop()
        )
        intent.units = units
        return intent

    def pay(self) -> Intent:
        """Return a payment by one of few QRs."""
        qr = self.dice.randint(1, 5)
        coins = self.dice.randint(1, 15)
        return self._intent(
            Kind.PAYMENT, brand_id=FUEL, store_id=90, requested=coins, qr_issued_at=qr
        )

    def convert(self) -> Intent:
        """Return a conversion by one of few references."""
        facts = {"party_id": BANK, "claim_reference": b"R%d" % self.dice.randint(1, 9)}
        return self._intent(Kind.CONVERSION, requested=30, expires_day=LAST_DAY, **facts)

    def hold(self, now_s: float) -> Intent:
        """Return the start of a payment with a code, whose time may be up soon."""
        lasts_s = self.dice.choice((0.2, 2, 300))
        facts = {"brand_id": FUEL, "store_id": 90, "requested": self.dice.randint(1, 10)}
        facts |= {"code_mac": RIGHT, "tries_max": 2, "resends_max": 1}
        expires_at = int((STARTS_AT_S + now_s + lasts_s) * 1e6)
        return self._intent(Kind.HOLD, hold_expires_at=expires_at, **facts)

    def follow_up(self, hold: Intent) -> Intent:
        """Return a capture with the right code or a wrong one, another code, or a void."""
        facts = {"customer_id": hold.facts["customer_id"], "reference": hold.transaction_id}
        facts |= {"brand_id": FUEL, "store_id": 90}
        kind = self.dice.choice((Kind.CAPTURE, Kind.CAPTURE, Kind.VOID, Kind.RESEND))
        if kind != Kind.VOID:
            facts |= {
                "code_mac": self.dice.choice((RIGHT, WRONG)) if kind == Kind.CAPTURE else RIGHT
            }
        return self._intent(kind, **facts)

    def sweep(self, customer_id: bytes) -> Intent:
        """Return a request to write down what is due; it leaves no row of its own."""
        return self._intent(Kind.EXPIRY, customer_id=customer_id, asset=COINS)

    def block(self, customer_id: bytes, kind: Kind) -> Intent:
        return self._intent(kind, customer_id=customer_id)

    def reverse(self, intent: Intent, rows: list[Posting]) -> Intent:
        """Return the reversal of what an intent posted; a mistake frees what it claimed."""
        cause = self.dice.choice((Cause.RETURNED, Cause.MISTAKE))
        claim = intent.operation()
        claimed = None
        if claim.claim_kind != Claim.NONE:
            claimed = {"claim": (claim.claim_kind, claim.claim_owner, claim.claim_key)}
        legs = [leg_of(row, **(claimed or {} if row.leg == 0 else {})) for row in rows]
        facts = {"customer_id": intent.facts["customer_id"], "reference": intent.transaction_id}
        facts |= {"brand_id": CAFE, "original": legs, "cause": cause}
        return self._intent(Kind.REVERSAL, **facts)

    def customer(self) -> bytes:
        """Return one of the customers, a hot one more often."""
        hot = self.dice.random() < self._hot
        return self.dice.choice(CUSTOMERS[:HOT] if hot else CUSTOMERS)

    def _intent(self, kind: Kind, **facts: Any) -> Intent:
        number = len(self.intents) + 1
        asked = {"kind": kind, "customer_id": self.customer(), "fingerprint": number}
        asked |= {"transaction_id": number.to_bytes(16), "utc_offset": COLOMBIA}
        asked |= {"occurred_at": STARTS_AT_S * 1_000_000}
        intent = Intent(asked | facts)
        if self.dice.random() < self._bad:
            self.bad.add(intent.transaction_id)
        self.intents.append(intent)
        return intent

"""The canonical workload: what cashiers and points of sale ask of the network, from a seed.

Shared by bench, load and tests. The same seed gives the same requests, byte for byte; another seed
gives other idempotency keys and invoice numbers, so two seeds never meet in one database.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson

LOOKUP: Final = "/v1/customers/lookup"
CUSTOMER: Final = "/v1/customers/{customer_id}"
ACCUMULATIONS: Final = CUSTOMER + "/accumulations"
REDEMPTIONS: Final = CUSTOMER + "/redemptions"
PAYMENTS: Final = CUSTOMER + "/payments"
CONFIRM: Final = PAYMENTS + "/{payment_id}/confirm"
WALLETS: Final = CUSTOMER + "/wallets"
QR: Final = CUSTOMER + "/qr"
TRANSACTIONS: Final = "/v1/transactions"
UPLOAD_ITEMS: Final = 1000

VISITS: Final = {"sale": 82, "look": 6, "redeem": 6, "pay": 6}
"""Of a hundred visits to a till, how many are of each kind; every visit begins with a look-up."""

BILLS: Final = {"COP": (45_000, 50, 100), "USD": (12, 0.05, 100), "GTQ": (95, 0.25, 100)}
"""By currency: the median bill, the smallest step of a price, and the minor units of one."""

BILLS_SIGMA: Final = 0.8
"""Bills are log-normal: at 0.8 one bill in six is more than 2.2 times the median."""

CODE_TEXT: Final = re.compile(r"pagar (\d+) coins .*\bes (\d{4,6})\.")
"""What the message with a payment's code says: how many coins, and the code."""

FUNDING_AMOUNT: Final = 10**12
"""The bill of a sale that leaves a customer with more than a benchmark can spend."""

DONE: Final = frozenset({200, 201})
DONE_OR_REFUSED: Final = DONE | {409}


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `statuses` are those that a healthy engine may answer it with."""

    verb: str
    method: str
    route: str
    path: str
    role: str
    body: bytes
    idempotency_key: str | None
    statuses: frozenset[int]

    def encode(self, host: str, keys: Mapping[str, str]) -> bytes:
        """Return the request as it goes over the wire, with the key of its role."""
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            f"Host: {host}",
            f"Authorization: Bearer {keys[self.role]}",
        ]
        if self.idempotency_key is not None:
            lines.append(f"Idempotency-Key: {self.idempotency_key}")
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join((*lines, "", "")).encode() + self.body


Answer = Mapping[str, Any]
Step = Request | Callable[[Answer], Request | None]
"""A request, or what makes it of the answer before; None where it cannot yet."""

HABITS: Final = 3
"""At how many brands a customer buys."""


class Workload:
    """Endless streams of requests on the demo network that `demo.json` describes.

    A customer buys at a few brands; these and the customers are drawn by Zipf's law with the
    exponents given (0: all alike). With `one_brand` every request is at the brand of the demo's
    store key, which issues coins; with `issuers_only` they are at brands that all do, which is the
    same work. `invoices` is the share of sales that carry an invoice number, as those of an
    integrated point of sale do. `customers` takes the first so many of them, 0 takes all.
    """

    def __init__(
        self,
        demo: Mapping[str, Any],
        seed: int,
        *,
        zipf_brands: float = 1.0,
        zipf_customers: float = 0.4,
        one_brand: bool = False,
        issuers_only: bool = False,
        invoices: float = 1.0,
        customers: int = 0,
    ) -> None:
        self.seed = seed
        self._dice = Random(f"workload {seed}")
        self._invoices = invoices
        self._number = itertools.count(1)
        home = demo["keys"]["store"]["brand_id"]
        self._brands: list[Mapping[str, Any]] = [
            brand
            for brand in demo["brands"]
            if (brand["brand_id"] == home or not one_brand)
            and (brand["issuer"] or not issuers_only)
        ]
        self._issuers = [b for b in self._brands if b["issuer"]]
        self._home = home
        self._stores = _by_brand(demo["stores"])
        self._rewards = _by_brand(demo["rewards"])
        self._tills = [s for s in demo["stores"] if s["accepts_coins"]]
        if one_brand:
            self._tills = [s for s in self._tills if s["brand_id"] == home]
        self._customers: list[Mapping[str, Any]] = demo["customers"][: customers or None]
        self._complete: list[Mapping[str, Any]] = [
            c for c in self._customers if c["profile_complete"]
        ]
        # The same for every seed of the stream: people keep going where they went.
        habits = Random("habits")
        weights = zipf(len(self._brands), zipf_brands)
        self.habits = {
            customer["customer_id"]: habits.choices(self._brands, cum_weights=weights, k=HABITS)
            for customer in self._customers
        }
        self._customer_weights = zipf(len(self._customers), zipf_customers)
        self._complete_weights = zipf(len(self._complete), zipf_customers)

    # Streams.

    def accumulations(self) -> Iterator[Request]:
        """Yield sales and nothing else."""
        while True:
            yield self.accumulate(self._customer())

    def uploads(self) -> Iterator[Request]:
        """Yield bulk uploads of the same sales, UPLOAD_ITEMS in each, a line for each."""
        while True:
            sales = itertools.islice(self._sales(), UPLOAD_ITEMS)
            body = b"\n".join(map(orjson.dumps, sales))
            yield Request("upload", "POST", TRANSACTIONS, TRANSACTIONS, "network", body, None, DONE)

    def tills(self) -> Iterator[tuple[Request, Request]]:
        """Yield what a cashier does for every sale: find the customer, then accumulate."""
        while True:
            customer = self._customer()
            yield self.lookup(customer), self.accumulate(customer)

    def lookups(self) -> Iterator[Request]:
        """Yield look-ups and nothing else."""
        while True:
            yield self.lookup(self._customer())

    def looks(self) -> Iterator[Request]:
        """Yield readings of wallets and nothing else."""
        while True:
            yield self.wallets(self._customer())

    def funding(self) -> Iterator[Request]:
        """Yield a sale for each complete customer, after which they can redeem and pay for long."""
        for customer in self._complete:
            yield self.accumulate(customer, self._home, amount=FUNDING_AMOUNT)

    def redemptions(self) -> Iterator[Request]:
        """Yield rewards of the home brand, for customers who were funded."""
        while True:
            yield self.redeem(self._customer(complete=True), self._home)

    def holds(self) -> Iterator[Request]:
        """Yield payments whose code nobody types, for customers who were funded."""
        while True:
            yield self.pay(self._customer(complete=True))

    def code_payments(self, outbox: Outbox) -> Iterator[tuple[Step, ...]]:
        """Yield holds of coins and the codes that capture them, for customers who were funded."""
        while True:
            customer = self._customer(complete=True)
            hold = self.pay(customer)
            yield hold, partial(self._typed, customer, hold, outbox)

    def qr_payments(self) -> Iterator[tuple[Step, ...]]:
        """Yield what the app shows and the till takes for coins, for customers who were funded.

        In turn, for a customer shows but one QR a second.
        """
        for customer in itertools.cycle(self._complete):
            path = QR.format(customer_id=customer["customer_id"])
            shown = Request("show", "POST", QR, path, "app", b"", None, DONE)
            yield shown, partial(self._scanned, customer)

    def visits(self) -> Iterator[tuple[Request, ...]]:
        """Yield what one customer's visit to a till asks for, in order, by the shares of VISITS.

        A payment ends with its hold; `confirmation` makes the next request of it.
        """
        kinds, weights = list(VISITS), list(itertools.accumulate(VISITS.values()))
        while True:
            kind = self._dice.choices(kinds, cum_weights=weights)[0]
            customer = self._customer(complete=kind in ("redeem", "pay"))
            found = self.lookup(customer)
            if kind == "sale":
                yield found, self.accumulate(customer)
            elif kind == "look":
                yield found, self.wallets(customer)
            elif kind == "redeem":
                brand = self._brand(customer)
                sale = self.accumulate(customer, brand["brand_id"])
                yield found, sale, self.wallets(customer), self.redeem(customer, brand["brand_id"])
            else:
                brand = self._dice.choice(self._issuers)
                yield found, self.accumulate(customer, brand["brand_id"]), self.pay(customer)

    def mix(self) -> Iterator[Request]:
        """Yield the requests of `visits` one after the other."""
        return itertools.chain.from_iterable(self.visits())

    # Single requests.

    def accumulate(
        self, customer: Mapping[str, Any], brand_id: int | None = None, *, amount: int | None = None
    ) -> Request:
        """A sale at some store of a brand, by default of any; the customer earns."""
        store = self._dice.choice(self._stores[brand_id or self._brand(customer)["brand_id"]])
        body = {
            "amount": amount or self._bill(store["currency"]),
            "currency": store["currency"],
            "store_id": store["store_id"],
        }
        number = next(self._number)
        if self._dice.random() < self._invoices:
            body["invoice_number"] = f"F{self.seed}-{number}"
        return self._posted("accumulate", ACCUMULATIONS, customer, body, number, DONE)

    def lookup(self, customer: Mapping[str, Any]) -> Request:
        """A cashier types the customer's document, or their phone."""
        by_phone = customer["phone"] is not None and self._dice.random() < 0.3
        body = {"phone": customer["phone"]} if by_phone else {"document": customer["document"]}
        return Request("lookup", "POST", LOOKUP, LOOKUP, "network", orjson.dumps(body), None, DONE)

    def wallets(self, customer: Mapping[str, Any]) -> Request:
        """What the customer has, as the till shows it."""
        path = WALLETS.format(customer_id=customer["customer_id"])
        return Request("wallets", "GET", WALLETS, path, "network", b"", None, DONE)

    def redeem(self, customer: Mapping[str, Any], brand_id: int) -> Request:
        """A reward for a brand's points; who has too few is refused."""
        reward = self._dice.choice(self._rewards[brand_id])
        store = self._dice.choice(self._stores[brand_id])
        body = {"reward_id": reward["reward_id"], "store_id": store["store_id"]}
        number = next(self._number)
        return self._posted("redeem", REDEMPTIONS, customer, body, number, DONE_OR_REFUSED)

    def pay(self, customer: Mapping[str, Any], qr: str | None = None) -> Request:
        """Part of a bill in coins; who has too few is refused.

        At once by the QR of the app; else it is the hold, which sends a code.
        """
        body = {
            "coins": self._dice.randint(1, 400),
            "document_checked": True,
            "store_id": self._dice.choice(self._tills)["store_id"],
        }
        if qr is not None:
            body["qr"] = qr
        number = next(self._number)
        return self._posted("pay", PAYMENTS, customer, body, number, DONE_OR_REFUSED)

    def confirmation(self, hold: Request, payment_id: str, code: str) -> Request:
        """The code of the payment that `hold` began, as the customer reads it to the cashier."""
        path = f"{hold.path}/{payment_id}/confirm"
        key = f"{hold.idempotency_key}-confirm"
        body = orjson.dumps({"code": code})
        return Request("confirm", "POST", CONFIRM, path, hold.role, body, key, DONE)

    def _sales(self) -> Iterator[dict[str, Any]]:
        """Yield sales as the items of an upload."""
        for sale in self.accumulations():
            yield {
                "type": "accumulation",
                "idempotency_key": sale.idempotency_key,
                "customer_id": sale.path.split("/")[3],
                **orjson.loads(sale.body),
            }

    def _typed(
        self, customer: Mapping[str, Any], hold: Request, outbox: Outbox, held: Answer
    ) -> Request | None:
        """The code of a hold, None as long as it is not sent."""
        code = outbox.code(customer, held["coins"])
        return None if code is None else self.confirmation(hold, held["payment_id"], code)

    def _scanned(self, customer: Mapping[str, Any], shown: Answer) -> Request:
        """The payment by a QR that was shown."""
        return self.pay(customer, shown["qr"])

    # Dice.

    def _brand(self, customer: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._dice.choice(self.habits[customer["customer_id"]])

    def _customer(self, *, complete: bool = False) -> Mapping[str, Any]:
        if complete:
            return self._dice.choices(self._complete, cum_weights=self._complete_weights)[0]
        return self._dice.choices(self._customers, cum_weights=self._customer_weights)[0]

    def _bill(self, currency: str) -> int:
        median, step, minor = BILLS[currency]
        steps = round(median * self._dice.lognormvariate(0, BILLS_SIGMA) / step)
        return max(1, round(steps * step * minor))

    def _posted(
        self,
        verb: str,
        route: str,
        customer: Mapping[str, Any],
        body: Mapping[str, Any],
        number: int,
        statuses: frozenset[int],
    ) -> Request:
        path = route.format(customer_id=customer["customer_id"])
        key = f"till-{self.seed}-{number}"
        return Request(verb, "POST", route, path, "network", orjson.dumps(body), key, statuses)


class Outbox:
    """Reads the codes that the embedded sender wrote to `outbox.ndjson`, as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._codes: dict[tuple[str, int], str] = {}

    def code(self, customer: Mapping[str, Any], coins: int) -> str | None:
        """Return the newest code sent to `customer` for that many coins, or None."""
        self._read()
        return self._codes.pop((customer["phone"] or customer["email"], coins), None)

    def _read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            message = orjson.loads(line)
            found = CODE_TEXT.search(message["text"])
            if found is not None:
                self._codes[message["to"], int(found[1])] = found[2]


def demo_of(path: Path) -> dict[str, Any]:
    """Read a `demo.json`."""
    demo: dict[str, Any] = orjson.loads(path.read_bytes())
    return demo


def keys_of(demo: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of a `demo.json` by role."""
    return {role: facts["key"] for role, facts in demo["keys"].items()}


@cache
def zipf(count: int, exponent: float) -> tuple[float, ...]:
    """Return cumulative weights by Zipf's law: the n-th of `count` weighs n to the -exponent."""
    return tuple(itertools.accumulate(rank**-exponent for rank in range(1, count + 1)))


def _by_brand(rows: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["brand_id"], []).append(row)
    return found

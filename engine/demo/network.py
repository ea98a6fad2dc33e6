"""The demo network as plain values: the same seed invents the same network, to the last digit.

Pure: no clock, no database. Each part has dice of its own, so that another number of stores leaves
the customers as they were.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from engine.constants import DAY_SECONDS
from engine.demo import names
from engine.demo.identities import Identities
from engine.people.profile import FIELD_NAMES, missing_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

IN_FORCE_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
OLDER_FROM: Final = datetime(2018, 1, 1, tzinfo=UTC)
ITEMS_UNTIL: Final = datetime(2035, 1, 1, tzinfo=UTC)
CUSTOMERS_FROM: Final = datetime(2020, 1, 2, tzinfo=UTC)
CUSTOMERS_DAYS: Final = 2_000
BIRTHS_FROM: Final = date(1945, 1, 1)
BIRTHS_DAYS: Final = 22_900

# So many of a hundred.
CUSTOMERS_BY_COUNTRY: Final = {"CO": 70, "SV": 10, "GT": 10, "PA": 10}
COMPLETE_PROFILES: Final = 60
HALF_WAY_PROFILES: Final = 10
STORES_WITH_COINS: Final = 85

CUSTOMERS_OF_A_GIFT: Final = 5


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand of the network; its id is also the asset of its points (PTS-1)."""

    brand_id: int
    name: str
    country: str
    currency: str


@dataclass(frozen=True, slots=True)
class Programme:
    """What a brand configures, from a moment on; amounts are in minor units."""

    brand_id: int
    version: int
    effective_from: datetime
    points: int
    points_amount: int
    points_validity_days: int
    coins: int
    coins_amount: int
    issuer: bool
    receiver: bool


@dataclass(frozen=True, slots=True)
class Store:
    """A store of a brand; `accepts_coins` where its POS is enabled for them (COI-3)."""

    store_id: int
    brand_id: int
    name: str
    city: str
    accepts_coins: bool


@dataclass(frozen=True, slots=True)
class Reward:
    """What a brand gives for its points (RED-1)."""

    reward_id: int
    brand_id: int
    name: str
    points: int


@dataclass(frozen=True, slots=True)
class Item:
    """What a brand gives beside its plain rewards; items have one numbering with them."""

    item_id: int
    kind: str
    brand_id: int
    name: str
    points: int
    coins: int
    stock: int | None
    customer_limit: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    segment: str | None


@dataclass(frozen=True, slots=True)
class GiftCustomer:
    """Whom a gift is for (RED-3)."""

    item_id: int
    customer_id: UUID


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as registered; a quick registration left fields empty (CUS-3)."""

    customer_id: UUID
    document_type: str
    document_number: str
    email: str
    phone: str | None
    first_names: str | None
    last_names: str | None
    gender: str | None
    birth_date: date | None
    country: str
    city: str
    missing_fields: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner programme whose points become coins (SYS-9)."""

    partner_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Organisation:
    """A social organisation that coins can be donated to (COI-8)."""

    organisation_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Network:
    """All of it, each in the order of its ids; programmes by brand, the one in force last."""

    brands: tuple[Brand, ...]
    programmes: tuple[Programme, ...]
    stores: tuple[Store, ...]
    rewards: tuple[Reward, ...]
    items: tuple[Item, ...]
    customers: tuple[Customer, ...]
    gift_customers: tuple[GiftCustomer, ...]
    partners: tuple[Partner, ...]
    organisations: tuple[Organisation, ...]


def invent(seed: int, *, customers: int = 5000, stores: int = 100) -> Network:
    """The network of a seed. Brand 1 and store 1 are Colombian, issue coins and take them."""
    if stores < 2 or customers < 0:
        raise ValueError("A network has at least 2 stores, and not less than 0 customers.")
    # Nothing that these dice decide is a secret.
    store_dice, reward_dice, customer_dice, gift_dice = (
        Random(f"{part} {seed}")  # noqa: S311
        for part in ("stores", "rewards", "customers", "gifts")
    )
    rewards = tuple(_rewards(reward_dice))
    items = tuple(_items(first=len(rewards) + 1))
    people = tuple(_customers(customer_dice, customers))
    return Network(
        brands=tuple(
            Brand(brand_id, draft.name, draft.country, names.CURRENCIES[draft.country])
            for brand_id, draft in enumerate(names.DRAFTS, start=1)
        ),
        programmes=tuple(_programmes()),
        stores=tuple(_stores(store_dice, stores)),
        rewards=rewards,
        items=items,
        customers=people,
        gift_customers=tuple(_gift_customers(gift_dice, items, people)),
        partners=tuple(Partner(*row) for row in enumerate(names.PARTNERS, start=1)),
        organisations=tuple(Organisation(*row) for row in enumerate(names.ORGANISATIONS, start=1)),
    )


def _programmes() -> Iterator[Programme]:
    """One version for each brand, and an older one before it for some."""
    for brand_id, draft in enumerate(names.DRAFTS, start=1):
        versions = [(IN_FORCE_FROM, draft.points_amount)]
        if brand_id in names.OLDER_POINTS_AMOUNTS:
            versions.insert(0, (OLDER_FROM, names.OLDER_POINTS_AMOUNTS[brand_id]))
        for version, (effective_from, points_amount) in enumerate(versions, start=1):
            yield Programme(
                brand_id=brand_id,
                version=version,
                effective_from=effective_from,
                points=draft.points,
                points_amount=points_amount,
                points_validity_days=draft.points_validity_days,
                coins=draft.coins,
                coins_amount=draft.coins_amount,
                issuer=draft.coins > 0,
                receiver=draft.receiver,
            )


def _stores(dice: Random, count: int) -> Iterator[Store]:
    """A first store for each brand, in the order of their ids; then wherever the dice say."""
    weights = [3 if draft.country == "CO" else 1 for draft in names.DRAFTS]
    there: Counter[tuple[int, str, str]] = Counter()
    for store_id in range(1, count + 1):
        first = store_id <= len(names.DRAFTS)
        brand_id = store_id if first else 1 + dice.choices(range(len(weights)), weights)[0]
        draft = names.DRAFTS[brand_id - 1]
        city, place = dice.choice(names.CITIES[draft.country]), dice.choice(names.PLACES)
        there[brand_id, city, place] += 1
        nth = there[brand_id, city, place]
        yield Store(
            store_id=store_id,
            brand_id=brand_id,
            name=f"{draft.name} {place}" + (f" {nth}" if nth > 1 else ""),
            city=city,
            accepts_coins=draft.receiver and (first or dice.randrange(100) < STORES_WITH_COINS),
        )


def _rewards(dice: Random) -> Iterator[Reward]:
    """The smallest and the largest of each brand's sector, and one to four between them."""
    reward_id = 0
    for brand_id, draft in enumerate(names.DRAFTS, start=1):
        titles = names.REWARDS[draft.sector]
        last = len(titles) - 1
        between = dice.sample(range(1, last), dice.randint(1, 4))
        for size in (0, *sorted(between), last):
            reward_id += 1
            prices = names.PRICES[size]
            yield Reward(reward_id, brand_id, titles[size], prices[brand_id % len(prices)])


def _items(first: int) -> Iterator[Item]:
    """What has a stock, a limit, a time, a segment or names, numbered from `first`."""
    for item_id, draft in enumerate(names.ITEMS, start=first):
        yield Item(
            item_id=item_id,
            kind=draft.kind,
            brand_id=draft.brand_id,
            name=draft.name,
            points=draft.points,
            coins=draft.coins,
            stock=draft.stock,
            customer_limit=draft.customer_limit,
            starts_at=IN_FORCE_FROM if draft.in_its_time else None,
            ends_at=ITEMS_UNTIL if draft.in_its_time else None,
            segment=draft.segment,
        )


def _gift_customers(
    dice: Random, items: Iterable[Item], customers: Iterable[Customer]
) -> Iterator[GiftCustomer]:
    """A few customers for each gift, who can take it: their profiles are complete (CUS-7)."""
    complete = [one.customer_id for one in customers if not one.missing_fields]
    for item in items:
        if item.kind == "gift":
            for customer_id in dice.sample(complete, min(CUSTOMERS_OF_A_GIFT, len(complete))):
                yield GiftCustomer(item.item_id, customer_id)


def _customers(dice: Random, count: int) -> Iterator[Customer]:
    """People, no two of whom share a document, a phone or an e-mail."""
    identities = Identities(dice)
    countries, weights = zip(*CUSTOMERS_BY_COUNTRY.items(), strict=True)
    for _ in range(count):
        yield _customer(dice, dice.choices(countries, weights)[0], identities)


def _customer(dice: Random, country: str, identities: Identities) -> Customer:
    """A whole person, of whom the network knows what their registration asked for."""
    gender = dice.choices("FMX", (50, 48, 2))[0]
    list_of = dice.choice("FM") if gender == "X" else gender
    firsts = dice.sample(names.FIRST_NAMES[list_of], dice.randint(1, 2))
    lasts = dice.choices(names.LAST_NAMES, k=2)
    birth_date = BIRTHS_FROM + timedelta(days=dice.randrange(BIRTHS_DAYS))
    document_type, document_number = identities.document(country, birth_date)
    profile: dict[str, Any] = {
        "phone": identities.phone(country),
        "first_names": " ".join(firsts),
        "last_names": " ".join(lasts),
        "gender": gender,
        "birth_date": birth_date,
    }
    profile |= dict.fromkeys(_left_out(dice))
    return Customer(
        customer_id=UUID(int=dice.getrandbits(128), version=4),
        document_type=document_type,
        document_number=document_number,
        email=identities.email(firsts[0], lasts[0]),
        country=country,
        city=dice.choice(names.CITIES[country]),
        missing_fields=missing_fields(**profile),
        created_at=CUSTOMERS_FROM + timedelta(seconds=dice.randrange(CUSTOMERS_DAYS * DAY_SECONDS)),
        **profile,
    )


def _left_out(dice: Random) -> list[str]:
    """The fields that a registration left empty: none, some, or all that a quick one may."""
    share = dice.randrange(100)
    if share < COMPLETE_PROFILES:
        return []
    if share < COMPLETE_PROFILES + HALF_WAY_PROFILES:
        return dice.sample(FIELD_NAMES, dice.randint(1, 3))
    return [name for name in FIELD_NAMES if name != "phone" or dice.random() < 0.5]

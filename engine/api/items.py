"""Items as brands configure them: rewards, promotions and gifts (RED-1, RED-2, RED-3)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct

from engine.api.example_values import BRAND_ID, CUSTOMER_ID, NOW
from engine.api.pagination import page_of
from engine.api.resource import Resource
from engine.commands.problem import Problem
from engine.commands.scope import brand_of, number_of, refuse_retired, sees
from engine.commands.services import Services
from engine.http.dispatcher import Call
from engine.http.headers import query_text
from engine.people.keys import ADMINISTRATORS, Principal
from engine.postgres.connections import PooledConnection
from engine.programme import items
from engine.programme.brands import Brand
from engine.programme.items import Item, ItemKind, moment_of
from engine.programme.segments import Segment
from engine.schemas import items as schemas

RETIRED = {
    "retired": Annotated[
        Literal["true", "false"], Meta(description="`true` lists what is retired, too.")
    ]
}

Facts = dict[str, Any]


class Items:
    """The calls about one kind of item.

    `shown` gives one as clients see it, with how many of its units are taken; `page` is the type of
    a list. The others are examples: of one, of the body that adds it and of the body that changes
    it.
    """

    def __init__(
        self,
        kind: ItemKind,
        rules: str,
        shown: Callable[[Item, int | None], Struct],
        page: type[Struct],
        *,
        example: Struct,
        new: Struct,
        change: Struct,
        problems: tuple[str, ...] = (),
    ) -> None:
        self._kind, self._shown, self._page = kind, shown, page
        resource = Resource(
            noun=kind.value, rules=rules, example=example, problems=("retired", *problems)
        )
        one_page = self._page_of([example], None)
        self.listed = resource.listing(one_page, query=RETIRED)(self._listed)
        self.create = resource.adding(new)(self._create)
        self.get = resource.reading()(self._get)
        self.change = resource.changing(change)(self._change)
        self.retire = resource.ending()(self._retire)

    async def _listed(self, services: Services, call: Call) -> Struct:
        """`GET` of all: those that are not retired, with `?retired=true` these too."""
        snapshot = services.catalogue.now
        brand = brand_of(snapshot, call.principal, call.params["brand_id"])
        with_retired = _asks_for_retired(call)
        seen = (
            item
            for item in snapshot.items.values()
            if item.kind is self._kind
            and item.brand.brand_id == brand.brand_id
            and (not item.retired or (with_retired and _sees(call.principal, item)))
        )
        page, next_cursor = page_of(call.request, seen, lambda item: item.item_id)
        taken = await items.units_taken(services.pool, page)
        return self._page_of(
            [self._shown(item, taken.get(item.item_id)) for item in page], next_cursor
        )

    async def _create(self, services: Services, call: Call, body: Any) -> Struct:
        """`POST`: a new one."""
        brand = brand_of(
            services.catalogue.now, call.principal, call.params["brand_id"], to_change=True
        )
        item = _changed(_nothing_yet(self._kind, brand), body)
        async with services.administration.change(
            call.principal, f"{self._kind} created", content=_content(body)
        ) as change:
            change.subject = await items.insert_item(change.connection, item)
            await _name_customers(change.connection, change.subject, body)
        return await self._now(services, call.principal, change.subject)

    async def _get(self, services: Services, call: Call) -> Struct:
        """`GET` of one."""
        item = self._item(services, call)
        return await self._now(services, call.principal, item.item_id)

    async def _change(self, services: Services, call: Call, body: Any) -> Struct:
        """`PATCH`: what is left out stays as it is."""
        item = self._item(services, call)
        refuse_retired(item)
        async with services.administration.change(
            call.principal, f"{self._kind} changed", subject=item.item_id, content=_content(body)
        ) as change:
            # The change applies to the newest state, which another request may just have written.
            item = await items.find_item(change.connection, item)
            refuse_retired(item)
            await items.update_item(change.connection, _changed(item, body))
            await _name_customers(change.connection, item.item_id, body)
        return await self._now(services, call.principal, item.item_id)

    async def _retire(self, services: Services, call: Call) -> Struct:
        """`DELETE`: nobody takes it any more; what was taken stays."""
        item = self._item(services, call)
        if not item.retired:
            async with services.administration.change(
                call.principal, f"{self._kind} retired", subject=item.item_id
            ) as change:
                await items.retire_item(change.connection, item.item_id, change.at)
        return await self._now(services, call.principal, item.item_id)

    def _item(self, services: Services, call: Call) -> Item:
        """Return the item of the path; raises Problem where it is not theirs."""
        snapshot = services.catalogue.now
        brand = brand_of(snapshot, call.principal, call.params["brand_id"])
        item = snapshot.items.get(number_of(call.params[self._kind.id_name]))
        if (
            item is None
            or item.kind is not self._kind
            or item.brand.brand_id != brand.brand_id
            or not _sees(call.principal, item)
        ):
            raise Problem(f"{self._kind}_not_found", f"This brand has no such {self._kind}.")
        return item

    async def _now(self, services: Services, principal: Principal, item_id: int) -> Struct:
        """Return an item as the catalogue has it, and to administrators whom a gift is for."""
        item = services.catalogue.now.items[item_id]
        taken = await items.units_taken(services.pool, [item])
        shown = self._shown(item, taken.get(item_id))
        if isinstance(shown, schemas.Gift) and principal.role in ADMINISTRATORS:
            customers = await items.recipients_of(services.pool, item_id)
            shown.customer_ids = [str(customer_id) for customer_id in customers]
        return shown

    def _page_of(self, shown: list[Struct], next_cursor: str | None) -> Struct:
        return self._page(**{f"{self._kind}s": shown, "next_cursor": next_cursor})


def _sees(principal: Principal, item: Item) -> bool:
    return sees(principal, item.brand.brand_id, retired=item.retired)


def _asks_for_retired(call: Call) -> bool:
    text = query_text(call.request, "retired")
    if text not in (None, "true", "false"):
        raise Problem("invalid_request", "`retired` is true or false.")
    return text == "true"


def _nothing_yet(kind: ItemKind, brand: Brand) -> Item:
    """Return an item of which nothing is said yet, to be changed by the body that makes it."""
    return Item(
        item_id=0,
        kind=kind,
        brand=brand,
        name="",
        points=0,
        coins=0,
        stock=None,
        customer_limit=None,
        starts_at=None,
        ends_at=None,
        segment=None,
        available=True,
        retired=False,
    )


def _changed(item: Item, body: Struct) -> Item:
    """Return the item with what a body says of it; raises Problem where that makes no sense."""
    facts = {
        name: value
        for name, value in msgspec.structs.asdict(body).items()
        if value is not UNSET and name != "customer_ids"
    }
    for name in ("starts_at", "ends_at"):
        if facts.get(name) is not None:
            facts[name] = facts[name].timestamp()
    if facts.get("segment") is not None:
        facts["segment"] = _segment(facts["segment"])
    changed = replace(item, **facts)
    fault = changed.fault(time.time())
    if fault is not None:
        raise Problem("invalid_request", fault)
    return changed


def _segment(told: schemas.Segment) -> Segment | None:
    """Return the segment that is asked for; without a condition it is everybody."""
    segment = msgspec.convert(msgspec.to_builtins(told), Segment)
    return None if segment == Segment() else segment


def _content(body: Struct) -> Facts:
    """Return what was asked for, to be kept for ever: how many customers, but not who they are."""
    content: Facts = msgspec.to_builtins(body)
    if "customer_ids" in content:
        content["customers"] = len(content.pop("customer_ids"))
    return content


async def _name_customers(connection: PooledConnection, item_id: int, body: Struct) -> None:
    """Let a gift be for the customers of a body, if it names some; raises Problem for strangers."""
    named = getattr(body, "customer_ids", UNSET)
    if named is UNSET:
        return
    customers = sorted({UUID(text) for text in named})
    unknown = await items.count_unknown(connection, customers)
    if unknown:
        raise Problem(
            "customer_not_found",
            f"{unknown} of the {len(customers)} customers in `customer_ids` do not exist; "
            "nothing was done.",
        )
    await items.replace_recipients(connection, item_id, customers)


def _reward(item: Item, taken: int | None) -> schemas.Reward:
    return schemas.Reward(
        reward_id=item.item_id,
        brand_id=item.brand.brand_id,
        name=item.name,
        points=item.points,
        stock=item.stock,
        taken=taken,
        customer_limit=item.customer_limit,
        available=item.available,
        retired=item.retired,
    )


def _promotion(item: Item, taken: int | None) -> schemas.Promotion:
    segment = item.segment
    return schemas.Promotion(
        promotion_id=item.item_id,
        brand_id=item.brand.brand_id,
        name=item.name,
        points=item.points,
        coins=item.coins,
        starts_at=moment_of(item.starts_at),
        ends_at=moment_of(item.ends_at),
        segment=(
            None if segment is None else schemas.ShownSegment(**msgspec.structs.asdict(segment))
        ),
        stock=item.stock,
        taken=taken,
        customer_limit=item.customer_limit,
        available=item.available,
        retired=item.retired,
    )


def _gift(item: Item, taken: int | None) -> schemas.Gift:
    return schemas.Gift(
        gift_id=item.item_id,
        brand_id=item.brand.brand_id,
        name=item.name,
        starts_at=moment_of(item.starts_at),
        ends_at=moment_of(item.ends_at),
        stock=item.stock,
        taken=taken,
        available=item.available,
        retired=item.retired,
    )


ENDS = NOW + timedelta(days=30)

REWARDS = Items(
    ItemKind.REWARD,
    "RED-1",
    _reward,
    schemas.Rewards,
    example=schemas.Reward(
        reward_id=1,
        brand_id=BRAND_ID,
        name="Café americano",
        points=500,
        stock=200,
        taken=17,
        customer_limit=None,
        available=True,
        retired=False,
    ),
    new=schemas.NewReward(name="Café americano", points=500, stock=200),
    change=schemas.RewardChange(points=450),
)
PROMOTIONS = Items(
    ItemKind.PROMOTION,
    "RED-2, RED-6",
    _promotion,
    schemas.Promotions,
    example=schemas.Promotion(
        promotion_id=2,
        brand_id=BRAND_ID,
        name="Torta de cumpleaños",
        points=0,
        coins=3000,
        starts_at=None,
        ends_at=ENDS,
        segment=schemas.ShownSegment(cities=["Bogotá"], birthday_month=True),
        stock=None,
        taken=None,
        customer_limit=1,
        available=True,
        retired=False,
    ),
    new=schemas.NewPromotion(
        name="Torta de cumpleaños",
        coins=3000,
        ends_at=ENDS,
        segment=schemas.Segment(cities=["Bogotá"], birthday_month=True),
        customer_limit=1,
    ),
    change=schemas.PromotionChange(available=False),
)
GIFTS = Items(
    ItemKind.GIFT,
    "RED-3",
    _gift,
    schemas.Gifts,
    example=schemas.Gift(
        gift_id=3,
        brand_id=BRAND_ID,
        name="Postre de bienvenida",
        customer_ids=[str(CUSTOMER_ID)],
        starts_at=None,
        ends_at=ENDS,
        stock=None,
        taken=None,
        available=True,
        retired=False,
    ),
    new=schemas.NewGift(name="Postre de bienvenida", customer_ids=[str(CUSTOMER_ID)], ends_at=ENDS),
    change=schemas.GiftChange(ends_at=None),
    problems=("customer_not_found",),
)

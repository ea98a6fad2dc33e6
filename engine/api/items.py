"""Items as brands configure them: rewards, promotions and gifts (RED-1, RED-2, RED-3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct

from engine.api.pagination import page_of
from engine.commands.problem import Problem
from engine.commands.scope import brand_of, number_of, refuse_retired, sees
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.headers import query_text
from engine.http.response import Response
from engine.people.keys import ADMINISTRATORS, Principal
from engine.postgres.connections import PooledConnection
from engine.postgres.sql import queries
from engine.programme.brands import Brand
from engine.programme.items import Item, ItemKind, item_from
from engine.programme.segments import Segment
from engine.schemas import items as schemas

SQL = queries("items")

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Items:
    """The calls about one kind of item; `shown` names what an answer tells besides what all do."""

    kind: ItemKind
    new: BodyDecoder[Any]
    changed: BodyDecoder[Any]
    body: type[Struct]
    page: type[Struct]
    shown: tuple[str, ...]

    async def listed(self, services: Services, call: Call) -> Response:
        """`GET` of all: those that are not retired, with `?retired=true` these too."""
        snapshot = services.catalogue.now
        brand = brand_of(snapshot, call.principal, call.params["brand_id"])
        with_retired = _asks_for_retired(call)
        seen = (
            item
            for item in snapshot.items.values()
            if item.kind is self.kind
            and item.brand.brand_id == brand.brand_id
            and (not item.retired or (with_retired and _sees(call.principal, item)))
        )
        page, next_cursor = page_of(call.request, seen, lambda item: item.item_id)
        taken = await _taken(services, page)
        told = [self._body(item, taken) for item in page]
        body = self.page(**{f"{self.kind}s": told, "next_cursor": next_cursor})
        return answer(msgspec.json.encode(body))

    async def create(self, services: Services, call: Call) -> Response:
        """`POST`: a new one."""
        body = self.new.decode(await read_body(services, call.request))
        brand = brand_of(
            services.catalogue.now, call.principal, call.params["brand_id"], to_change=True
        )
        item = _changed(_nothing_yet(self.kind, brand), body)
        async with services.administration.change(
            call.principal, f"{self.kind} created", content=_content(body)
        ) as change:
            change.subject = await change.connection.fetchval(  # network op
                SQL["insert_item"], self.kind.value, brand.brand_id, *_columns(item)
            )
            await _name_customers(change.connection, change.subject, body)
        return await self._told(services, call.principal, change.subject, 201)

    async def get(self, services: Services, call: Call) -> Response:
        """`GET` of one."""
        item = self._item(services, call)
        return await self._told(services, call.principal, item.item_id)

    async def change(self, services: Services, call: Call) -> Response:
        """`PATCH`: what is left out stays as it is."""
        body = self.changed.decode(await read_body(services, call.request))
        item = self._item(services, call)
        refuse_retired(item)
        async with services.administration.change(
            call.principal, f"{self.kind} changed", subject=item.item_id, content=_content(body)
        ) as change:
            # What is changed is what stands there by now, whoever changed it a moment ago.
            row = await change.connection.fetchrow(SQL["item"], item.item_id)  # network op
            item = item_from(row, item.brand)
            refuse_retired(item)
            await change.connection.execute(  # network op
                SQL["update_item"], item.item_id, *_columns(_changed(item, body))
            )
            await _name_customers(change.connection, item.item_id, body)
        return await self._told(services, call.principal, item.item_id)

    async def retire(self, services: Services, call: Call) -> Response:
        """`DELETE`: nobody takes it any more; what was taken stays."""
        item = self._item(services, call)
        if not item.retired:
            async with services.administration.change(
                call.principal, f"{self.kind} retired", subject=item.item_id
            ) as change:
                await change.connection.execute(  # network op
                    SQL["retire_item"], item.item_id, change.at
                )
        return await self._told(services, call.principal, item.item_id)

    def _item(self, services: Services, call: Call) -> Item:
        """Return the item of the path; raises Problem where it is not theirs."""
        snapshot = services.catalogue.now
        brand = brand_of(snapshot, call.principal, call.params["brand_id"])
        item = snapshot.items.get(number_of(call.params[self.kind.id_name]))
        if (
            item is None
            or item.kind is not self.kind
            or item.brand.brand_id != brand.brand_id
            or not _sees(call.principal, item)
        ):
            raise Problem(f"{self.kind}_not_found", f"This brand has no such {self.kind}.")
        return item

    async def _told(
        self, services: Services, principal: Principal, item_id: int, status: int = 200
    ) -> Response:
        item = services.catalogue.now.items[item_id]
        body = self._body(item, await _taken(services, [item]))
        if isinstance(body, schemas.Gift) and principal.role in ADMINISTRATORS:
            rows = await services.pool.fetch(SQL["gift_customers"], item_id)  # network op
            body.customer_ids = [str(row["customer_id"]) for row in rows]
        return answer(msgspec.json.encode(body), status)

    def _body(self, item: Item, taken: Mapping[int, int]) -> Struct:
        return self.body(
            **{self.kind.id_name: item.item_id},
            brand_id=item.brand.brand_id,
            name=item.name,
            stock=item.stock,
            taken=taken.get(item.item_id),
            available=item.available,
            retired=item.retired,
            **{name: SHOWN[name](item) for name in self.shown},
        )


SHOWN: dict[str, Callable[[Item], Any]] = {
    "points": lambda item: item.points,
    "coins": lambda item: item.coins,
    "customer_limit": lambda item: item.customer_limit,
    "starts_at": lambda item: moment(item.starts_at),
    "ends_at": lambda item: moment(item.ends_at),
    "segment": lambda item: (
        None
        if item.segment is None
        else schemas.ShownSegment(**msgspec.structs.asdict(item.segment))
    ),
}
"""What an answer tells of some kinds of items only."""

REWARDS = Items(
    ItemKind.REWARD,
    BodyDecoder(schemas.NewReward),
    BodyDecoder(schemas.RewardChange),
    schemas.Reward,
    schemas.Rewards,
    ("points", "customer_limit"),
)
PROMOTIONS = Items(
    ItemKind.PROMOTION,
    BodyDecoder(schemas.NewPromotion),
    BodyDecoder(schemas.PromotionChange),
    schemas.Promotion,
    schemas.Promotions,
    ("points", "coins", "starts_at", "ends_at", "segment", "customer_limit"),
)
GIFTS = Items(
    ItemKind.GIFT,
    BodyDecoder(schemas.NewGift),
    BodyDecoder(schemas.GiftChange),
    schemas.Gift,
    schemas.Gifts,
    ("starts_at", "ends_at"),
)


def moment(seconds: float | None) -> datetime | None:
    """Return a moment of an item as it is told."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


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


def _columns(item: Item) -> tuple[Any, ...]:
    """Return what the statements that write an item take, in their order."""
    return (
        item.name,
        item.points,
        item.coins,
        item.stock,
        item.customer_limit,
        moment(item.starts_at),
        moment(item.ends_at),
        None if item.segment is None else msgspec.json.encode(item.segment).decode(),
        item.available,
    )


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
    unknown = await connection.fetchval(SQL["unknown_customers"], customers)  # network op
    if unknown:
        raise Problem(
            "customer_not_found",
            f"{unknown} of the {len(customers)} customers in `customer_ids` do not exist; "
            "nothing was done.",
        )
    await connection.execute(SQL["delete_gift_customers"], item_id)  # network op
    await connection.execute(SQL["insert_gift_customers"], item_id, customers)  # network op


async def _taken(services: Services, items: Iterable[Item]) -> dict[int, int]:
    """Return by item id how many units are taken of those that have a stock."""
    stocked = [item.item_id for item in items if item.stock is not None]
    if not stocked:
        return {}
    rows = await services.pool.fetch(SQL["taken"], stocked)  # network op
    return {row["item_id"]: row["units"] for row in rows}

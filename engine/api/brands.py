"""Brands: who belongs to the network."""

from __future__ import annotations

import msgspec

from engine.api.door import Call, answer, read_body
from engine.api.pages import page_of
from engine.api.places import brand_of, sees
from engine.api.programmes import current_of
from engine.api.reply import Reply
from engine.api.services import Services
from engine.api.shapes import administration as shapes
from engine.api.wire import Wire
from engine.programme.administration import SQL
from engine.programme.brands import Brand
from engine.programme.calendar import CURRENCIES

NEW = Wire(shapes.NewBrand)
CHANGE = Wire(shapes.BrandChange)


async def listed(services: Services, call: Call) -> Reply:
    """`GET /v1/brands`: those that the principal sees."""
    seen = (
        brand
        for brand in services.catalogue.now.brands.values()
        if sees(call.principal, brand.brand_id, retired=brand.retired)
    )
    page, next_cursor = page_of(call.request, seen, lambda brand: brand.brand_id)
    brands = [_body(brand) for brand in page]
    return answer(msgspec.json.encode(shapes.Brands(brands=brands, next_cursor=next_cursor)))


async def create(services: Services, call: Call) -> Reply:
    """`POST /v1/brands`: a brand without a programme yet."""
    body: shapes.NewBrand = NEW.decode(await read_body(services, call.request))
    async with services.administration.change(
        call.principal, "brand created", content=body
    ) as change:
        change.subject = await change.connection.fetchval(  # network op
            SQL["insert_brand"], body.name, body.country, CURRENCIES[body.country]
        )
    return _told(services, change.subject, 201)


async def get(services: Services, call: Call) -> Reply:
    """`GET /v1/brands/{brand_id}`."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    return answer(msgspec.json.encode(_body(brand)))


async def change(services: Services, call: Call) -> Reply:
    """`PATCH /v1/brands/{brand_id}`."""
    body: shapes.BrandChange = CHANGE.decode(await read_body(services, call.request))
    brand = brand_of(
        services.catalogue.now, call.principal, call.params["brand_id"], to_change=True
    )
    async with services.administration.change(
        call.principal, "brand changed", subject=brand.brand_id, content=body
    ) as change:
        await change.connection.execute(  # network op
            SQL["update_brand"], brand.brand_id, body.name
        )
    return _told(services, brand.brand_id)


async def retire(services: Services, call: Call) -> Reply:
    """`DELETE /v1/brands/{brand_id}`: nothing is earned or spent there any more."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    if not brand.retired:
        async with services.administration.change(
            call.principal, "brand retired", subject=brand.brand_id
        ) as change:
            await change.connection.execute(  # network op
                SQL["retire_brand"], brand.brand_id, change.at
            )
    return _told(services, brand.brand_id)


def _told(services: Services, brand_id: int, status: int = 200) -> Reply:
    return answer(msgspec.json.encode(_body(services.catalogue.now.brands[brand_id])), status)


def _body(brand: Brand) -> shapes.Brand:
    return shapes.Brand(
        brand_id=brand.brand_id,
        name=brand.name,
        country=brand.country,
        currency=brand.currency,
        retired=brand.retired,
        programme=current_of(brand),
    )

"""Brands: who belongs to the network."""

from __future__ import annotations

import msgspec

from engine.api.pagination import page_of
from engine.api.programmes import current_of
from engine.commands.scope import brand_of, sees
from engine.commands.services import Services
from engine.http.bodies import BodyDecoder
from engine.http.dispatcher import Call, answer, read_body
from engine.http.response import Response
from engine.programme.administration import SQL
from engine.programme.brands import Brand
from engine.programme.calendar import CURRENCIES
from engine.schemas import administration as schemas

NEW = BodyDecoder(schemas.NewBrand)
CHANGE = BodyDecoder(schemas.BrandChange)


async def listed(services: Services, call: Call) -> Response:
    """`GET /v1/brands`: those that the principal sees."""
    seen = (
        brand
        for brand in services.catalogue.now.brands.values()
        if sees(call.principal, brand.brand_id, retired=brand.retired)
    )
    page, next_cursor = page_of(call.request, seen, lambda brand: brand.brand_id)
    brands = [_body(brand) for brand in page]
    return answer(msgspec.json.encode(schemas.Brands(brands=brands, next_cursor=next_cursor)))


async def create(services: Services, call: Call) -> Response:
    """`POST /v1/brands`: a brand without a programme yet."""
    body: schemas.NewBrand = NEW.decode(await read_body(services, call.request))
    async with services.administration.change(
        call.principal, "brand created", content=body
    ) as change:
        change.subject = await change.connection.fetchval(  # network op
            SQL["insert_brand"], body.name, body.country, CURRENCIES[body.country]
        )
    return _told(services, change.subject, 201)


async def get(services: Services, call: Call) -> Response:
    """`GET /v1/brands/{brand_id}`."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    return answer(msgspec.json.encode(_body(brand)))


async def change(services: Services, call: Call) -> Response:
    """`PATCH /v1/brands/{brand_id}`."""
    body: schemas.BrandChange = CHANGE.decode(await read_body(services, call.request))
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


async def retire(services: Services, call: Call) -> Response:
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


def _told(services: Services, brand_id: int, status: int = 200) -> Response:
    return answer(msgspec.json.encode(_body(services.catalogue.now.brands[brand_id])), status)


def _body(brand: Brand) -> schemas.Brand:
    return schemas.Brand(
        brand_id=brand.brand_id,
        name=brand.name,
        country=brand.country,
        currency=brand.currency,
        retired=brand.retired,
        programme=current_of(brand),
    )

"""Brands: who belongs to the network."""

from __future__ import annotations

from engine.api.example_values import BRAND_ID
from engine.api.pagination import page_of
from engine.api.programmes import PROGRAMME, current_of
from engine.api.resource import Resource
from engine.commands.scope import brand_of, sees
from engine.commands.services import Services
from engine.http.dispatcher import Call
from engine.programme import brands
from engine.schemas.administration import Brand, BrandChange, Brands, NewBrand

BRAND = Brand(
    brand_id=BRAND_ID,
    name="Café Andino",
    country="CO",
    currency="COP",
    retired=False,
    programme=PROGRAMME,
)
BRANDS = Resource(noun="brand", rules="PTS-1", example=BRAND)


@BRANDS.listing(Brands(brands=[BRAND], next_cursor=None))
async def listed(services: Services, call: Call) -> Brands:
    """`GET /v1/brands`: those that the principal sees."""
    seen = (
        brand
        for brand in services.catalogue.now.brands.values()
        if sees(call.principal, brand.brand_id, retired=brand.retired)
    )
    page, next_cursor = page_of(call.request, seen, lambda brand: brand.brand_id)
    return Brands(brands=[_shown(brand) for brand in page], next_cursor=next_cursor)


@BRANDS.adding(NewBrand(name="Café Andino", country="CO"))
async def create(services: Services, call: Call, body: NewBrand) -> Brand:
    """`POST /v1/brands`: a brand without a programme yet."""
    async with services.administration.change(
        call.principal, "brand created", content=body
    ) as change:
        change.subject = await brands.insert_brand(change.connection, body.name, body.country)
    return _now(services, change.subject)


@BRANDS.reading()
async def get(services: Services, call: Call) -> Brand:
    """`GET /v1/brands/{brand_id}`."""
    return _shown(brand_of(services.catalogue.now, call.principal, call.params["brand_id"]))


@BRANDS.changing(BrandChange(name="Café Andino"))
async def change(services: Services, call: Call, body: BrandChange) -> Brand:
    """`PATCH /v1/brands/{brand_id}`."""
    brand = brand_of(
        services.catalogue.now, call.principal, call.params["brand_id"], to_change=True
    )
    async with services.administration.change(
        call.principal, "brand changed", subject=brand.brand_id, content=body
    ) as change:
        await brands.update_brand(change.connection, brand.brand_id, body.name)
    return _now(services, brand.brand_id)


@BRANDS.ending()
async def retire(services: Services, call: Call) -> Brand:
    """`DELETE /v1/brands/{brand_id}`: nothing is earned or spent there any more."""
    brand = brand_of(services.catalogue.now, call.principal, call.params["brand_id"])
    if not brand.retired:
        async with services.administration.change(
            call.principal, "brand retired", subject=brand.brand_id
        ) as change:
            await brands.retire_brand(change.connection, brand.brand_id, change.at)
    return _now(services, brand.brand_id)


def _now(services: Services, brand_id: int) -> Brand:
    """Return a brand as this worker's catalogue has it after a change."""
    return _shown(services.catalogue.now.brands[brand_id])


def _shown(brand: brands.Brand) -> Brand:
    return Brand(
        brand_id=brand.brand_id,
        name=brand.name,
        country=brand.country,
        currency=brand.currency,
        retired=brand.retired,
        programme=current_of(brand),
    )

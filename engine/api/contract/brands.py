"""The contract of brands, their programmes and stores, and of who coins come from and go to."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from engine.api.contract.invented import BRAND_ID, REGISTERED, STORE_ID
from engine.api.contract.resource import Resource
from engine.api.contract.row import Row, Rows
from engine.schemas.administration import (
    Brand,
    BrandChange,
    Brands,
    NewBrand,
    NewPartner,
    NewParty,
    NewProgramme,
    NewStore,
    Organisation,
    Organisations,
    Partner,
    PartnerChange,
    Partners,
    Programme,
    Programmes,
    Rate,
    Store,
    StoreChange,
    Stores,
)
from engine.schemas.scalars import Id

PROGRAMME_PATH = "/v1/brands/{brand_id}/programme"

PROGRAMME = Programme(
    version=1,
    effective_from=REGISTERED,
    points=1,
    points_amount=100_000,
    points_validity_days=365,
    coins=1,
    coins_amount=10_000,
    issuer=True,
    receiver=True,
    currency="COP",
)
BRAND = Brand(
    brand_id=BRAND_ID,
    name="Café Andino",
    country="CO",
    currency="COP",
    retired=False,
    programme=PROGRAMME,
)
STORE = Store(
    store_id=STORE_ID,
    brand_id=BRAND_ID,
    brand_name="Café Andino",
    name="Café Andino Chapinero",
    city="Bogotá",
    country="CO",
    currency="COP",
    accepts_coins=True,
    invoice_scope="forever",
    coins_accepted=True,
    retired=False,
    programme=PROGRAMME,
)
PARTNER = Partner(partner_id=1, name="Davipuntos", rate=Rate(coins=1, points=1), retired=False)
ORGANISATION = Organisation(organisation_id=1, name="Fundación Sembrar", retired=False)

BRANDS = Resource(
    path="/v1/brands",
    id_name="brand_id",
    noun="brand",
    rules="PTS-1",
    one=BRAND,
    page=Brands(brands=[BRAND], next_cursor=None),
    new=NewBrand(name="Café Andino", country="CO"),
    change=BrandChange(name="Café Andino"),
)
STORES = Resource(
    path="/v1/stores",
    id_name="store_id",
    noun="store",
    rules="PTS-2, COI-3",
    one=STORE,
    page=Stores(stores=[STORE], next_cursor=None),
    new=NewStore(name="Café Andino Chapinero", city="Bogotá", accepts_coins=True),
    change=StoreChange(accepts_coins=False),
    problems_added=("brand_not_found", "retired"),
    query={"brand_id": Annotated[Id, Meta(description="Only of this brand.")]},
)
PARTNERS = Resource(
    path="/v1/partners",
    id_name="partner_id",
    noun="partner",
    rules="SYS-9",
    one=PARTNER,
    page=Partners(partners=[PARTNER], next_cursor=None),
    new=NewPartner(name="Davipuntos", rate=Rate(coins=1, points=1)),
    change=PartnerChange(rate=Rate(coins=3, points=2)),
)
ORGANISATIONS = Resource(
    path="/v1/organisations",
    id_name="organisation_id",
    noun="organisation",
    rules="COI-8",
    one=ORGANISATION,
    page=Organisations(organisations=[ORGANISATION], next_cursor=None),
    new=NewParty(name="Fundación Sembrar"),
    change=NewParty(name="Fundación Sembrar"),
)

ROWS: Rows = {
    **BRANDS.rows(),
    ("GET", PROGRAMME_PATH): Row(
        operation="readProgramme",
        answers={200: Programmes(current=PROGRAMME, versions=[PROGRAMME])},
        summary="Read a brand's programme: the version in force, and all of them (PTS-2)",
    ),
    ("POST", PROGRAMME_PATH): Row(
        operation="addProgrammeVersion",
        body=NewProgramme(
            points=1,
            points_amount=100_000,
            points_validity_days=365,
            coins=1,
            coins_amount=10_000,
            issuer=True,
            receiver=True,
        ),
        answers={201: PROGRAMME},
        problems=("programme_exists", "retired"),
        summary="Add a version, from now on or from a moment to come (PTS-2)",
    ),
    ("DELETE", PROGRAMME_PATH + "/{version}"): Row(
        operation="withdrawProgrammeVersion",
        answers={200: replace(PROGRAMME, version=2)},
        problems=("programme_not_found", "programme_in_force", "retired"),
        summary="Withdraw a version that is not in force yet (PTS-2)",
    ),
    **STORES.rows(),
    **PARTNERS.rows(),
    **ORGANISATIONS.rows(),
}

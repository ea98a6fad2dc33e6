"""The contract of rewards, promotions and gifts, and of what a customer can take of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from engine.api.contract.invented import BRAND_ID, CUSTOMER_ID, NOW
from engine.api.contract.resource import Resource
from engine.api.contract.row import Row, Rows
from engine.schemas.items import (
    Gift,
    GiftChange,
    Gifts,
    NewGift,
    NewPromotion,
    NewReward,
    Offer,
    Offers,
    Promotion,
    PromotionChange,
    Promotions,
    Reward,
    RewardChange,
    Rewards,
    Segment,
    ShownSegment,
)
from engine.schemas.scalars import Id

BRAND = "/v1/brands/{brand_id}"
RETIRED = {
    "retired": Annotated[
        Literal["true", "false"], Meta(description="`true` lists what is retired, too.")
    ]
}
ENDS = NOW + timedelta(days=30)

REWARD = Reward(
    reward_id=1,
    brand_id=BRAND_ID,
    name="Café americano",
    points=500,
    stock=200,
    taken=17,
    customer_limit=None,
    available=True,
    retired=False,
)
PROMOTION = Promotion(
    promotion_id=2,
    brand_id=BRAND_ID,
    name="Torta de cumpleaños",
    points=0,
    coins=3000,
    starts_at=None,
    ends_at=ENDS,
    segment=ShownSegment(cities=["Bogotá"], birthday_month=True),
    stock=None,
    taken=None,
    customer_limit=1,
    available=True,
    retired=False,
)
GIFT = Gift(
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
)

REWARDS = Resource(
    path=BRAND + "/rewards",
    id_name="reward_id",
    noun="reward",
    rules="RED-1",
    one=REWARD,
    page=Rewards(rewards=[REWARD], next_cursor=None),
    new=NewReward(name="Café americano", points=500, stock=200),
    change=RewardChange(points=450),
    problems=("retired",),
    query=RETIRED,
)
PROMOTIONS = Resource(
    path=BRAND + "/promotions",
    id_name="promotion_id",
    noun="promotion",
    rules="RED-2, RED-6",
    one=PROMOTION,
    page=Promotions(promotions=[PROMOTION], next_cursor=None),
    new=NewPromotion(
        name="Torta de cumpleaños",
        coins=3000,
        ends_at=ENDS,
        segment=Segment(cities=["Bogotá"], birthday_month=True),
        customer_limit=1,
    ),
    change=PromotionChange(available=False),
    problems=("retired",),
    query=RETIRED,
)
GIFTS = Resource(
    path=BRAND + "/gifts",
    id_name="gift_id",
    noun="gift",
    rules="RED-3",
    one=GIFT,
    page=Gifts(gifts=[replace(GIFT)], next_cursor=None),
    new=NewGift(name="Postre de bienvenida", customer_ids=[str(CUSTOMER_ID)], ends_at=ENDS),
    change=GiftChange(ends_at=None),
    problems=("retired", "customer_not_found"),
    query=RETIRED,
)

ROWS: Rows = {
    ("GET", "/v1/customers/{customer_id}/offers"): Row(
        operation="listOffers",
        answers={
            200: Offers(
                rewards=[
                    Offer(
                        reward_id=1,
                        name="Café americano",
                        points=500,
                        coins=0,
                        available=False,
                        missing=120,
                        reason="insufficient_points",
                        ends_at=None,
                    )
                ],
                promotions=[],
                gifts=[
                    Offer(
                        gift_id=3,
                        name="Postre de bienvenida",
                        points=0,
                        coins=0,
                        available=True,
                        missing=0,
                        reason=None,
                        ends_at=ENDS,
                    )
                ],
            )
        },
        problems=("store_required", "store_not_found"),
        query={
            "store_id": Annotated[
                Id, Meta(description="Where; a key of one store may leave it out.")
            ]
        },
        summary="List what a customer can take at a store, and what the rest lacks (RED-4)",
    ),
    **REWARDS.rows(),
    **PROMOTIONS.rows(),
    **GIFTS.rows(),
}

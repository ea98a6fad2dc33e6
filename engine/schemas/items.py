"""Shapes of items: rewards, promotions and gifts, and what of them a customer can take (RED-4)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from engine.schemas.scalars import (
    Age,
    Count,
    CustomerId,
    Gender,
    Id,
    Moment,
    Name,
    Points,
    Price,
    Stock,
)
from engine.schemas.texts import Sent

Edge = Annotated[datetime, Meta(tz=True, description="RFC 3339, with Z or an offset.")]
CustomerIds = Annotated[list[CustomerId], Meta(min_length=1, max_length=300)]
Reason = Literal[
    "customer_blocked",
    "profile_incomplete",
    "insufficient_points",
    "insufficient_coins",
    "coins_not_accepted",
    "out_of_stock",
    "limit_reached",
]
Taken = Annotated[
    int | None,
    Meta(description="Units that are taken; null where it has no stock to take them from."),
]


class Segment(Sent, frozen=True, omit_defaults=True):
    """Customers whom a promotion is for: each condition that is there must hold (RED-2).

    Who has left a field of their profile empty meets no condition on it. `birthday_month` is for
    the month of their birthday. Accents and capitals of a city mean nothing.
    """

    genders: Annotated[list[Gender], Meta(min_length=1, max_length=3)] | None = None
    cities: Annotated[list[Name], Meta(min_length=1, max_length=50)] | None = None
    age_min: Age | None = None
    age_max: Age | None = None
    birthday_month: bool = False


class ShownSegment(Struct, kw_only=True, omit_defaults=True):
    """Customers whom a promotion is for, as it stands; an empty list is for nobody (RED-2)."""

    genders: list[Gender] | None = None
    cities: list[str] | None = None
    age_min: int | None = None
    age_max: int | None = None
    birthday_month: bool = False


class NewReward(Sent, frozen=True):
    """Body that makes a reward (RED-1)."""

    name: Name
    points: Points
    stock: Stock | None = None
    customer_limit: Count | None = None
    available: bool = True


class RewardChange(Sent, frozen=True):
    """Body that changes a reward; null takes a limit away."""

    name: Name | UnsetType = UNSET
    points: Points | UnsetType = UNSET
    stock: Stock | UnsetType | None = UNSET
    customer_limit: Count | UnsetType | None = UNSET
    available: bool | UnsetType = UNSET


class Reward(Struct, kw_only=True):
    """A reward of a brand (RED-1)."""

    reward_id: Id
    brand_id: Id
    name: str
    points: int
    stock: int | None
    taken: Taken
    customer_limit: int | None
    available: bool
    retired: bool


class Rewards(Struct, kw_only=True):
    """Rewards of a brand by their ids."""

    rewards: list[Reward]
    next_cursor: str | None


class NewPromotion(Sent, frozen=True):
    """Body that makes a promotion, priced in points or in coins, or free (RED-2, RED-6)."""

    name: Name
    points: Price = 0
    coins: Price = 0
    starts_at: Edge | None = None
    ends_at: Edge | None = None
    segment: Segment | None = None
    stock: Stock | None = None
    customer_limit: Count | None = None
    available: bool = True


class PromotionChange(Sent, frozen=True):
    """Body that changes a promotion; null takes a limit, an end or the segment away."""

    name: Name | UnsetType = UNSET
    points: Price | UnsetType = UNSET
    coins: Price | UnsetType = UNSET
    starts_at: Edge | UnsetType | None = UNSET
    ends_at: Edge | UnsetType | None = UNSET
    segment: Segment | UnsetType | None = UNSET
    stock: Stock | UnsetType | None = UNSET
    customer_limit: Count | UnsetType | None = UNSET
    available: bool | UnsetType = UNSET


class Promotion(Struct, kw_only=True):
    """A promotion of a brand; at `ends_at` it is over (RED-2)."""

    promotion_id: Id
    brand_id: Id
    name: str
    points: int
    coins: int
    starts_at: Moment | None
    ends_at: Moment | None
    segment: ShownSegment | None
    stock: int | None
    taken: Taken
    customer_limit: int | None
    available: bool
    retired: bool


class Promotions(Struct, kw_only=True):
    """Promotions of a brand by their ids."""

    promotions: list[Promotion]
    next_cursor: str | None


class NewGift(Sent, frozen=True):
    """Body that makes a gift for named customers; each takes it once (RED-3)."""

    name: Name
    customer_ids: CustomerIds
    starts_at: Edge | None = None
    ends_at: Edge | None = None
    stock: Stock | None = None
    available: bool = True


class GiftChange(Sent, frozen=True):
    """Body that changes a gift; null takes a limit or an end away, `customer_ids` are all of them.

    A customer who has taken it once cannot take it again, even if named anew.
    """

    name: Name | UnsetType = UNSET
    customer_ids: CustomerIds | UnsetType = UNSET
    starts_at: Edge | UnsetType | None = UNSET
    ends_at: Edge | UnsetType | None = UNSET
    stock: Stock | UnsetType | None = UNSET
    available: bool | UnsetType = UNSET


class Gift(Struct, kw_only=True):
    """A gift of a brand; whom it is for, its administrators read of one gift at a time (RED-3)."""

    gift_id: Id
    brand_id: Id
    name: str
    customer_ids: list[CustomerId] | UnsetType = UNSET
    starts_at: Moment | None
    ends_at: Moment | None
    stock: int | None
    taken: Taken
    available: bool
    retired: bool


class Gifts(Struct, kw_only=True):
    """Gifts of a brand by their ids."""

    gifts: list[Gift]
    next_cursor: str | None


class RedeemedItem(Struct, kw_only=True):
    """The reward, promotion or gift that was taken, as it was priced then (RED-1, RED-2, RED-3).

    The one of the three ids is there that `kind` says.
    """

    kind: Literal["reward", "promotion", "gift"]
    reward_id: Id | UnsetType = UNSET
    promotion_id: Id | UnsetType = UNSET
    gift_id: Id | UnsetType = UNSET
    name: str
    points: int


class Offer(Struct, kw_only=True):
    """What a customer may take of an item at a store, or why not (RED-4, RED-6).

    One of the three ids is there. `missing` is how many points or coins they still need. `reason`
    is the refusal that a redemption, or a payment of what costs coins, would get at this moment.
    """

    reward_id: Id | UnsetType = UNSET
    promotion_id: Id | UnsetType = UNSET
    gift_id: Id | UnsetType = UNSET
    name: str
    points: int
    coins: int
    available: bool
    missing: Annotated[int, Meta(ge=0)]
    reason: Reason | None
    ends_at: Moment | None


class Offers(Struct, kw_only=True):
    """What a customer may take at a store, each list by price (RED-4)."""

    rewards: list[Offer]
    promotions: list[Offer]
    gifts: list[Offer]

"""Items: what a brand gives for points, for coins or for nothing (RED-1, RED-2, RED-3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.programme.catalogue import Brand


class ItemKind(StrEnum):
    """What sort of item it is."""

    REWARD = "reward"
    PROMOTION = "promotion"
    GIFT = "gift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What a brand gives. Times are seconds since 1970; None stands for no limit."""

    item_id: int
    kind: ItemKind
    brand: Brand
    name: str
    points: int
    coins: int
    stock: int | None
    customer_limit: int | None
    starts_at: float | None
    ends_at: float | None
    segment: str | None
    available: bool
    retired: bool

    def on_offer(self, moment_s: float) -> bool:
        """Return whether it can be taken at `moment_s`, as far as the brand has a say in it."""
        return (
            self.available
            and not self.retired
            and (self.starts_at is None or self.starts_at <= moment_s)
            and (self.ends_at is None or moment_s < self.ends_at)
        )

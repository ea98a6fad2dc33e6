"""Where a request happens: the store that it names or that its key is tied to (USR-2, USR-3)."""

from __future__ import annotations

from engine.api.problems import Problem
from engine.people.keys import Principal
from engine.programme.catalogue import Reward, Snapshot, Store


def store_of(snapshot: Snapshot, principal: Principal, store_id: int | None) -> Store:
    """Return the store; raises Problem where there is none, or it is not the principal's.

    Someone else's store is told like one that does not exist.
    """
    if store_id is None:
        store_id = principal.store_id
    if store_id is None:
        raise Problem("store_required", "This key has no store of its own; send `store_id`.")
    store = snapshot.stores.get(store_id)
    foreign = principal.store_id is not None and principal.store_id != store_id
    if store is None or foreign or not principal.sees_brand(store.brand.brand_id):
        raise Problem("store_not_found", f"This key has no store {store_id}.")
    return store


def reward_of(snapshot: Snapshot, principal: Principal, reward_id: int) -> Reward:
    """Return the reward; raises Problem where there is none, or it is another brand's (RED-1)."""
    reward = snapshot.rewards.get(reward_id)
    if reward is None or not principal.sees_brand(reward.brand.brand_id):
        raise Problem("reward_not_found", f"There is no reward {reward_id} of this brand.")
    return reward

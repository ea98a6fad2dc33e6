"""What `demo.json` says of the demo network, so that scripts know whom and where to try.

It holds keys and a password, so no other user of the machine may read it, not even while it is
written.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engine.demo.network import Brand, Customer, Network, Store


CASHIER_USER = "cajera"
CASHIER_NAME = "Cajera de demostración"


def describe(
    network: Network, *, url: str, keys: Mapping[str, str], password: str
) -> dict[str, Any]:
    """The content of `demo.json`; `keys` are of network, brand, store, other_store and app.

    `store` is store 1, where the cashier works whose `password` it is; `other_store` is the first
    Colombian store of another brand.
    """
    brands = {brand.brand_id: brand for brand in network.brands}
    store = network.stores[0]
    other_store = next(
        other
        for other in network.stores
        if other.brand_id != store.brand_id and brands[other.brand_id].country == "CO"
    )
    return {
        "url": url,
        "keys": {
            "network": {"key": keys["network"]},
            "brand": {"key": keys["brand"], "brand_id": store.brand_id},
            "store": _store_key(keys["store"], store, brands),
            "other_store": _store_key(keys["other_store"], other_store, brands),
            "app": {"key": keys["app"]},
        },
        "cashier": {"store_id": store.store_id, "user": CASHIER_USER, "password": password},
        "customers": [_customer(customer) for customer in network.customers],
        "brands": _brands(network),
        "stores": [_store(store, brands[store.brand_id]) for store in network.stores],
        "rewards": [asdict(reward) for reward in network.rewards],
        "limited_rewards": _items(network, "reward", "points", "stock", "customer_limit"),
        "promotions": _items(
            network,
            "promotion",
            *("points", "coins", "starts_at", "ends_at", "segment", "stock", "customer_limit"),
        ),
        "gifts": _gifts(network),
        "partners": [asdict(partner) for partner in network.partners],
        "organisations": [asdict(organisation) for organisation in network.organisations],
    }


def write(path: Path, description: Mapping[str, Any]) -> None:
    """Put `description` at `path`, whole or not at all, readable by its owner only."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    # EXCL: were the file there already, it would keep the mode and the owner it has.
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(
                orjson.dumps(description, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            )
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _store_key(key: str, store: Store, brands: Mapping[int, Brand]) -> dict[str, Any]:
    return {
        "key": key,
        "store_id": store.store_id,
        "brand_id": store.brand_id,
        "currency": brands[store.brand_id].currency,
    }


def _customer(customer: Customer) -> dict[str, Any]:
    return {
        "customer_id": str(customer.customer_id),
        "document": {"type": customer.document_type, "number": customer.document_number},
        "phone": customer.phone,
        "email": customer.email,
        "profile_complete": customer.missing_fields == 0,
    }


def _brands(network: Network) -> list[dict[str, Any]]:
    """Each brand with the facts of the programme in force, its newest."""
    in_force = {programme.brand_id: programme for programme in network.programmes}
    described = []
    for brand in network.brands:
        facts = asdict(in_force[brand.brand_id])
        del facts["version"], facts["effective_from"]
        described.append(asdict(brand) | facts)
    return described


def _items(network: Network, kind: str, *shown: str) -> list[dict[str, Any]]:
    """Each item of a kind, with the facts that tell something of it."""
    return [
        {
            f"{kind}_id": item.item_id,
            "brand_id": item.brand_id,
            "name": item.name,
            **{name: _shown(name, getattr(item, name)) for name in shown},
        }
        for item in network.items
        if item.kind == kind
    ]


def _shown(name: str, value: Any) -> Any:
    """A fact of an item as the API tells it."""
    if name == "segment" and value is not None:
        return orjson.loads(value)
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value


def _gifts(network: Network) -> list[dict[str, Any]]:
    """Each gift, with whom it is for."""
    gifts = _items(network, "gift", "starts_at", "ends_at")
    for gift in gifts:
        gift["customer_ids"] = [
            str(named.customer_id)
            for named in network.gift_customers
            if named.item_id == gift["gift_id"]
        ]
    return gifts


def _store(store: Store, brand: Brand) -> dict[str, Any]:
    return {**asdict(store), "currency": brand.currency, "country": brand.country}

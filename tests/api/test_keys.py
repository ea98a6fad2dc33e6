"""API keys over HTTP: made, listed, rotated and revoked, each brand its own (USR-3)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from uuid import uuid4

import pytest
from click.testing import CliRunner
from harness import connection_to

from engine.cli import main

KEYS = "/v1/keys"
SALE = {"amount": 5_400_000, "currency": "COP"}


def id_of(client):
    return client.key.split("_")[1]


async def make(client, **body):
    return await client.request("POST", KEYS, {"name": "a test"} | body)


@pytest.fixture
async def store_key(api):
    """Return a key of store 1 of the test's own."""
    return (await make(api.brand, role="store", store_id=1)).json


@pytest.mark.parametrize("key_id", ["%00", "a%00b", "A", "%C3%B1", "a'b", "a" * 101, "a%2Fb"])
async def test_what_is_no_id_of_a_key_is_not_found(api, key_id):
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        reply = await api.network.request(method, f"{KEYS}/{key_id}{path}")
        assert (reply.status, reply.code) == (404, "key_not_found")


@pytest.fixture
async def other_brand(api):
    """Return a client with a key of brand 2."""
    return api.with_key((await make(api.network, role="brand", brand_id=2)).json["key"])


async def listed(client):
    """Return all keys that a client sees, page by page."""
    found, cursor = [], "0"
    while cursor is not None:
        params = {"limit": 3, "cursor": cursor}
        page = (await client.request("GET", KEYS, params=params)).json
        found += page["keys"]
        cursor = page["next_cursor"]
    return found


@pytest.mark.parametrize(
    ("body", "brand_id", "store_id"),
    [
        ({"role": "network"}, None, None),
        ({"role": "app"}, None, None),
        ({"role": "brand", "brand_id": 2}, 2, None),
        ({"role": "store", "store_id": 1}, 1, 1),
        ({"role": "store", "store_id": 1, "brand_id": 1}, 1, 1),
    ],
    ids=str,
)
async def test_a_key_is_told_once_and_works_at_once(api, body, brand_id, store_id):
    made = await make(api.network, **body)
    assert made.status == 201
    key = made.json.pop("key")
    assert made.json == {
        "key_id": key.split("_")[1],
        "role": body["role"],
        "brand_id": brand_id,
        "store_id": store_id,
        "name": "a test",
        "created_at": made.json["created_at"],
        "revoked_at": None,
    }
    client = api.with_key(key)
    assert (await client.request("GET", "/v1/brands")).status == 200
    reply = await api.network.request("GET", f"{KEYS}/{made.json['key_id']}")
    assert (reply.status, reply.json) == (200, made.json)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"role": "cashier"}, 400, "invalid_request"),
        ({"role": "store"}, 400, "invalid_request"),
        ({"role": "store", "brand_id": 1}, 400, "invalid_request"),
        ({"role": "store", "store_id": 1, "brand_id": 2}, 400, "invalid_request"),
        ({"role": "brand"}, 400, "invalid_request"),
        ({"role": "brand", "store_id": 1}, 400, "invalid_request"),
        ({"role": "brand", "brand_id": 1, "store_id": 1}, 400, "invalid_request"),
        ({"role": "network", "brand_id": 1}, 400, "invalid_request"),
        ({"role": "app", "store_id": 1}, 400, "invalid_request"),
        ({"role": "app", "name": ""}, 400, "invalid_request"),
        ({"role": "brand", "brand_id": 999_999}, 404, "brand_not_found"),
        ({"role": "store", "store_id": 999_999}, 404, "store_not_found"),
    ],
    ids=str,
)
async def test_a_key_that_fits_no_role_is_refused(api, body, status, code):
    reply = await make(api.network, **body)
    assert (reply.status, reply.code) == (status, code)


async def test_a_brand_makes_keys_of_its_own_stores_only(api):
    for role in ("network", "app", "brand"):
        reply = await make(api.brand, role=role, **({"brand_id": 1} if role == "brand" else {}))
        assert (reply.status, reply.code) == (403, "forbidden")
    reply = await make(api.brand, role="store", store_id=2)
    assert (reply.status, reply.code) == (404, "store_not_found")
    reply = await make(api.brand, role="store", store_id=1)
    assert (reply.status, reply.json["brand_id"]) == (201, 1)


async def test_each_sees_its_own_keys(api, store_key, other_brand):
    store_key.pop("key")
    of_network, of_brand, of_other = [
        await listed(client) for client in (api.network, api.brand, other_brand)
    ]
    assert {key["role"] for key in of_network} == {"network", "brand", "store", "app"}
    assert of_brand == [key for key in of_network if key["brand_id"] == 1]
    assert of_other == [key for key in of_network if key["brand_id"] == 2]
    assert store_key in of_brand
    assert [key["created_at"] for key in of_network] == sorted(
        key["created_at"] for key in of_network
    )
    assert not any("key" in key or "secret_hash" in key for key in of_network)


async def test_anothers_key_is_not_there(api, store_key, other_brand):
    for client, key_id in (
        (other_brand, store_key["key_id"]),
        (other_brand, id_of(api.brand)),
        (api.brand, id_of(api.network)),
        (api.brand, id_of(api.app)),
        (api.brand, id_of(other_brand)),
        (api.network, "none"),
    ):
        for method, more in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
            reply = await client.request(method, f"{KEYS}/{key_id}{more}")
            assert (reply.status, reply.code) == (404, "key_not_found")
    assert (await api.with_key(store_key["key"]).request("GET", "/v1/brands")).status == 200


async def test_a_rotated_key_is_the_same_principals(api, customer_id):
    first = (await make(api.network, role="network")).json
    old = api.with_key(first["key"])
    key = str(uuid4())
    sale = await old.accumulate(customer_id, key, **SALE, store_id=1)
    rotated = await old.request("POST", f"{KEYS}/{first['key_id']}/rotate")
    assert rotated.status == 201
    assert rotated.json | {"key": "", "key_id": "", "created_at": ""} == first | {
        "key": "",
        "key_id": "",
        "created_at": "",
    }
    new = api.with_key(rotated.json["key"])
    retried = await new.accumulate(customer_id, key, **SALE, store_id=1)
    assert (retried.json, retried.replayed) == (sale.json, True), "one name space of keys"
    assert (await old.customer(customer_id)).status == 200, "the old one is valid still"


async def test_a_principal_has_two_live_keys_at_most(api, store_key):
    path = f"{KEYS}/{store_key['key_id']}"
    second = (await api.brand.request("POST", path + "/rotate")).json
    for key_id in (store_key["key_id"], second["key_id"]):
        reply = await api.brand.request("POST", f"{KEYS}/{key_id}/rotate")
        assert (reply.status, reply.code) == (409, "key_limit_reached")
        assert reply.json["detail"]
    assert (await api.brand.request("DELETE", path)).status == 200
    reply = await api.brand.request("POST", path + "/rotate")
    assert (reply.status, reply.code) == (409, "key_revoked")
    third = await api.brand.request("POST", f"{KEYS}/{second['key_id']}/rotate")
    assert third.status == 201


async def test_of_many_rotations_at_once_one_is_done(api, store_key):
    path = f"{KEYS}/{store_key['key_id']}/rotate"
    replies = await asyncio.gather(*(api.brand.request("POST", path) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 9


async def test_a_revoked_key_is_refused_and_stays_in_the_list(api, store_key):
    client = api.with_key(store_key.pop("key"))
    assert (await client.request("GET", "/v1/brands")).status == 200
    path = f"{KEYS}/{store_key['key_id']}"
    revoked = await api.brand.request("DELETE", path)
    assert revoked.status == 200
    assert revoked.json["revoked_at"] > store_key["created_at"]
    assert revoked.json == store_key | {"revoked_at": revoked.json["revoked_at"]}
    reply = await client.request("GET", "/v1/brands")
    assert (reply.status, reply.code) == (401, "unauthorized")
    again = await api.brand.request("DELETE", path)
    assert (again.status, again.json) == (200, revoked.json)
    assert revoked.json in await listed(api.brand)


async def test_a_brand_rotates_and_revokes_its_own_key(api):
    made = (await make(api.network, role="brand", brand_id=1)).json
    client = api.with_key(made["key"])
    rotated = await client.request("POST", f"{KEYS}/{made['key_id']}/rotate")
    assert (rotated.status, rotated.json["role"]) == (201, "brand")
    assert (await client.request("DELETE", f"{KEYS}/{made['key_id']}")).status == 200
    assert (await client.request("GET", KEYS)).status == 401
    assert (await api.with_key(rotated.json["key"]).request("GET", KEYS)).status == 200


async def test_the_last_key_of_the_network_is_not_revoked(api):
    live = [
        key
        for key in await listed(api.network)
        if key["role"] == "network" and key["revoked_at"] is None
    ]
    others = [key for key in live if key["key_id"] != id_of(api.network)]
    for key in others:
        assert (await api.network.request("DELETE", f"{KEYS}/{key['key_id']}")).status == 200
    path = f"{KEYS}/{id_of(api.network)}"
    reply = await api.network.request("DELETE", path)
    assert (reply.status, reply.code) == (409, "last_network_key")
    assert (await api.network.request("GET", path)).json["revoked_at"] is None


async def test_keys_are_rotated_on_the_command_line_too(api, database, tmp_path, store_key):
    def keys(*words):
        return subprocess.run(
            [sys.executable, "-m", "engine", "keys", *words, "--database-url", database],
            env=os.environ | {"LEAL_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    rotated = keys("rotate", store_key["key_id"])
    assert rotated.returncode == 0, rotated.stderr
    client = api.with_key(rotated.stdout.strip())
    async with asyncio.timeout(5):
        while (await client.request("GET", "/v1/brands")).status == 401:
            await asyncio.sleep(0.02)
    refused = keys("rotate", store_key["key_id"])
    assert refused.returncode != 0
    assert "two live keys" in refused.stderr
    assert keys("revoke", store_key["key_id"]).returncode == 0
    assert store_key["key_id"] in keys("list").stdout
    async with connection_to(database) as connection:
        actions = await connection.fetch(
            "select action from change where principal = 'command line' order by change_id"
        )
    assert [row["action"] for row in actions] == ["key rotated", "key revoked"]


@pytest.fixture
def create(database, tmp_path):
    """Give what runs `leal-engine keys create`, in a thread: a process costs a second each."""
    command = CliRunner(env={"LEAL_DATA_DIR": str(tmp_path), "LEAL_DATABASE_URL": database})

    async def run(*words):
        arguments = ("keys", "create", *words, "--name", "a till")
        return await asyncio.to_thread(command.invoke, main, arguments)

    return run


async def test_a_key_of_a_store_is_of_the_stores_brand(api, demo, create):
    store = next(one for one in demo["stores"] if one["brand_id"] == 2)
    words = ("--role", "store", "--store-id", str(store["store_id"]))
    for more in ((), ("--brand-id", "2")):
        made = await create(*words, *more)
        assert made.exit_code == 0, made.stderr
        told = (await api.network.request("GET", f"{KEYS}/{made.stdout.split('_')[1]}")).json
        assert (told["brand_id"], told["store_id"]) == (2, store["store_id"])


async def test_a_key_of_nothing_is_not_made(api, demo, create):
    body = {"name": "Se va", "city": "Cali", "brand_id": 2}
    gone = (await api.network.request("POST", "/v1/stores", body)).json["store_id"]
    await api.network.request("DELETE", f"/v1/stores/{gone}")
    brand = await api.network.request("POST", "/v1/brands", {"name": "Se va", "country": "CO"})
    closed = brand.json["brand_id"]
    await api.network.request("DELETE", f"/v1/brands/{closed}")
    before = await listed(api.network)
    for words, said in {
        "store --store-id 1 --brand-id 2": "Store 1 is one of brand 1, not of brand 2.",
        "store --store-id 99999": "There is no store 99999",
        "store --store-id 99999 --brand-id 1": "There is no store 99999",
        f"store --store-id {gone}": f"There is no store {gone}, or it is retired.",
        "brand --brand-id 99999": "There is no brand 99999",
        f"brand --brand-id {closed}": f"There is no brand {closed}, or it is retired.",
    }.items():
        refused = await create("--role", *words.split())
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert said in refused.stderr
    for words in ("store", "brand", "brand --brand-id 1 --store-id 1", "app --brand-id 1"):
        assert (await create("--role", *words.split())).exit_code == 2
    assert await listed(api.network) == before


async def test_the_list_shows_whole_values_through_a_pipe(api, database, tmp_path, store_key):
    name = "[b]Caja[/b] " + "larga " * 14 + "fin"
    made = (await make(api.network, role="store", store_id=1, name=name)).json
    run = subprocess.run(
        [sys.executable, "-m", "engine", "keys", "list"],
        env=os.environ
        | {"LEAL_DATA_DIR": str(tmp_path), "LEAL_DATABASE_URL": database, "COLUMNS": "40"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert len(lines) == 1 + len(await listed(api.network))
    row = next(line for line in lines if line.startswith(made["key_id"]))
    assert row.split()[1:7] == [
        made["key_id"],
        "store",
        "1",
        "1",
        made["created_at"][:10],
        "-",
    ]
    assert row.endswith(f"  {name}")


async def test_each_change_is_recorded_without_the_secret(api, database, store_key):
    rotated = (await api.brand.request("POST", f"{KEYS}/{store_key['key_id']}/rotate")).json
    await api.network.request("DELETE", f"{KEYS}/{store_key['key_id']}")
    async with connection_to(database) as connection:
        rows = await connection.fetch(
            "select * from change where subject = any($1) order by change_id",
            [store_key["key_id"], rotated["key_id"]],
        )
    assert [(row["principal"], row["action"], row["subject"]) for row in rows] == [
        (f"key:{id_of(api.brand)}", "key created", store_key["key_id"]),
        (f"key:{id_of(api.brand)}", "key rotated", rotated["key_id"]),
        (f"key:{id_of(api.network)}", "key revoked", store_key["key_id"]),
    ]
    recorded = "".join(str(row["content"]) for row in rows)
    assert store_key["key_id"] in recorded, "whose successor a key is"
    for key in (store_key["key"], rotated["key"]):
        assert key.split("_")[2] not in recorded

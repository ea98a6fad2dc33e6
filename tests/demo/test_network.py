"""The demo network is the same for the same seed, plausible, and described as scripts expect."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

import orjson
import phonenumbers
import pytest

from engine.demo.description import describe, write
from engine.demo.identities import cui_check_digit, dui_check_digit
from engine.demo.names import MAIL_DOMAINS
from engine.demo.network import Customer, Network, Programme, invent
from engine.people.documents import document_identity, normalise
from engine.people.profile import missing_fields
from engine.programme.items import ItemKind
from engine.programme.segments import NOBODY, segment_of

KEYS = {role: f"key of {role}" for role in ("network", "brand", "store", "other_store", "app")}


@pytest.fixture(scope="module")
def network() -> Network:
    return invent(1)


def programmes_of(network: Network, brand_id: int) -> list[Programme]:
    return [programme for programme in network.programmes if programme.brand_id == brand_id]


def with_document(network: Network, document_type: str) -> list[Customer]:
    return [one for one in network.customers if one.document_type == document_type]


def test_the_same_seed_invents_the_same_network(network: Network) -> None:
    assert invent(1) == network
    assert invent(2).customers != network.customers
    assert invent(2).stores != network.stores


def test_another_number_of_stores_leaves_the_customers_as_they_were(network: Network) -> None:
    assert invent(1, stores=3).customers == network.customers


def test_a_smaller_network_is_the_beginning_of_a_larger_one(network: Network) -> None:
    small = invent(1, customers=20, stores=40)
    assert small.customers == network.customers[:20]
    assert small.stores == network.stores[:40]


def test_it_is_as_large_as_asked(network: Network) -> None:
    assert (len(network.customers), len(network.stores)) == (5000, 100)
    assert (len(network.partners), len(network.organisations)) == (2, 3)
    small = invent(1, customers=0, stores=2)
    assert (len(small.customers), len(small.stores)) == (0, 2)
    with pytest.raises(ValueError, match="at least 2 stores"):
        invent(1, stores=1)


def test_ids_count_from_one(network: Network) -> None:
    for ids in (
        [brand.brand_id for brand in network.brands],
        [store.store_id for store in network.stores],
        [one.reward_id for one in network.rewards] + [item.item_id for item in network.items],
        [partner.partner_id for partner in network.partners],
        [organisation.organisation_id for organisation in network.organisations],
    ):
        assert ids == list(range(1, len(ids) + 1))


def test_brands_of_four_countries_bill_in_their_currency(network: Network) -> None:
    countries = Counter((brand.country, brand.currency) for brand in network.brands)
    assert set(countries) == {("CO", "COP"), ("SV", "USD"), ("GT", "GTQ"), ("PA", "USD")}
    assert len(network.brands) >= 24
    assert countries["CO", "COP"] > len(network.brands) / 2
    assert len({brand.name for brand in network.brands}) == len(network.brands)


def test_every_brand_has_a_programme_in_force_and_two_have_an_older_one(network: Network) -> None:
    versions = {brand.brand_id: programmes_of(network, brand.brand_id) for brand in network.brands}
    assert sorted(map(len, versions.values()))[-3:] == [1, 2, 2]
    for programmes in versions.values():
        assert [one.effective_from for one in programmes] == sorted(
            one.effective_from for one in programmes
        )
        assert programmes[-1].effective_from == datetime(2020, 1, 1, tzinfo=UTC)
        assert len({one.points_amount for one in programmes}) == len(programmes)
    for one in network.programmes:
        assert one.points > 0
        assert one.points_amount > 0
        assert 90 <= one.points_validity_days <= 730
        assert one.coins_amount > 0
        assert one.issuer == (one.coins > 0)


def test_coins_are_in_colombia_only(network: Network) -> None:
    countries = {brand.brand_id: brand.country for brand in network.brands}
    sides = Counter(
        (one.issuer, one.receiver) for one in network.programmes if countries[one.brand_id] == "CO"
    )
    assert min(sides[side] for side in ((True, True), (True, False), (False, True))) >= 3
    for one in network.programmes:
        assert countries[one.brand_id] == "CO" or not (one.issuer or one.receiver)


def test_most_stores_of_receivers_and_no_others_accept_coins(network: Network) -> None:
    receivers = {one.brand_id for one in network.programmes if one.receiver}
    accepting = Counter(
        store.accepts_coins for store in network.stores if store.brand_id in receivers
    )
    assert accepting[True] > 2 * accepting[False] > 0
    assert not any(
        store.accepts_coins for store in network.stores if store.brand_id not in receivers
    )
    assert len({(store.name, store.city) for store in network.stores}) == len(network.stores)
    assert {store.brand_id for store in network.stores} == {one.brand_id for one in network.brands}


def test_brand_1_issues_and_receives_coins_and_its_store_takes_them(network: Network) -> None:
    (programme,) = programmes_of(network, 1)
    assert network.brands[0].country == "CO"
    assert (programme.points, programme.points_amount) == (1, 100_000)
    assert (programme.coins, programme.coins_amount) == (1, 10_000)
    assert programme.issuer
    assert programme.receiver
    assert network.stores[0].brand_id == 1
    assert network.stores[0].accepts_coins
    assert 10 in {reward.points for reward in network.rewards if reward.brand_id == 1}


def test_every_brand_has_small_and_large_rewards(network: Network) -> None:
    prices = defaultdict(list)
    for reward in network.rewards:
        prices[reward.brand_id].append(reward.points)
    assert len(prices) == len(network.brands)
    for of_brand in prices.values():
        assert 3 <= len(of_brand) <= 6
        assert of_brand == sorted(set(of_brand))
    assert min(map(min, prices.values())) == 5
    assert max(map(max, prices.values())) == 5000


def test_items_have_what_their_kind_has(network: Network) -> None:
    coins = {one.brand_id for one in network.programmes if one.receiver}
    for item in network.items:
        assert not (item.points and item.coins)
        assert not item.coins or item.brand_id in coins
        if item.starts_at is not None and item.ends_at is not None:
            assert item.starts_at < datetime.now(UTC) < item.ends_at
        assert segment_of(item.segment, item.item_id) is not NOBODY
        if item.kind == "reward":
            assert item.points > 0
            assert item.stock is not None
        elif item.kind == "gift":
            assert (item.points, item.coins) == (0, 0)
    named = Counter(one.item_id for one in network.gift_customers)
    assert named == {item.item_id: 5 for item in network.items if item.kind == "gift"}
    assert {item.kind for item in network.items if item.brand_id == 1} == set(ItemKind)


def test_other_customers_leave_the_items_as_they_were(network: Network) -> None:
    assert invent(1, customers=0).items == network.items
    assert invent(1, customers=0).gift_customers == ()
    few = invent(1, customers=3)
    assert {one.customer_id for one in few.gift_customers} <= {
        one.customer_id for one in few.customers
    }


def test_the_description_tells_items_as_the_api_does(network: Network) -> None:
    described = describe(network, url="", keys=KEYS, password="secret")
    (half_price, *_) = described["promotions"]
    assert (half_price["brand_id"], half_price["ends_at"]) == (1, "2035-01-01T00:00:00Z")
    assert {"birthday_month": True} in [one["segment"] for one in described["promotions"]]
    for item in described["limited_rewards"] + described["promotions"] + described["gifts"]:
        assert len([name for name in item if name.endswith("_id")]) == 2
        assert item["brand_id"] in range(1, 31)


def test_about_sixty_of_a_hundred_profiles_are_complete(network: Network) -> None:
    for one in network.customers:
        assert one.missing_fields == missing_fields(
            phone=one.phone,
            first_names=one.first_names,
            last_names=one.last_names,
            gender=one.gender,
            birth_date=one.birth_date,
        )
    missing = Counter(one.missing_fields for one in network.customers)
    assert 0.57 < missing[0] / len(network.customers) < 0.63
    assert missing[0b11110] > 500
    assert missing[0b11111] > 500


@pytest.mark.parametrize("seed", range(1, 4))
def test_nobody_shares_an_identity(seed: int) -> None:
    customers = invent(seed).customers
    documents = {
        document_identity(one.document_type, one.document_number, one.country) for one in customers
    }
    phones = [one.phone for one in customers if one.phone is not None]
    assert len({one.customer_id for one in customers}) == len(customers)
    assert len(documents) == len(customers)
    assert len({one.email for one in customers}) == len(customers)
    assert len(set(phones)) == len(phones)


def test_customer_ids_are_uuids_of_version_4(network: Network) -> None:
    assert {one.customer_id.version for one in network.customers} == {4}


@pytest.mark.parametrize("seed", range(1, 4))
def test_every_phone_is_a_valid_mobile_of_its_country(seed: int) -> None:
    mobiles = (
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    )
    for one in invent(seed).customers:
        if one.phone is not None:
            number = phonenumbers.parse(one.phone)
            assert phonenumbers.is_valid_number_for_region(number, one.country), one.phone
            assert phonenumbers.number_type(number) in mobiles, one.phone


def test_emails_are_in_lower_case_at_reserved_domains(network: Network) -> None:
    for one in network.customers:
        local, _, domain = one.email.partition("@")
        assert re.fullmatch(r"[a-z]+\.[a-z]+[0-9]*", local)
        assert domain in MAIL_DOMAINS
        assert re.fullmatch(r"example\.(com|net|org)|[a-z]+\.example", domain)


def test_documents_are_normalised_and_plausible_in_their_country(network: Network) -> None:
    types = defaultdict(set)
    for one in network.customers:
        assert normalise(one.document_type, one.document_number) == one.document_number
        types[one.country].add(one.document_type)
    assert types == {
        "CO": {"CC", "CE", "PA"},
        "SV": {"DUI", "PA"},
        "GT": {"DPI", "PA"},
        "PA": {"CED", "PA"},
    }
    assert {len(one.document_number) for one in with_document(network, "CC")} == {6, 7, 8, 10}
    assert "Bogotá" in {one.city for one in network.customers}


def test_check_digits_of_known_documents() -> None:
    assert dui_check_digit("00016297") == 5
    assert cui_check_digit("15875644") == 4
    assert cui_check_digit("15803522") == 4


def test_check_digits_are_right(network: Network) -> None:
    duis = [one.document_number for one in with_document(network, "DUI")]
    cuis = [one.document_number for one in with_document(network, "DPI")]
    assert min(len(duis), len(cuis)) > 300
    for dui in duis:
        weighted = sum((9 - place) * int(digit) for place, digit in enumerate(dui[:8]))
        assert (weighted + int(dui[8])) % 10 == 0
    for cui in cuis:
        weighted = sum((2 + place) * int(digit) for place, digit in enumerate(cui[:8]))
        assert weighted % 11 == int(cui[8])
        assert 1 <= int(cui[9:11]) <= 22
        assert 1 <= int(cui[11:]) <= 5


def test_the_description_has_what_scripts_look_for(network: Network) -> None:
    described = describe(network, url="http://127.0.0.1:8080", keys=KEYS, password="secret")
    assert list(described) == [
        "url", "keys", "cashier",
        "customers", "brands", "stores", "rewards", "limited_rewards",
        "promotions", "gifts", "partners", "organisations",
    ]  # fmt: skip
    other = described["keys"].pop("other_store")
    assert described["keys"] == {
        "network": {"key": "key of network"},
        "brand": {"key": "key of brand", "brand_id": 1},
        "store": {"key": "key of store", "store_id": 1, "brand_id": 1, "currency": "COP"},
        "app": {"key": "key of app"},
    }
    assert described["cashier"] == {"store_id": 1, "user": "cajera", "password": "secret"}
    assert (other["key"], other["currency"]) == ("key of other_store", "COP")
    assert network.stores[other["store_id"] - 1].brand_id == other["brand_id"] != 1
    assert network.stores[other["store_id"] - 1].accepts_coins
    first = network.customers[0]
    assert described["customers"][0] == {
        "customer_id": str(first.customer_id),
        "document": {"type": first.document_type, "number": first.document_number},
        "phone": first.phone,
        "email": first.email,
        "profile_complete": first.missing_fields == 0,
    }
    assert set(described["rewards"][0]) == {"reward_id", "brand_id", "name", "points"}
    assert set(described["gifts"][0]["customer_ids"]) <= {
        str(one.customer_id) for one in network.customers if not one.missing_fields
    }
    assert described["partners"][0] == {"partner_id": 1, "name": network.partners[0].name}
    assert len(described["organisations"]) == 3


def test_the_description_tells_the_programme_in_force_and_where_a_store_is(
    network: Network,
) -> None:
    described = describe(network, url="", keys=KEYS, password="")
    assert described["brands"][0] == {
        "brand_id": 1,
        "name": "Café Brumalta",
        "country": "CO",
        "currency": "COP",
        "points": 1,
        "points_amount": 100_000,
        "points_validity_days": 365,
        "coins": 1,
        "coins_amount": 10_000,
        "issuer": True,
        "receiver": True,
    }
    assert described["brands"][2]["points_amount"] == programmes_of(network, 3)[-1].points_amount
    assert described["stores"][0] == {
        "store_id": 1,
        "brand_id": 1,
        "name": network.stores[0].name,
        "city": network.stores[0].city,
        "accepts_coins": True,
        "currency": "COP",
        "country": "CO",
    }


def test_the_description_is_written_whole_and_for_its_owner_only(
    network: Network, tmp_path: Path
) -> None:
    path = tmp_path / "demo.json"
    path.write_text("older, and open to all")
    path.chmod(0o644)
    described = describe(network, url="http://127.0.0.1:8080", keys=KEYS, password="")
    write(path, described)
    assert path.stat().st_mode & 0o777 == 0o600
    assert orjson.loads(path.read_bytes()) == described
    assert [file.name for file in tmp_path.iterdir()] == ["demo.json"]


def test_a_description_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    write(path, {"url": "old"})
    with pytest.raises(TypeError):
        write(path, {"url": object()})
    assert orjson.loads(path.read_bytes()) == {"url": "old"}
    assert [file.name for file in tmp_path.iterdir()] == ["demo.json"]

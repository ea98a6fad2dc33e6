"""What those who run the engine see: probes, metrics, request ids, and the shape of nothing."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest
from harness import until
from prometheus_client.parser import text_string_to_metric_families

from engine.api.routes import ROUTES

SALE = {"amount": 5_400_000, "currency": "COP"}


@pytest.fixture(scope="module")
def engine_flags():
    return ("--log-requests",)


async def metrics_of(api):
    reply = await api.anonymous.request("GET", "/metrics")
    assert reply.status == 200
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.json.decode())
        for sample in family.samples
    }, reply.json.decode()


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz"])
async def test_probes_answer_without_a_key(api, path):
    reply = await api.anonymous.request("GET", path)
    assert (reply.status, reply.json) == (200, {"status": "ok", "reason": None})


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/metrics"])
async def test_probes_take_head_and_no_post(api, path):
    assert (await api.anonymous.request("HEAD", path)).status == 200
    reply = await api.anonymous.request("POST", path)
    assert (reply.status, reply.code) == (405, "method_not_allowed")
    assert "GET" in reply.headers["Allow"]


async def test_what_is_not_there_is_told_as_a_problem(api):
    reply = await api.store.request("GET", "/v1/nothing")
    assert (reply.status, reply.code) == (404, "not_found")
    assert reply.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/customers", {"POST"}),
        ("PUT", "/v1/customers/0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c/wallets", {"GET"}),
        ("GET", "/v1/customers/0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c/accumulations", {"POST"}),
        ("PURGE", "/v1/customers", {"POST"}),
    ],
)
async def test_another_method_is_told_what_the_path_takes(api, method, path, allowed):
    reply = await api.store.request(method, path)
    assert (reply.status, reply.code) == (405, "method_not_allowed")
    assert allowed <= {name.strip() for name in reply.headers["Allow"].split(",")}


async def test_a_request_id_comes_back_if_it_is_sane(api, customer_id):
    path = f"/v1/customers/{customer_id}"
    for sent in ("pos-17/42", "A" * 128, "0b7c7e2e-3c1b-4f43-9d8e-0d5c1f1a2b3c"):
        reply = await api.store.request("GET", path, headers={"X-Request-Id": sent})
        assert reply.headers["X-Request-Id"] == sent
    for sent in ("A" * 129, "two words", "ñ", "<script>", ""):
        reply = await api.store.request("GET", path, headers={"X-Request-Id": sent})
        assert UUID(reply.headers["X-Request-Id"])


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/metrics", "/nothing"])
async def test_every_answer_carries_a_request_id(api, path):
    reply = await api.anonymous.request("GET", path)
    assert reply.headers["X-Request-Id"]
    reply = await api.anonymous.request("GET", path, headers={"X-Request-Id": "mine"})
    assert reply.headers["X-Request-Id"] == "mine"


async def test_a_traceparent_reaches_the_log(api, engine, customer_id):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01", "X-Request-Id": "traced"}
    await api.store.request("GET", f"/v1/customers/{customer_id}", headers=headers)

    def logged():
        return [line for line in engine.events("request") if line["request_id"] == "traced"]

    (line,) = await until(logged)
    assert line["trace_id"] == trace_id
    assert line["status"] == 200
    assert line["route"] == "/v1/customers/{customer_id}"
    headers = {"traceparent": "nonsense", "X-Request-Id": "untraced"}
    reply = await api.store.request("GET", f"/v1/customers/{customer_id}", headers=headers)
    assert reply.status == 200


async def test_answers_are_not_kept_by_anyone_between(api, customer_id):
    for reply in (
        await api.store.customer(customer_id),
        await api.store.lookup(email="nobody@example.com"),
    ):
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


# Metrics.


async def test_the_metrics_move_with_the_work(api, customer_id, people):
    before, _ = await metrics_of(api)
    first = await api.store.accumulate(customer_id, "moved", **SALE)
    await api.store.accumulate(customer_id, "moved", **SALE)
    await api.store.accumulate(customer_id, "moved", amount=1, currency="COP")
    await api.store.redeem(people.incomplete()["customer_id"], reward_id=1)
    await api.store.pay(customer_id, coins=1)
    await api.anonymous.request("GET", "/v1/nothing")
    after, _ = await metrics_of(api)

    def moved(name, **labels):
        series = (name, *sorted(labels.items()))
        return after[series] - before.get(series, 0.0)

    assert first.status == 201
    route = "/v1/customers/{customer_id}/accumulations"
    requests = "leal_http_request_duration_seconds_count"
    assert moved(requests, method="POST", route=route, status="201") == 2
    assert moved(requests, method="POST", route=route, status="422") == 1
    assert moved("leal_postings_total") == 6  # two legs of a sale, a refusal, a hold, two openings
    assert moved("leal_operations_total", kind="accumulation", refusal="none") == 1
    assert moved("leal_operations_total", kind="redemption", refusal="profile_incomplete") == 1
    assert moved("leal_operations_total", kind="hold", refusal="none") == 1
    assert moved("leal_idempotency_total", outcome="replay") == 1
    assert moved("leal_idempotency_total", outcome="reused") == 1
    assert moved("leal_batch_operations_count") == 3
    assert moved("leal_codes_sent_total", outcome="sent") == 1
    for stage in ("collect", "load", "decide", "append"):
        assert moved("leal_batch_stage_duration_seconds_count", stage=stage) >= 1
    assert moved("leal_last_commit_timestamp_seconds") > 0
    assert after[("leal_queue_operations",)] == 0
    assert after[("leal_accounts_locked",)] == 0
    assert after[("leal_wallets_cached",)] >= 2


async def test_every_metric_has_help_a_unit_and_a_sane_name(api, customer_id):
    await api.store.accumulate(customer_id, **SALE)
    _, text = await metrics_of(api)
    families = list(text_string_to_metric_families(text))
    own = [
        family
        for family in families
        if family.name.startswith("leal_") and not family.name.endswith("_created")
    ]
    assert len(own) >= 10
    units = ("_seconds", "_operations", "_total", "_cached", "_locked", "_open", "_bytes", "_info")
    units += ("_rows", "_max")
    for family in own:
        assert re.fullmatch(r"leal_[a-z][a-z_]*[a-z]", family.name)
        assert family.documentation.endswith(".")
        name = family.name + ("_total" if family.type == "counter" else "")
        assert name.endswith(units), name
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            assert set(sample.labels) <= {
                *("le", "method", "route", "status", "stage", "kind", "refusal"),
                *("outcome", "reason", "sqlstate", "tries"),
            }
    assert sum(len(family.samples) for family in families) < 3000


async def test_labels_hold_known_words_and_nothing_personal(api, people):
    person = people.complete()
    await api.store.lookup(email=person["email"])
    await api.store.lookup(phone=person["phone"])
    await api.store.lookup(document=person["document"])
    await api.store.customer(person["customer_id"])
    await api.store.request("GET", f"/v1/nobody/{person['email']}")
    await api.store.request("BREW", f"/v1/customers/{person['customer_id']}")
    _, text = await metrics_of(api)
    for personal in (person["email"], person["phone"], person["document"]["number"]):
        assert personal not in text
    assert person["customer_id"] not in text
    assert "BREW" not in text
    labels = re.findall(r'route="([^"]*)"', text)
    assert set(labels) <= {route.path for route in ROUTES} | {"unknown"}


async def test_the_log_holds_nothing_personal(api, engine, people):
    person = people.complete()
    await api.store.lookup(email=person["email"])
    await api.store.lookup(document=person["document"])
    await api.store.register(
        document=person["document"], email=person["email"], phone=person["phone"]
    )
    await api.store.accumulate(person["customer_id"], **SALE)
    await api.store.pay(person["customer_id"], coins=1)
    await api.store.request("GET", "/v1/nobody", headers={"X-Request-Id": "end"})
    text = str(engine.logs) + str(engine.other_lines)
    for personal in (person["email"], person["phone"], person["document"]["number"]):
        assert personal not in text
    assert api.store.key.rpartition("_")[2] not in text


async def test_metrics_are_told_in_openmetrics_too(api):
    reply = await api.anonymous.request(
        "GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert "openmetrics" in reply.headers["Content-Type"]
    assert reply.json.decode().endswith("# EOF\n")


async def test_an_invoice_that_is_sent_again_and_again_makes_no_batch_fail(api, people):
    """Only the first repeat does; what follows is looked up first, and refused all the same."""

    async def failed_appends():
        samples, _ = await metrics_of(api)
        found = {key: value for key, value in samples.items() if "append_failures" in key[0]}
        return {key: value for key, value in found.items() if not key[0].endswith("_created")}

    first, *others = people.several(8)
    sale = {"amount": 540_000, "currency": "COP", "invoice_number": f"R-{uuid4().hex}"}
    assert (await api.store.accumulate(first, **sale)).status == 201
    assert (await api.store.accumulate(others[0], **sale)).status == 409
    before = await failed_appends()
    assert before
    for customer_id in others[1:]:
        refused = await api.store.accumulate(customer_id, **sale)
        assert refused.json["code"] == "invoice_already_claimed"
    assert await failed_appends() == before

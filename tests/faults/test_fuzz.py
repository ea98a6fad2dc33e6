"""Whatever the document allows and whatever it forbids: no 5xx, and nothing undocumented.

schemathesis reads /openapi.json and makes requests of it, valid and not, for each call; two brands
send them, so that each meets what is the other's.
"""

from __future__ import annotations

from itertools import cycle

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from torture import LONG, progress, record, size

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
]
CASES_MIN = 10_000
ENDLESS = "/v1/stores/{store_id}/invoices/stream"
CHANGES_ITSELF = ("/v1/keys", "/v1/sessions")
"""Left out: a random request here may revoke the keys that the others are sent with."""
EXAMPLES = size(4, 130)


def test_no_request_is_answered_with_what_the_document_does_not_say(engine, demo):
    document = requests.get(f"{engine.url}/openapi.json", timeout=30).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=engine.url)
    keys = cycle([demo["keys"][role]["key"] for role in ("store", "other_store", "brand", "app")])
    operations = [
        found.ok()
        for found in schema.get_all_operations()
        if found.ok().path != ENDLESS and not found.ok().path.startswith(CHANGES_ITSELF)
    ]
    sent = 0
    statuses: dict[int, int] = {}
    for number, operation in enumerate(operations):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answers_as_documented(case):
            nonlocal sent
            headers = {"Authorization": f"Bearer {next(keys)}"}
            response = case.call(headers=headers, timeout=30)
            sent += 1
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
            case.validate_response(response, checks=CHECKS, headers=headers)

        answers_as_documented()
        progress("calls fuzzed", number + 1, len(operations))
    record("requests fuzzed", faults=sent, wrong=0, statuses=dict(sorted(statuses.items())))
    assert {200, 400, 404} <= statuses.keys()
    assert sent >= (CASES_MIN if LONG else len(operations))


@pytest.fixture(scope="module")
def engine_flags():
    """Whoever fuzzes misses often."""
    return ("--misses-an-hour-max", "1000000")

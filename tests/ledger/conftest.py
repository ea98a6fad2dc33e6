"""Both ledgers for the tests of behaviour, and how long Hypothesis looks for a difference."""

import os

import pytest
from hypothesis import HealthCheck, settings

from engine.ledger.core import Ledger
from tests.reference import ReferenceLedger

COLOMBIA = -5 * 3600

UNHURRIED = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("default", max_examples=120, stateful_step_count=50, **UNHURRIED)
settings.register_profile("nightly", max_examples=4_800, stateful_step_count=50, **UNHURRIED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(params=[Ledger, ReferenceLedger], ids=["compiled", "reference"])
def ledger(request):
    """Return an empty ledger; what it promises holds for the compiled and the plain one."""
    return request.param(COLOMBIA)


@pytest.fixture
def compiled():
    """Return an empty compiled ledger, for what only a cache and a border need."""
    return Ledger(COLOMBIA)

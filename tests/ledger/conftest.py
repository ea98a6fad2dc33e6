"""Both ledgers for the tests of behaviour, writers of a real journal for those of collisions.

And how long Hypothesis looks for a difference.
"""

import asyncio
import os

import pytest
from harness import connection_to
from hypothesis import HealthCheck, Phase, settings
from verbs import ANA

from engine.ledger.core import Ledger
from engine.ledger.journal import Journal
from engine.postgres.connections import connect
from tests.reference import ReferenceLedger
from tests.simulation.loop import VirtualLoop

COLOMBIA = -5 * 3600

UNHURRIED = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("default", max_examples=120, stateful_step_count=50, **UNHURRIED)
settings.register_profile("nightly", max_examples=4_700, stateful_step_count=50, **UNHURRIED)
# For who only asks whether there is a difference: a small one is not looked for.
settings.register_profile(
    "curt", settings.get_profile("default"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_asyncio_loop_factories(item):
    """Let the tests of a lane run in virtual time: deadlines and pauses cost nothing."""
    virtual = item.path.name == "test_lane.py"
    return {"virtual": VirtualLoop} if virtual else {"real": asyncio.new_event_loop}


@pytest.fixture(params=[Ledger, ReferenceLedger], ids=["compiled", "reference"])
def ledger(request):
    """Return an empty ledger; what it promises holds for the compiled and the plain one."""
    return request.param(COLOMBIA)


@pytest.fixture
def compiled():
    """Return an empty compiled ledger, for what only a cache and a border need."""
    return Ledger(COLOMBIA)


@pytest.fixture(autouse=True)
def ana(request):
    """Ana is loaded, with a complete profile and no wallets."""
    for name in {"ledger", "compiled"} & set(request.fixturenames):
        request.getfixturevalue(name).load_customer(ANA, 0)


@pytest.fixture
async def open_journal(database):
    """Return what opens the journal of one more writer on the module's database."""
    journals = []

    async def open_one():
        connection = await connect(
            database,
            statement_timeout_ms=2000,
            lock_timeout_ms=1000,
            application_name="test-writer",
            look_ups_only=True,
        )
        journals.append(await Journal.open(connection, append_timeout_ms=4000))
        return journals[-1]

    yield open_one
    for journal in journals:
        journal.terminate()


@pytest.fixture(scope="module")
def customers(database):
    """Give the ids of the module's customers whose profiles are complete, each once."""

    async def read():
        async with connection_to(database) as connection:
            query = "select customer_id from customer where missing_fields = 0 order by 1"
            return [row["customer_id"].bytes for row in await connection.fetch(query)]

    return iter(asyncio.run(read()))

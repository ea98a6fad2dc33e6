"""What handlers work with: built once by the application, passed explicitly to each of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.ledger.committer import Committer
from engine.ledger.statements import Statements
from engine.metrics import Metrics
from engine.people.customers import Customers
from engine.people.sender import Sender
from engine.postgres.connections import Pool
from engine.programme.catalogue import Catalogue
from engine.settings import Settings


@dataclass(slots=True)
class Health:
    """What the probes tell: why the engine is not ready, or None."""

    not_ready: str | None = "starting"
    started: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of one worker."""

    settings: Settings
    metrics: Metrics
    pool: Pool
    catalogue: Catalogue
    committer: Committer
    statements: Statements
    customers: Customers
    sender: Sender
    code_secret: bytes
    health: Health = field(default_factory=Health)

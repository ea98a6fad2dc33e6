"""What handlers work with: built once by the application, passed explicitly to each of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.commands.concurrency import ConcurrencyLimit
from engine.ledger.committer import Committer
from engine.ledger.readiness import Readiness
from engine.ledger.statements import Statements
from engine.metrics import Metrics
from engine.network.events import Events
from engine.network.invoices import Invoices
from engine.network.reports import Reports
from engine.people.codes import SentCodes
from engine.people.customers import Customers
from engine.people.dispatch import Dispatch
from engine.people.failed_codes import FailedCodes
from engine.people.guesses import Guesses
from engine.people.passwords import Passwords
from engine.people.presence import Presences
from engine.people.sessions import Sessions
from engine.postgres.connections import Pool
from engine.programme.administration import Administration
from engine.programme.catalogue import Catalogue
from engine.programme.funds import Funds
from engine.programme.stock import Stock
from engine.settings import Settings


@dataclass(slots=True)
class Health:
    """What the probes report: why the engine is not ready, or None."""

    not_ready: str | None = "starting"
    started: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of one worker."""

    settings: Settings
    metrics: Metrics
    pool: Pool
    catalogue: Catalogue
    administration: Administration
    invoices: Invoices
    events: Events
    uploads: ConcurrencyLimit
    stock: Stock
    funds: Funds
    committer: Committer
    readiness: Readiness
    statements: Statements
    reports: Reports
    customers: Customers
    guesses: Guesses
    passwords: Passwords
    sessions: Sessions
    dispatch: Dispatch
    sent_codes: SentCodes
    failed_codes: FailedCodes
    presences: Presences
    code_secret: bytes
    health: Health = field(default_factory=Health)

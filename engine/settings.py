"""Every setting and every limit of the engine, each a flag of `serve` and a variable `LEAL_…`.

A limit's name ends in its unit and its bound (`batch_operations_max`). Deadlines nest, from the
inside out: lock < statement < append < answer, so that the innermost gives a definite answer first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

AT_LEAST_ONE: tuple[str, ...] = ("lanes", "workers", "passwords_hashing_max", "stream_heartbeat_s")
AT_LEAST_ONE += ("connections_max", "head_timeout_ms", "head_bytes_max")
AT_LEAST_ONE += ("sweep_tick_ms", "sweep_wallets_max", "messages_at_once_max", "send_timeout_ms")
AT_LEAST_ONE += ("failed_codes_of_cashier_max", "failed_codes_of_store_max")
AT_LEAST_ONE += ("failed_codes_of_brand_max", "failed_codes_window_s")
AT_LEAST_ONE += (
    "database_look_ms",
    "fold_rows_max",
    "fold_timeout_ms",
    "reports_max",
    "report_timeout_ms",
)
SENDERS: dict[str, tuple[str, ...]] = {"outbox": (), "log": (), "smtp": ("smtp_url",)}
SENDERS |= {"webhook": ("sms_webhook_url", "sms_webhook_secret")}
"""The senders there are, and the settings that each cannot do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an engine is started with: immutable, and passed explicitly.

    The text of an annotation is what `leal-engine serve --help` says of it.
    """

    # Where.
    host: Annotated[str, "address to listen on"] = "127.0.0.1"
    port: Annotated[int, "port to listen on; 0 takes a free one"] = 8080
    data_dir: Annotated[Path, "folder of the embedded server, the secret and the outbox"] = Path(
        "data"
    )
    database_url: Annotated[str, "a PostgreSQL >= 15 to use instead of the embedded one"] = ""
    allow_data_loss: Annotated[bool, "accept a server without fsync (tests only)"] = False
    demo: Annotated[bool, "load the demo network where the database is empty"] = False
    secret: Annotated[str, "key for code hashes, >= 32 characters; empty makes a file"] = ""
    chain_key: Annotated[str, "key of the journal's hashes, like the secret"] = ""
    # The processes. What says "hidden" is given by a supervisor to its workers alone.
    workers: Annotated[int, "processes that share the port; more than 1 have a supervisor"] = 1
    worker_slot: Annotated[int, "which of the workers this is, from 1", "hidden"] = 0

    # The committer.
    lanes: Annotated[int, "batches in flight at once; each owns a part of the customers"] = 1
    batch_operations_max: Annotated[int, "operations in one batch"] = 512
    queue_operations_max: Annotated[int, "operations waiting in one lane"] = 4096
    queue_wait_ms_max: Annotated[
        int, "longest wait that a lane lets build up, at its pace of the last batches"
    ] = 100
    account_operations_max: Annotated[int, "operations waiting for one locked customer"] = 64
    wallets_cached_max: Annotated[int, "wallets kept in memory by one lane"] = 200_000
    tries_max: Annotated[int, "decisions of one operation before it is given up"] = 5
    contended_customers_max: Annotated[int, "customers that one lane locks among workers"] = 256
    repeats_owners_max: Annotated[
        int, "stores, partners and brands whose claims are looked up before they are decided"
    ] = 1024
    repeats_watched_s: Annotated[
        int, "time for which that is done after one of their claims was a repeat"
    ] = 10
    contended_s: Annotated[int, "time that a customer is locked among workers for a conflict"] = 10

    # Deadlines.
    lock_timeout_ms: Annotated[int, "wait for a lock in PostgreSQL"] = 1000
    statement_timeout_ms: Annotated[int, "run time of one statement in PostgreSQL"] = 2000
    append_timeout_ms: Annotated[int, "wait for PostgreSQL's answer to a batch"] = 4000
    answer_timeout_ms: Annotated[int, "wait for an outcome before answering 504"] = 6000
    head_timeout_ms: Annotated[int, "wait for the rest of a request's head"] = 5000
    body_timeout_ms: Annotated[int, "wait for a request's body"] = 3000
    bad_request_pause_ms: Annotated[int, "pause before a bad request is answered"] = 5
    keepalive_timeout_s: Annotated[int, "idle time of a connection before it is closed"] = 75
    database_look_ms: Annotated[
        int, "how often it is looked at whether the database takes appends and keeps them"
    ] = 1000
    drain_delay_ms: Annotated[int, "time between readiness off and the closed door"] = 0
    drain_timeout_s: Annotated[int, "time for work in flight to finish at the end"] = 20

    # The audit.
    audit_processes_max: Annotated[int, "processes that share an audit, one a core by default"] = (
        os.cpu_count() or 1
    )
    audit_process_rows_min: Annotated[int, "rows of the journal that are worth a process"] = 100_000

    # HTTP.
    connections_max: Annotated[int, "connections of clients to one worker"] = 10_000
    head_bytes_max: Annotated[int, "size of a request's head that comes in pieces"] = 16 * 1024
    body_bytes_max: Annotated[int, "size of a request's body"] = 16 * 1024
    bulk_items_max: Annotated[int, "items of one bulk upload"] = 1000
    bulk_body_bytes_max: Annotated[int, "size of a bulk upload's body"] = 4 * 1024 * 1024
    bulk_body_timeout_ms: Annotated[int, "wait for a bulk upload's body"] = 30_000
    bulk_uploads_max: Annotated[int, "bulk uploads at work at once"] = 4
    bulk_uploads_waiting_max: Annotated[int, "bulk uploads that wait for their turn"] = 16
    invoices_waiting_max: Annotated[int, "printed invoices waiting to be written"] = 4096
    printing_remembered_ms: Annotated[int, "how long a store is believed to print nothing"] = 60_000
    streams_max: Annotated[int, "open streams of printed invoices"] = 1000
    streams_of_store_max: Annotated[int, "open streams of one store's printed invoices"] = 16
    stream_events_waiting_max: Annotated[int, "events in memory for one stream"] = 256
    stream_heartbeat_s: Annotated[int, "silence on a stream before a sign of life"] = 15
    page_transactions_max: Annotated[int, "transactions on one page"] = 100
    read_connections_max: Annotated[int, "connections for look-ups"] = 4
    fast_path: Annotated[bool, "answer plain sales by the fast path; off only to compare"] = True
    log_requests: Annotated[bool, "log every request, not only failures"] = False

    # Sums over the journal, and the reports that are read from them.
    fold_interval_ms: Annotated[int, "pause between looks for rows to fold; 0 folds nothing"] = 1000
    fold_rows_max: Annotated[int, "rows of the journal folded in one step"] = 20_000
    fold_timeout_ms: Annotated[int, "run time of one statement that folds"] = 600_000
    reports_max: Annotated[int, "reports read at once"] = 2
    report_timeout_ms: Annotated[int, "run time of one statement of a report"] = 20_000
    statement_days_max: Annotated[int, "days of one customer's statement"] = 400
    settlement_days_max: Annotated[int, "days of one settlement"] = 400

    # The programme.
    catalogue_refresh_ms: Annotated[int, "how often a change of brands and keys is looked for"] = (
        1000
    )
    stock_remembered_ms: Annotated[int, "how long a list of offers believes that stock is gone"] = (
        1000
    )
    occurred_days_max: Annotated[int, "how far back a sale may lie"] = 7
    programme_ahead_days_max: Annotated[int, "how far ahead a programme may begin"] = 3650

    # Prepaid issuers (COI-2).
    allotment_coins_max: Annotated[int, "coins of a fund that a lane is given at once"] = 1_000_000
    allotment_lease_ms: Annotated[int, "how long a lane keeps them where others run short"] = 500
    fund_remembered_ms: Annotated[int, "how long a fund is believed to have no more"] = 1000

    # The sweep of what is due (PTS-5, COI-4).
    sweep_tick_ms: Annotated[int, "how often the sweep goes on, and looks for holds to release"] = (
        1000
    )
    sweep_wallets_max: Annotated[int, "wallets that the sweep looks at in one tick"] = 1000
    sweep_round_s: Annotated[int, "time from the beginning of one sweep to the next"] = 3600

    # Cashiers who sign in (USR-1).
    session_lifetime_s: Annotated[int, "how long a cashier's session lasts"] = 12 * 3600
    session_recheck_ms: Annotated[int, "how long an ended session may live on elsewhere"] = 2000
    sessions_cached_max: Annotated[int, "sessions kept in memory"] = 10_000
    passwords_hashing_max: Annotated[int, "sign-ins hashed at once, each in 64 MiB"] = 2
    sign_ins_waiting_max: Annotated[int, "sign-ins waiting for their password to be hashed"] = 32
    passwords_waiting_max: Annotated[int, "new passwords waiting to be hashed, one at a time"] = 8
    sign_in_failures_max: Annotated[int, "wrong passwords before a cashier has to wait"] = 5
    sign_in_pause_s_max: Annotated[int, "longest wait after wrong passwords"] = 900

    # Whoever asks for people who are not there (CUS-2).
    misses_an_hour_max: Annotated[int, "look-ups of a key that find nobody, in one worker"] = 3600
    lookup_matches_max: Annotated[int, "customers listed where a typed text fits several"] = 20
    cashier_misses_an_hour_max: Annotated[int, "the same, for all cashiers of one store"] = 300

    # Payments with a code (COI-6).
    code_tries_max: Annotated[int, "wrong codes before the coins go back"] = 3
    code_resends_max: Annotated[int, "times a code is sent again"] = 3
    contact_settles_s: Annotated[int, "time before codes go to a contact that a till changed"] = (
        86_400
    )
    code_lifetime_s: Annotated[int, "time to type the code before the coins go back"] = 300
    code_long_coins_min: Annotated[int, "coins from which on a code has six digits"] = 200_000
    presence_lifetime_s: Annotated[int, "how long who was found by a QR pays without a code"] = 300
    presence_coins_max: Annotated[int, "coins above which they are asked for a code"] = 200_000
    failed_codes_of_cashier_max: Annotated[int, "wrong codes in the window, of one cashier"] = 20
    failed_codes_of_store_max: Annotated[int, "the same, at one store"] = 60
    failed_codes_of_brand_max: Annotated[int, "the same, at one brand"] = 600
    failed_codes_window_s: Annotated[int, "how long a wrong code counts there"] = 3600

    # Messages to customers (SYS-8).
    sender: Annotated[str, "outbox, log, smtp or webhook; smtp,webhook is e-mail by smtp"] = (
        "outbox"
    )
    smtp_url: Annotated[str, "smtp://user:password@host:port, or smtps://"] = ""
    smtp_from: Annotated[str, "the sender's address of e-mails"] = "Leal <no-reply@localhost>"
    sms_webhook_url: Annotated[str, "where messages are posted to, as JSON"] = ""
    sms_webhook_secret: Annotated[str, "base64 key of their signature, like whsec_…"] = ""
    send_timeout_ms: Annotated[int, "time for one try to send a message"] = 5000
    send_wait_ms: Annotated[int, "how long an answer waits for its message to be sent"] = 250
    messages_at_once_max: Annotated[int, "messages in the gateway's hands at once"] = 16
    messages_waiting_max: Annotated[int, "messages under way, those that wait to be tried too"] = (
        1000
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work; raises ValueError with the setting's name."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, str):  # files of secrets and `echo` end in a newline
                object.__setattr__(self, name, value.rstrip("\r\n"))
            if name.endswith(("_max", "_min", "_s", "_ms", *AT_LEAST_ONE)) and value < (
                name in AT_LEAST_ONE
            ):
                raise ValueError(f"{name} is {value}, which is too small")
        object.__setattr__(self, "host", self.host.strip("[]"))  # as an address stands in a URL
        deadlines = (
            self.lock_timeout_ms,
            self.statement_timeout_ms,
            self.append_timeout_ms,
            self.answer_timeout_ms,
        )
        if list(deadlines) != sorted(set(deadlines)):
            raise ValueError(
                "deadlines must nest: lock_timeout_ms < statement_timeout_ms < append_timeout_ms"
                f" < answer_timeout_ms; they are {deadlines}"
            )
        for sender in self.sender.split(","):
            if sender not in SENDERS:
                raise ValueError(f"sender is {sender!r}; there are {', '.join(SENDERS)}")
            missing = [name for name in SENDERS[sender] if not getattr(self, name)]
            if missing:
                raise ValueError(f"the sender {sender} needs {' and '.join(missing)}")
        for name in ("secret", "chain_key"):
            if 0 < len(getattr(self, name)) < 32:
                raise ValueError(f"{name} has less than 32 characters; use `openssl rand -hex 32`")

    def environment(self) -> dict[str, str]:
        """Return the variables that make another process start with these very settings."""
        return {
            f"LEAL_{name.upper()}": str(getattr(self, name)) for name in self.__dataclass_fields__
        }

"""Every setting and every limit of the engine, each a flag of `serve` and a variable `LEAL_…`.

A limit's name ends in its unit and its bound (`batch_operations_max`). Deadlines nest, from the
inside out: lock < statement < append < answer, so that the innermost gives a definite answer first.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

AT_LEAST_ONE: tuple[str, ...] = ("lanes", "workers", "passwords_hashing_max", "stream_heartbeat_s")
AT_LEAST_ONE += ("connections_max", "head_timeout_ms", "head_bytes_max")
AT_LEAST_ONE += ("sweep_tick_ms", "sweep_wallets_max", "messages_at_once_max", "send_timeout_ms")
AT_LEAST_ONE += ("failed_codes_of_cashier_max", "failed_codes_of_store_max")
AT_LEAST_ONE += ("failed_codes_of_brand_max", "failed_codes_window_s")
AT_LEAST_ONE += ("sign_in_failures_of_address_max", "sign_in_failures_of_store_max")
AT_LEAST_ONE += ("sign_in_failures_window_s", "session_idle_s", "sessions_of_cashier_max")
AT_LEAST_ONE += ("devices_of_cashier_max",)
AT_LEAST_ONE += (
    "database_look_ms",
    "fold_rows_max",
    "fold_timeout_ms",
    "reports_max",
    "report_timeout_ms",
    "anchor_full_every",
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
    database_url: Annotated[
        str, "URL of a PostgreSQL server, 15 or later, in place of the embedded one"
    ] = ""
    allow_data_loss: Annotated[bool, "accept a server that may lose commits (tests only)"] = False
    demo: Annotated[bool, "load the demo network into an empty database"] = False
    secret: Annotated[
        str, "key of code hashes, at least 32 characters; by default a generated file"
    ] = ""
    chain_key: Annotated[str, "key of the journal's hashes, like the secret"] = ""
    # The processes. What says "hidden" is given by a supervisor to its workers alone.
    workers: Annotated[
        int, "worker processes that share the port; more than one run under a supervisor"
    ] = 1
    worker_slot: Annotated[int, "number of this worker, from 1", "hidden"] = 0

    # The committer.
    lanes: Annotated[
        int, "batches in flight at once in a worker; each lane owns a part of the customers"
    ] = 1
    batch_operations_max: Annotated[int, "operations in one batch"] = 512
    queue_operations_max: Annotated[int, "operations waiting in one lane"] = 4096
    queue_wait_ms_max: Annotated[
        int, "longest estimated wait in a lane before it refuses more operations"
    ] = 100
    account_operations_max: Annotated[int, "operations waiting for one locked customer"] = 64
    wallets_cached_max: Annotated[int, "wallets kept in memory by one lane"] = 200_000
    tries_max: Annotated[int, "times that an operation is decided before it is given up"] = 5
    contended_customers_max: Annotated[
        int, "customers that one lane locks against other workers"
    ] = 256
    repeats_owners_max: Annotated[
        int, "stores, partners and brands whose claims are looked up before a batch"
    ] = 1024
    repeats_watched_s: Annotated[
        int, "time for which they are, after one of their claims was a repeat"
    ] = 10
    contended_s: Annotated[
        int, "time for which a customer is locked against other workers after a conflict"
    ] = 10

    # Deadlines.
    lock_timeout_ms: Annotated[int, "wait for a lock in PostgreSQL"] = 1000
    statement_timeout_ms: Annotated[int, "run time of one statement in PostgreSQL"] = 2000
    append_timeout_ms: Annotated[int, "wait for PostgreSQL to answer a batch"] = 4000
    answer_timeout_ms: Annotated[int, "wait for an outcome before answering 504"] = 6000
    head_timeout_ms: Annotated[int, "wait for the rest of a request's head"] = 5000
    body_timeout_ms: Annotated[int, "wait for a request's body"] = 3000
    bad_request_pause_ms: Annotated[int, "pause before a bad request is answered"] = 5
    keepalive_timeout_s: Annotated[int, "idle time of a connection before it is closed"] = 75
    database_look_ms: Annotated[
        int, "interval of checks that the database accepts commits and makes them durable"
    ] = 1000
    drain_delay_ms: Annotated[
        int, "time between reporting not ready and closing the listening socket"
    ] = 0
    drain_timeout_s: Annotated[int, "time for work in flight to finish before the process ends"] = (
        20
    )

    # The audit.
    audit_processes_max: Annotated[int, "processes of an audit; one for each core by default"] = (
        os.cpu_count() or 1
    )
    audit_process_rows_min: Annotated[
        int, "rows of the journal for each process of an audit, at least"
    ] = 100_000

    # Anchors of the journal, outside the database.
    anchor: Annotated[str, "folder, or https:// URL, for anchors of the journal"] = ""
    anchor_interval_s: Annotated[
        int, "time from one anchor to the next, if there is a place for them; 0 turns it off"
    ] = 3600
    anchor_full_every: Annotated[
        int, "anchors from one that lists all wallets to the next; others list changed ones"
    ] = 24
    anchor_key: Annotated[
        str, "file of the Ed25519 key of the anchors; by default a generated one in the data folder"
    ] = ""

    # HTTP.
    connections_max: Annotated[int, "client connections of one worker"] = 10_000
    head_bytes_max: Annotated[int, "size of a request's head that arrives in pieces"] = 16 * 1024
    body_bytes_max: Annotated[int, "size of a request's body"] = 16 * 1024
    bulk_items_max: Annotated[int, "items of one bulk upload"] = 1000
    bulk_body_bytes_max: Annotated[int, "size of a bulk upload's body"] = 4 * 1024 * 1024
    bulk_body_timeout_ms: Annotated[int, "wait for a bulk upload's body"] = 30_000
    bulk_uploads_max: Annotated[int, "bulk uploads that run at once"] = 4
    bulk_uploads_waiting_max: Annotated[int, "bulk uploads that wait to run"] = 16
    invoices_waiting_max: Annotated[int, "printed invoices waiting to be written"] = 4096
    printing_remembered_ms: Annotated[int, "cache time of whether a store sends printed sales"] = (
        60_000
    )
    streams_max: Annotated[int, "open streams of printed invoices"] = 1000
    streams_of_store_max: Annotated[int, "open streams of one store's printed invoices"] = 16
    stream_events_waiting_max: Annotated[int, "events in memory for one stream"] = 256
    stream_heartbeat_s: Annotated[int, "silence on a stream before a heartbeat is sent"] = 15
    page_transactions_max: Annotated[int, "transactions on one page"] = 100
    read_connections_max: Annotated[int, "connections for look-ups"] = 4
    fast_path: Annotated[
        bool, "serve plain sales on the fast path; turn it off only to compare"
    ] = True
    log_requests: Annotated[bool, "log every request, not only failures"] = False

    # Sums over the journal, and the reports that are read from them.
    fold_interval_ms: Annotated[int, "interval of the rollup of new rows; 0 turns it off"] = 1000
    fold_rows_max: Annotated[int, "rows of the journal in one step of the rollup"] = 20_000
    fold_timeout_ms: Annotated[int, "run time of one statement of the rollup"] = 600_000
    reports_max: Annotated[int, "reports that run at once"] = 2
    report_timeout_ms: Annotated[int, "run time of one statement of a report"] = 20_000
    statement_days_max: Annotated[int, "days of one customer's statement"] = 400
    settlement_days_max: Annotated[int, "days of one settlement"] = 400

    # The programme.
    catalogue_refresh_ms: Annotated[int, "interval of checks for changed brands and keys"] = 1000
    stock_remembered_ms: Annotated[int, "cache time of 'out of stock' in lists of offers"] = 1000
    occurred_days_max: Annotated[int, "age of a sale at most"] = 7
    programme_ahead_days_max: Annotated[
        int, "time ahead at which a programme may begin, at most"
    ] = 3650

    # Prepaid issuers (COI-2).
    allotment_coins_max: Annotated[int, "coins that a lane draws from a fund at once"] = 1_000_000
    allotment_lease_ms: Annotated[
        int, "time for which a lane keeps drawn coins while others run short"
    ] = 500
    fund_remembered_ms: Annotated[int, "cache time of 'fund exhausted'"] = 1000

    # The sweep of what is due (PTS-5, COI-4).
    sweep_tick_ms: Annotated[
        int, "interval of the sweep's steps, and of checks for expired holds"
    ] = 1000
    sweep_wallets_max: Annotated[int, "wallets in one step of the sweep"] = 1000
    sweep_round_s: Annotated[int, "time from the start of one sweep to the start of the next"] = (
        3600
    )

    # Cashiers who sign in (USR-1).
    session_lifetime_s: Annotated[int, "lifetime of a cashier's session"] = 12 * 3600
    session_idle_s: Annotated[
        int, "time without a request after which a cashier's session ends"
    ] = 4 * 3600
    sessions_of_cashier_max: Annotated[int, "sessions of one cashier; one more ends the oldest"] = (
        10
    )
    session_recheck_ms: Annotated[
        int, "time after which every worker knows that a session has ended"
    ] = 2000
    sessions_cached_max: Annotated[int, "sessions kept in memory"] = 10_000
    passwords_hashing_max: Annotated[
        int, "passwords hashed at once for sign-ins, in 64 MiB each"
    ] = 2
    sign_ins_waiting_max: Annotated[
        int, "sign-ins waiting for their password to be hashed: known devices, and as many others"
    ] = 32
    passwords_waiting_max: Annotated[int, "new passwords waiting to be hashed, one at a time"] = 8
    sign_in_failures_max: Annotated[int, "wrong passwords before a user must wait"] = 5
    sign_in_pause_s_max: Annotated[int, "longest wait of a user after wrong passwords"] = 900
    sign_in_failures_of_address_max: Annotated[
        int, "users whose sign-ins fail from one address within the window, on unknown devices"
    ] = 10
    sign_in_failures_of_store_max: Annotated[
        int, "users whose sign-ins fail at one store within the window, on unknown devices"
    ] = 50
    sign_in_failures_window_s: Annotated[int, "length of that window"] = 1800
    trusted_proxies: Annotated[
        str, "addresses or networks of proxies whose X-Forwarded-For says who the client is"
    ] = ""
    devices_of_cashier_max: Annotated[int, "devices known of one cashier"] = 50

    # Look-ups that find nobody (CUS-2).
    misses_an_hour_max: Annotated[int, "look-ups without a match, for each key and worker"] = 3600
    lookup_matches_max: Annotated[int, "customers listed where a text matches several"] = 20
    cashier_misses_an_hour_max: Annotated[
        int, "look-ups without a match, for all cashiers of a store"
    ] = 300

    # Payments with a code (COI-6).
    code_tries_max: Annotated[int, "wrong codes before the held coins are released"] = 3
    code_resends_max: Annotated[int, "times that a code is sent again"] = 3
    contact_settles_s: Annotated[
        int, "time before codes are sent to a contact that a till changed"
    ] = 86_400
    code_lifetime_s: Annotated[int, "time to enter a code before the held coins are released"] = 300
    code_long_coins_min: Annotated[int, "coins of a payment from which its code has six digits"] = (
        200_000
    )
    presence_lifetime_s: Annotated[
        int, "time for which a customer found by QR pays without a code"
    ] = 300
    presence_coins_max: Annotated[
        int, "coins above which such a payment needs a code all the same"
    ] = 200_000
    failed_codes_of_cashier_max: Annotated[int, "wrong codes of one cashier within the window"] = 20
    failed_codes_of_store_max: Annotated[int, "wrong codes at one store within the window"] = 60
    failed_codes_of_brand_max: Annotated[int, "wrong codes at one brand within the window"] = 600
    failed_codes_window_s: Annotated[int, "length of that window"] = 3600

    # Messages to customers (SYS-8).
    sender: Annotated[
        str, "outbox, log, smtp or webhook; with smtp,webhook smtp sends the e-mails"
    ] = "outbox"
    smtp_url: Annotated[str, "smtp://user:password@host:port, or smtps://"] = ""
    smtp_from: Annotated[str, "address that e-mails are sent from"] = "Leal <no-reply@localhost>"
    sms_webhook_url: Annotated[str, "URL that messages are posted to, as JSON"] = ""
    sms_webhook_secret: Annotated[
        str, "base64 key of the signature of these requests, like whsec_…"
    ] = ""
    send_timeout_ms: Annotated[int, "timeout of one attempt to send a message"] = 5000
    send_wait_ms: Annotated[int, "time for which an answer waits for its message to be sent"] = 250
    messages_at_once_max: Annotated[int, "messages that are sent at once"] = 16
    messages_waiting_max: Annotated[
        int, "messages in memory, those that wait for another attempt too"
    ] = 1000

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
        for network in filter(None, map(str.strip, self.trusted_proxies.split(","))):
            try:
                ip_network(network, strict=False)
            except ValueError:
                raise ValueError(
                    f"trusted_proxies has {network!r}, which is no address or network"
                ) from None
        for sender in self.sender.split(","):
            if sender not in SENDERS:
                raise ValueError(f"sender is {sender!r}; there are {', '.join(SENDERS)}")
            missing = [name for name in SENDERS[sender] if not getattr(self, name)]
            if missing:
                raise ValueError(f"the sender {sender} needs {' and '.join(missing)}")
        if not _may_be_posted_to(self.anchor):
            raise ValueError(
                "anchor is a folder, an https:// URL, or an http:// URL of this machine's loopback"
            )
        for name in ("secret", "chain_key"):
            if 0 < len(getattr(self, name)) < 32:
                raise ValueError(f"{name} has less than 32 characters; use `openssl rand -hex 32`")

    def environment(self) -> dict[str, str]:
        """Return the variables that make another process start with these very settings."""
        return {
            f"LEAL_{name.upper()}": str(getattr(self, name)) for name in self.__dataclass_fields__
        }


def _may_be_posted_to(target: str) -> bool:
    """Return whether a target is a folder, or a URL whose requests nobody else can change."""
    if "://" not in target:
        return True
    url = urlsplit(target)
    loopback = url.hostname == "localhost"
    with contextlib.suppress(ValueError):
        loopback = loopback or ip_address(url.hostname or "").is_loopback
    return bool(url.hostname) and (url.scheme == "https" or (url.scheme == "http" and loopback))

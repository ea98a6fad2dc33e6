"""Cashiers at their tills, as Locust users: the visits of the canonical workload, answers checked.

Each user has a stream of its own from the seed. A visit begins with a look-up; most are sales, some
redeem, some look at the wallets, some pay with coins and type the code that the outbox holds.

LEAL_DEMO names the `demo.json` of the network, LEAL_LOAD_SEED the seed; LEAL_LOAD_PAUSE is how long
a user pauses between two visits, in seconds and on average.
"""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import orjson
from geventhttpclient.connectionpool import ConnectionPool
from locust import FastHttpUser, between, task

from bench.workload import Outbox, Request, Workload, demo_of, keys_of

DEMO_FILE = Path(os.environ["LEAL_DEMO"])
DEMO = demo_of(DEMO_FILE)
KEYS = keys_of(DEMO)
CUSTOMERS = {customer["customer_id"]: customer for customer in DEMO["customers"]}
OUTBOX = Outbox(DEMO_FILE.with_name("outbox.ndjson"))
SEED = int(os.environ.get("LEAL_LOAD_SEED", "2026"))
PAUSE_SECONDS = float(os.environ.get("LEAL_LOAD_PAUSE", "0.2"))

USERS = itertools.count(1)


def _prompt_socket(_: ConnectionPool, *kind: int) -> gevent.socket.socket:
    """Make a socket that sends a body without waiting for the acknowledgement of its head.

    The client writes the two apart and leaves Nagle's algorithm on: that would be measured instead.
    """
    sock = gevent.socket.socket(*kind)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


ConnectionPool._create_tcp_socket = _prompt_socket  # type: ignore[method-assign, assignment]


class Cashier(FastHttpUser):
    """A till: one visit after the other."""

    host = DEMO["url"]
    # Of any length between, for users that wait alike fall into step and all come at once.
    wait_time = between(0.2 * PAUSE_SECONDS, 1.8 * PAUSE_SECONDS)
    connection_timeout = network_timeout = 10.0

    def on_start(self) -> None:
        """Give this user a stream of its own."""
        self._workload = Workload(DEMO, SEED * 10_000 + next(USERS))
        self._visits = self._workload.visits()

    @task
    def visit(self) -> None:
        """Serve one customer; what a refusal or a failure leaves out is not asked."""
        for request in next(self._visits):
            answer = self._ask(request)
            if answer is None:
                return
            if request.verb == "pay" and answer.get("status") == "requires_code":
                self._confirm(request, answer)

    def _confirm(self, hold: Request, payment: dict[str, Any]) -> None:
        """Type the code that the customer was sent."""
        customer = CUSTOMERS[payment["customer_id"]]
        code = OUTBOX.code(customer, payment["coins"])
        # Without the outbox, as at a distance, any code has to do: it is refused, and that is told.
        self._ask(self._workload.confirmation(hold, payment["payment_id"], code or "0000"))

    def _ask(self, request: Request) -> dict[str, Any] | None:
        """Send a request; return its answer's body, None where it was refused or went wrong."""
        headers = {"Authorization": f"Bearer {KEYS[request.role]}"}
        if request.body:
            headers["Content-Type"] = "application/json"
        if request.idempotency_key is not None:
            headers["Idempotency-Key"] = request.idempotency_key
        with self.client.request(
            request.method,
            request.path,
            name=request.route,
            data=request.body.decode() or None,
            headers=headers,
            catch_response=True,
        ) as response:
            if response.status_code not in request.statuses:
                response.failure(f"{response.status_code}: {(response.text or '')[:200]}")
                return None
            body: dict[str, Any] = orjson.loads(response.content or b"{}")
            wrong = fault(request, response.status_code, body)
            if "Idempotent-Replayed" in response.headers:
                wrong = "a request that was never sent before was answered as a retry"
            if wrong is not None:
                response.failure(wrong)
                return None
            response.success()
            return body if response.status_code < 400 else None


def fault(request: Request, status: int, body: dict[str, Any]) -> str | None:
    """Return what is wrong with an answer whose status is right, None where nothing is."""
    customer_id = body.get("customer_id")
    if status == 409:
        return None if body.get("code") in EXPECTED_REFUSALS else f"refused: {body.get('code')}"
    if customer_id is not None and customer_id not in request.path:
        return "the answer is about another customer"
    if request.verb == "lookup":
        return None if body["customer"]["customer_id"] in CUSTOMERS else "an unknown customer"
    if request.verb == "accumulate":
        earned = [wallet for wallet in (body["points"], body["coins"]) if wallet]
        if any(wallet["balance"] < wallet["earned"] for wallet in earned):
            return "the balance is less than what was just earned"
    if request.verb == "confirm" and body["status"] != "succeeded":
        return f"the payment is {body['status']}"
    return None


EXPECTED_REFUSALS = frozenset({"insufficient_points", "insufficient_coins"})

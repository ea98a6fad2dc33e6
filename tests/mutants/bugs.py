"""The bugs: each is a small change that somebody could make, and the tests that must notice it.

`before` stands once in its file, which a test of the house says, so that the list follows the code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

LANE = ("tests/ledger/test_lane.py",)
SIMULATION = ("tests/simulation",)
RULES = ("tests/ledger/test_rules.py", "tests/ledger/test_histories.py")
DEBTS = ("tests/ledger/test_debts.py", "tests/ledger/test_reversals.py")
ALLOTMENTS = ("tests/ledger/test_allotments.py",)
RESERVATIONS = ("tests/programme/test_reservations.py",)


@dataclass(frozen=True, slots=True)
class Bug:
    """What is written wrong, where, and the tests that are run to see whether it is noticed."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    @property
    def compiled(self) -> bool:
        """Whether the core must be built anew."""
        return self.file.startswith("ext/")


BUGS: tuple[Bug, ...] = (
    # Durable before answered.
    Bug(
        "answers before the commit",
        "engine/ledger/lane.py",
        "            verdict = await self._append(journal, batch)\n",
        "            self._answer(operations)\n"
        "            verdict = await self._append(journal, batch)\n",
        LANE,
    ),
    Bug(
        "takes an unknown outcome for a failure",
        "engine/ledger/verdicts.py",
        "        return Verdict.UNAVAILABLE\n    return Verdict.AMBIGUOUS",
        "        return Verdict.UNAVAILABLE\n    return Verdict.RETRY",
        ("tests/ledger/test_verdicts.py",),
    ),
    Bug(
        "takes a lost connection for a failure",
        "engine/ledger/verdicts.py",
        "    if not isinstance(error, asyncpg.PostgresError):\n        return Verdict.AMBIGUOUS",
        "    if not isinstance(error, asyncpg.PostgresError):\n        return Verdict.UNAVAILABLE",
        ("tests/ledger/test_verdicts.py", "tests/faults/test_database.py"),
    ),
    Bug(
        "unlocks the accounts of an unknown outcome",
        "engine/ledger/lane.py",
        "        self._unresolved.update(op.customer_id for op in batch.operations)\n",
        "",
        LANE,
    ),
    Bug(
        "keeps the cache over a lost connection",
        "engine/ledger/lane.py",
        "        self._contention.lost()\n        self.ledger.clear()",
        "        self._contention.lost()",
        LANE,
    ),
    Bug(
        "appends again behind rows that a failover lost",
        "engine/ledger/timeline.py",
        "    if journal.timeline != timeline:\n",
        "    if journal.timeline is None:\n",
        LANE,
    ),
    # Compare-and-set, idempotency.
    Bug(
        "takes a stale state for done",
        "engine/ledger/verdicts.py",
        '    "journal_pkey": Verdict.STALE,',
        '    "journal_pkey": Verdict.DURABLE,',
        ("tests/ledger/test_verdicts.py",),
    ),
    Bug(
        "skips the compare-and-set",
        "engine/postgres/sql/migrations/0003_journal.sql",
        "    constraint journal_pkey primary key (customer_id, asset, seq),",
        "    constraint journal_pkey check (seq > 0),",
        ("tests/faults/test_workers.py",),
    ),
    Bug(
        "drops the check of the fingerprint",
        "engine/ledger/repeats.py",
        "if receipt.fingerprint != operation.fingerprint:",
        "if receipt.fingerprint != receipt.fingerprint:",
        LANE,
    ),
    Bug(
        "lets brands meet in their keys",
        "engine/commands/identity.py",
        "return transaction_id_of(principal.scope, customer_id, key.encode())",
        "return transaction_id_of(bytes(16), customer_id, key.encode())",
        ("tests/api/test_accumulations.py", "tests/api/test_transactions.py"),
    ),
    Bug(
        "does not claim the invoice",
        "ext/verbs.pxi",
        "        batch.new_claims.add(claim, operation)\n",
        "        pass\n",
        LANE,
    ),
    Bug(
        "fails a whole batch for one bad operation",
        "engine/ledger/lane.py",
        "                self._quarantine(operations[0], journal.last_sqlstate)\n"
        "                return\n"
        "            else:\n",
        "                self._quarantine(operations[0], journal.last_sqlstate)\n"
        "                return\n"
        "            elif verdict is Verdict.REFUSED:\n"
        "                self._fail(operations, Quarantined())\n"
        "                return\n"
        "            else:\n",
        LANE,
    ),
    Bug(
        "gives up what has failed beside others only",
        "engine/ledger/lane.py",
        "                if alone and self._attempts.are_over(unseen)",
        "                if self._attempts.are_over(unseen)",
        LANE,
    ),
    Bug(
        "keeps the cache where a key is taken by no request",
        "engine/ledger/lane.py",
        "alone=alone, overtaken=stale)",
        "alone=alone, overtaken=False)",
        LANE,
    ),
    # Rules.
    Bug(
        "refuses to spend all there is: <= for <",
        "ext/verbs.pxi",
        "    if wallet.planned.balance < operation.requested:\n        return insufficient",
        "    if wallet.planned.balance <= operation.requested:\n        return insufficient",
        RULES,
    ),
    Bug(
        "lets a blocked customer pay",
        "ext/verbs.pxi",
        "    if customer.flags() & FLAG_BLOCKED:\n"
        "        return CUSTOMER_BLOCKED\n"
        "    if operation.needs_profile",
        "    if operation.needs_profile",
        RULES,
    ),
    Bug(
        "writes no row for a refusal",
        "ext/verbs.pxi",
        "    posting.refusal = code\n"
        "    batch.moved.length = 0\n"
        "    batch.put(customer, wallet, &posting, operation.transaction_id, operation.reference,\n"
        "              operation)\n",
        "    posting.refusal = code\n    batch.moved.length = 0\n",
        RULES,
    ),
    Bug(
        "lets a lot expire a day early: <= for <",
        "ext/lots.pxi",
        "    while end < lots.length and lot_expires_day(lots.items[end].key) < today:",
        "    while end < lots.length and lot_expires_day(lots.items[end].key) <= today:",
        RULES,
    ),
    Bug(
        "forgets what is left of a lot",
        "ext/lots.pxi",
        "        lots.items[emptied].amount -= taken\n        amount -= taken",
        "        lots.items[emptied].amount = 0\n        amount -= taken",
        RULES,
    ),
    Bug(
        "holds on a microsecond too long: >= for >",
        "ext/ledger.pxi",
        "            if hold.expires_at > now:",
        "            if hold.expires_at >= now:",
        RULES,
    ),
    Bug(
        "takes a captured hold for held",
        "ext/verbs.pxi",
        "    coins.planned.held -= held.coins\n    lots_copy",
        "    lots_copy",
        RULES,
    ),
    Bug(
        "does not count a wrong code",
        "ext/verbs.pxi",
        "hold_with(held, held.code_mac, held.tries_left - 1,",
        "hold_with(held, held.code_mac, held.tries_left,",
        RULES,
    ),
    Bug(
        "gives the tries back with another code",
        "ext/verbs.pxi",
        "hold_with(held, operation.code_mac, held.tries_left,",
        "hold_with(held, operation.code_mac, held.tries_left + 1,",
        RULES,
    ),
    Bug(
        "forgets the debt of what was spent already",
        "ext/reversals.pxi",
        "    return move(batch, wallet, lot_key(DEBT_DAY, lot_issuer(key)), taken - amount)",
        "    return 0",
        DEBTS,
    ),
    Bug(
        "repays debts from the latest lots",
        "ext/lots.pxi",
        "        taken = min(-lots.items[repaid].amount, lots.items[emptied].amount)",
        "        taken = lots.items[emptied].amount",
        DEBTS,
    ),
    Bug(
        "reverses twice in a batch",
        "ext/reversals.pxi",
        "    if batch.reverses_already(operation):\n"
        "        return refuse(batch, customer, first, operation, ALREADY_REVERSED)\n",
        "",
        DEBTS,
    ),
    # The books.
    Bug(
        "chains no row to the one before it",
        "ext/chains.pxi",
        "    memcpy(row.state.hash, digest, HASH_SIZE)\n",
        "",
        RULES,
    ),
    Bug(
        "expires without the account on the other side",
        "ext/ledger.pxi",
        "        posting.counter = COINS_EXPIRED if wallet.asset == COINS else POINTS_EXPIRED\n",
        "",
        RULES,
    ),
    Bug(
        "audits no lots",
        "ext/audit.pxi",
        "        if lots_total(&self.lots) != balance:",
        "        if False and lots_total(&self.lots) != balance:",
        ("tests/ledger/test_auditors.py",),
    ),
    # Anchors outside the database.
    Bug(
        "lists no row that was committed late",
        "engine/ledger/anchors.py",
        "last.at - OVERLAP",
        "last.at",
        ("tests/network/test_anchoring.py",),
    ),
    Bug(
        "takes an anchor of another series for the next one",
        "engine/ledger/anchor_audit.py",
        "if anchor.statement.previous != before.digest:",
        "if False:",
        ("tests/network/test_anchor_audit.py",),
    ),
    Bug(
        "finds no row that another one has replaced",
        "engine/postgres/sql/anchors.sql",
        "where j.hash is distinct from a.hash",
        "where j.hash is null",
        ("tests/network/test_anchor_audit.py",),
    ),
    Bug(
        "lets every worker write an anchor",
        "engine/network/anchoring.py",
        'if not await connection.fetchval(SQL["take_turn"]):  # network op',
        'if not await connection.fetchval("select true"):  # network op',
        ("tests/network/test_anchoring.py",),
    ),
    # The coins of prepaid issuers.
    Bug(
        "issues coins without drawing them",
        "engine/ledger/journal.py",
        "    statements = [*_drawn(batch)]\n",
        "    statements = []\n",
        ALLOTMENTS,
    ),
    Bug(
        "draws nothing for a cashback",
        "ext/coins.pxi",
        "    batch.draw(operation.allotment_id, operation.requested)\n",
        "",
        ALLOTMENTS,
    ),
    Bug(
        "says that a fund is empty while others have its coins",
        "engine/programme/funds.py",
        "        elif left + elsewhere >= coins:\n",
        "        elif left >= coins:\n",
        RESERVATIONS,
    ),
    Bug(
        "closes an allotment that can still be drawn from",
        "engine/postgres/sql/funds.sql",
        "   set coins = a.drawn, closed_at = clock_timestamp()\n",
        "   set closed_at = clock_timestamp()\n",
        RESERVATIONS,
    ),
    # Who sees what.
    Bug(
        "shows a brand what is another's",
        "engine/people/keys.py",
        "        return self.brand_id is None or self.brand_id == brand_id",
        "        return True",
        ("tests/api/test_authorisation.py", "tests/api/test_transactions.py"),
    ),
    Bug(
        "takes a QR for as long as it likes",
        "engine/people/qr.py",
        "return -SKEW_S <= now_s - shown.issued_at_s <= LIFETIME_S",
        "return -SKEW_S <= now_s - shown.issued_at_s",
        ("tests/people/test_qr.py",),
    ),
)

SIMULATED = {
    "answers before the commit",
    "unlocks the accounts of an unknown outcome",
    "keeps the cache over a lost connection",
    "takes a stale state for done",
    "drops the check of the fingerprint",
    "takes a lost connection for a failure",
    "gives up what has failed beside others only",
    "fails a whole batch for one bad operation",
    "appends again behind rows that a failover lost",
    "keeps the cache where a key is taken by no request",
    "takes an unknown outcome for a failure",
}
"""The bugs that random histories of several workers find without a test that is made for them."""

BUGS += tuple(
    replace(bug, name=f"{bug.name}, as the simulation sees it", tests=SIMULATION)
    for bug in BUGS
    if bug.name in SIMULATED
)

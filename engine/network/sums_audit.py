"""The check of the sums: each is what the journal's rows give that it says it has."""

from __future__ import annotations

from typing import Final

from engine.postgres.connections import Connection
from engine.postgres.sql import queries

SQL = queries("sums")

FAULTS: Final = {
    "check_accounts": "sum_of_accounts (day {day}, asset {asset}, counter {counter}, party {party})"
    " says available {available}, held {held}; the journal gives {rows_available}, {rows_held}",
    "check_lots": "sum_of_lots (day {day}, asset {asset}, issuer {issuer}, expires_day"
    " {expires_day}) says {amount}; the journal gives {rows_amount}",
    "check_coins": "sum_of_coins (day {day}, issuer {issuer}, counter {counter}, party {party})"
    " says {coins}; the journal gives {rows_coins}",
    "check_hours": "hour_folded ({hour}) does not name the transactions that wrote its rows",
}
"""Each block of sums.sql that looks for sums that are wrong, and the sentence on what it finds."""


async def audit_sums(connection: Connection) -> list[str]:
    """Return a sentence for each sum that the journal does not give, all of one snapshot."""
    faults = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):  # network op
        reach = await connection.fetchrow(SQL["reach"])  # network op
        assert reach is not None
        for name, sentence in FAULTS.items():
            rows = await connection.fetch(SQL[name], reach["xid"])  # network op
            faults += [sentence.format(**dict(row)) for row in rows]
    return faults

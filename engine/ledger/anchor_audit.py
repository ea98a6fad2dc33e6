"""The audit of anchors: whether their series is whole, and the journal still has what they have.

An anchor counts only where its signature and its lines are right; what counts is looked up in the
journal, in a snapshot that is younger than the anchors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from engine.errors import Unaudited
from engine.ledger.anchors import (
    PIECE_BYTES,
    SQL,
    Anchor,
    BadAnchor,
    anchor_files,
    number_of,
    read,
)
from engine.postgres.connections import OUT_OF_REACH, Connection

HEADS_AT_ONCE: Final = 5000


class Heads(NamedTuple):
    """Columns of lines of an anchor."""

    customers: list[str]
    assets: list[int]
    seqs: list[int]
    hashes: list[bytes]


@dataclass(slots=True)
class AnchorReport:
    """What an audit of anchors found; `faults` are sentences that name an anchor or a wallet."""

    anchors: int = 0
    heads: int = 0
    newest: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """The result in one line."""
        if not self.anchors:
            return "anchors: none could be verified"
        return f"anchors: {self.anchors} with {self.heads} heads, the newest is {self.newest}"


async def audit_anchors(
    connection: Connection,
    folder: Path,
    key: Ed25519PublicKey,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> AnchorReport:
    """Audit the anchors of a folder, all of them by `key`; `progress` gets (heads done, heads).

    Raises OSError where the folder cannot be read, and Unaudited where PostgreSQL goes away.
    """
    report = AnchorReport()
    anchors = await asyncio.to_thread(_series, folder, key, report)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):  # network op
            await connection.execute(SQL["plan"])  # network op
            moment = await connection.fetchrow(SQL["moment"])  # network op
            assert moment is not None
            own = []
            for anchor in anchors:
                if anchor.statement.journal in ("", moment["journal"]):
                    own.append(anchor)
                else:
                    report.faults.append(f"anchor {anchor.path.name} is of another journal")
            await _compare(connection, own, report, progress)
    except OUT_OF_REACH as error:
        raise Unaudited.by(error) from error
    return report


async def _compare(
    connection: Connection,
    anchors: list[Anchor],
    report: AnchorReport,
    progress: Callable[[int, int], None],
) -> None:
    """Look up every head; of each wallet the last one that is not there makes a sentence."""
    heads_in_all = sum(anchor.statement.wallets for anchor in anchors)
    found: dict[tuple[str, int], str] = {}
    for anchor in anchors:
        pieces = _heads_of(anchor)
        while (heads := await asyncio.to_thread(next, pieces, None)) is not None:
            rows = await connection.fetch(SQL["contradicted"], *heads)  # network op
            for row in rows:
                wallet = str(row["customer_id"]), row["asset"]
                found[wallet] = _sentence(anchor, *wallet, row["seq"], row["changed"], row["last"])
            report.heads += len(heads.seqs)
            progress(report.heads, heads_in_all)
    report.faults += [found[wallet] for wallet in sorted(found)]


def _sentence(
    anchor: Anchor, customer: str, asset: int, seq: int, changed: bool, last: int | None
) -> str:
    name = anchor.path.name
    if changed:
        return (
            f"journal row (customer_id {customer}, asset {asset}, seq {seq}) has another hash than"
            f" in anchor {name}"
        )
    if last is None or last < seq:
        ends = "has no rows" if last is None else f"ends with seq {last}"
        return f"wallet ({customer}, {asset}) {ends}, and had seq {seq} in anchor {name}"
    return (
        f"journal row (customer_id {customer}, asset {asset}, seq {seq}) of anchor {name} is"
        " missing"
    )


def _series(folder: Path, key: Ed25519PublicKey, report: AnchorReport) -> list[Anchor]:
    """Return the anchors that count, and report where the series is not whole."""
    counted = []
    before: Anchor | None = None
    number, name_before = 0, ""
    for path in anchor_files(folder):
        number_before, number = number, number_of(path)
        if number == number_before:
            report.faults.append(f"anchors {name_before} and {path.name} have the same number")
        elif number > number_before + 1:
            report.faults.append(f"{_missing(number_before + 1, number - 1)} before {path.name}")
        name_before = path.name
        try:
            anchor = read(path)
        except BadAnchor as error:
            report.faults.append(f"anchor {error}")
            before = None
            continue
        fault = _fault_of(anchor, key)
        if fault is None and before is not None and before.statement.number == number - 1:
            if anchor.statement.previous != before.digest:
                fault = f"does not follow {before.path.name}"
            elif anchor.statement.at <= before.statement.at:
                fault = f"is not later than {before.path.name}"
        if fault is None:
            counted.append(anchor)
            report.newest = path.name
            before = anchor
        else:
            report.faults.append(f"anchor {path.name} {fault}")
            before = None
    if not name_before:
        report.faults.append(f"there are no anchors in {folder}")
    report.anchors = len(counted)
    return counted


def _fault_of(anchor: Anchor, key: Ed25519PublicKey) -> str | None:
    """Return what is wrong with an anchor by itself."""
    if not anchor.is_signed_by(key):
        return "is not signed by the key at hand"
    if anchor.path.name != anchor.statement.name:
        return f"was made as {anchor.statement.name}"
    root, wallets = sha256(), 0
    for piece in _pieces_of(anchor):
        root.update(piece)
        wallets += piece.count(b"\n")
    if (root.hexdigest(), wallets) != (anchor.statement.root, anchor.statement.wallets):
        return "has other wallets than it was signed with"
    return None


def _missing(first: int, last: int) -> str:
    return (
        f"anchor {first} is missing" if first == last else f"anchors {first} to {last} are missing"
    )


def _pieces_of(anchor: Anchor) -> Iterator[bytes]:
    """Give the lines of an anchor in pieces of any size."""
    with anchor.path.open("rb") as file:
        rest = anchor.lines_bytes
        while rest > 0 and (piece := file.read(min(rest, PIECE_BYTES))):
            rest -= len(piece)
            yield piece


def _heads_of(anchor: Anchor) -> Iterator[Heads]:
    """Give the heads of an anchor, HEADS_AT_ONCE at most; they are as they were signed."""
    heads, cut = Heads([], [], [], []), b""
    for piece in _pieces_of(anchor):
        *lines, cut = (cut + piece).split(b"\n")
        for line in lines:
            customer, asset, seq, digest = line.decode().split(" ")
            heads.customers.append(customer)
            heads.assets.append(int(asset))
            heads.seqs.append(int(seq))
            heads.hashes.append(bytes.fromhex(digest))
            if len(heads.seqs) == HEADS_AT_ONCE:
                yield heads
                heads = Heads([], [], [], [])
    if heads.seqs:
        yield heads

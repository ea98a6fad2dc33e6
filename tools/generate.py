"""Write what is made of the tables of codes and columns: parts of the core, and a page of docs.

python -m tools.generate --write     writes the files
python -m tools.generate             says which of them are not as they would be written
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

from engine import codes
from engine.codes import FACTS, SETS, VERBS, Cause, Claim, Counter, Kind, Outcome, Refusal
from engine.ledger import layout
from engine.ledger.layout import HOLD, HOLD_ITEM, HOLD_LOT, JOURNAL, Column, HoldField, size_of

ROOT = Path(__file__).parent.parent
MIGRATION = ROOT / "engine/postgres/sql/migrations/0003_journal.sql"
WIDTH = 100
NO_NAMES: dict[type[IntEnum], str] = {
    Refusal: "NOT_REFUSED", Counter: "NO_COUNTER", Cause: "NO_CAUSE", Claim: "NO_CLAIM",
}  # fmt: skip
"""What the core calls the number 0 of an enum, for its names are all in one space."""
PUT = {
    "smallint": "at = put_int16_field(at, columns.{name})",
    "integer": "at = put_int32_field(at, columns.{name})",
    "bigint": "at = put_int64_field(at, columns.{name})",
    "timestamptz": "at = put_int64_field(at, columns.{name} - POSTGRES_EPOCH)",
    "uuid": "at = put_field(at, columns.{name}, 16)",
    "bigint[]": "at = put_lots_field(at, columns.{name}, columns.{name}_sign)",
    "holds": "at = put_holds_field(at, {name})",
    "text": "at = put_optional_bytes(at, {name})",
}
C_TYPES = {
    "smallint": "int", "integer": "int32_t", "bigint": "int64_t", "timestamptz": "int64_t",
    "uuid": "const uint8_t*", "bigint[]": "const Lots*",
}  # fmt: skip
OBJECTS = {"holds": "list", "text": "bytes"}
"""The types of columns that are Python's objects, which no C struct has."""
HEADER = "# Made by `python -m tools.generate --write`; not to be edited.\n"


def name_of(member: IntEnum) -> str:
    """Return what the core calls a number."""
    return NO_NAMES[type(member)] if member.name == "NONE" else member.name


def enum_lines(enum: type[IntEnum]) -> Iterator[str]:
    """Give the lines of an enum."""
    yield f"cdef enum {enum.__name__}:"
    if enum is Refusal:
        yield f"    {NO_NAMES[enum]} = 0"
    yield from (f"    {name_of(member)} = {member.value}" for member in enum)
    yield ""


def wrapped(start: str, words: list[str], end: str) -> list[str]:
    """Return words with commas between a start and an end, in lines that are not too long."""
    lines, line = [], start
    for at, word in enumerate(words):
        piece = word + (end if at == len(words) - 1 else ",")
        if len(line) + 1 + len(piece) > WIDTH:
            lines.append(line.rstrip())
            line = " " * (start.index("(") + 1) + piece
        else:
            line += piece if line.endswith("(") else f" {piece}"
    return [*lines, line]


def membership(fact: str) -> Iterator[str]:
    """Give the function that says whether a fact is true of a kind."""
    names = [Kind(kind).name for kind in sorted(SETS[fact])]
    yield f"cdef inline bint {fact}(int kind) noexcept nogil:"
    yield from wrapped("    return kind in (", names, ")" if len(names) > 1 else ",)")
    yield ""
    yield ""


def codes_text() -> str:
    """Return `ext/codes.pxi`: the enums, the facts of the verbs, and the names of the numbers."""
    lines = ["# The numbers of the journal and the facts of the verbs, from engine/codes.py.", ""]
    for enum in (Kind, Refusal, Counter, Cause, Claim, Outcome):
        lines += enum_lines(enum)
    lines.append("cdef enum:")
    for name in ("COINS", "FLAG_BLOCKED", "DEBT_DAY", "BALANCE_MAX"):
        lines.append(f"    {name} = {getattr(codes, name)}")
    lines.append(f"    BALANCE_MIN = {-codes.BALANCE_MAX}      # so that C takes these for signed")
    lines += ["", f"cdef int64_t PARTNER_BIT = {codes.PARTNER_BIT}", ""]
    for enum, table in ((Kind, "KIND"), (Refusal, "REFUSAL"), (Outcome, "OUTCOME")):
        known = {member.value: member.name.lower() for member in enum}
        words = [f'"{known.get(number, "")}"' for number in range(max(enum) + 1)]
        lines += wrapped(f"cdef tuple {table}_NAMES = (", words, ")")
    lines += ["", ""]
    for fact in FACTS:
        lines += membership(fact)
    lines += [
        "cdef inline bint may_refuse(int kind, int refusal) noexcept nogil:",
        '    """Return whether a verb is ever answered with that refusal."""',
    ]
    for kind, verb in VERBS.items():
        if verb.refusals:
            names = [refusal.name for refusal in sorted(verb.refusals)]
            lines.append(f"    if kind == {kind.name}:")
            lines += wrapped("        return refusal in (", names, ")")
    lines.append("    return False")
    return HEADER + "\n".join(lines) + "\n"


def offsets(prefix: str, fields: tuple[HoldField, ...]) -> Iterator[str]:
    """Give where fields stand, and how many bytes they have together."""
    at = 0
    for field in fields:
        yield f"    {prefix}_{field.name.upper()} = {at}"
        at += field.size
    yield f"    {prefix}_SIZE = {at}"


def put_lines(column: Column) -> Iterator[str]:
    """Give the lines that write a column."""
    if column.nullable and column.type in ("integer", "bigint"):
        yield f"    if columns.{column.name} == NO_VALUE:"
        yield "        at = put_null(at)"
        yield "    else:"
        yield "        " + PUT[column.type].format(name=column.name)
    elif column.nullable and column.type == "uuid":
        yield "    " + PUT["text"].format(name=column.name)
    else:
        yield "    " + PUT[column.type].format(name=column.name)


def layout_text() -> str:
    """Return `ext/layout.pxi`: where the fields of a row and of a hold stand, and who writes it."""
    written = JOURNAL[:-1]
    objects = [
        (OBJECTS.get(column.type, "bytes"), column.name)
        for column in written
        if column.type in OBJECTS or (column.nullable and column.type == "uuid")
    ]
    lines = ["# The layout of rows and of packed holds, from engine/ledger/layout.py.", ""]
    lines.append("cdef enum:")
    lines += [f"    FIELD_{column.name.upper()} = {at}" for at, column in enumerate(JOURNAL)]
    lines += [f"    JOURNAL_FIELDS = {len(JOURNAL)}", "", "cdef enum:"]
    lines.append("    NO_VALUE = -1                       # NULL: no such number is below 0")
    lines.append("    POSTGRES_EPOCH = 946684800000000    # 2000-01-01, in microseconds since 1970")
    lines += ["", "cdef enum:", *offsets("HOLD", HOLD), *offsets("HOLD_ITEM", HOLD_ITEM)]
    lines += [*offsets("HOLD_LOT", HOLD_LOT)]
    lines += [f"    INVOICE_KEY_LENGTH_SIZE = {layout.INVOICE_KEY_LENGTH_SIZE}"]
    lines += [
        f"    INVOICE_BIT = {layout.INVOICE_BIT}",
        f"    LOTS_MASK = {layout.INVOICE_BIT - 1}",
    ]
    lines += ["", f"cdef uint32_t ITEM_BIT = {layout.ITEM_BIT}", "", "", "cdef struct Columns:"]
    for column in written:
        if (OBJECTS.get(column.type, "bytes"), column.name) in objects:
            continue
        lines.append(f"    {C_TYPES[column.type]} {column.name}")
        if column.type == "bigint[]":
            lines.append(f"    int64_t {column.name}_sign")
    head = "cdef inline uint8_t* put_columns("
    words = ["uint8_t* at", "const Columns* columns", *(f"{kind} {name}" for kind, name in objects)]
    lines += ["", "", *wrapped(head, words, "):")]
    lines += ['    """Write all fields of a row but the last one; return the place after them."""']
    for column in written:
        lines += put_lines(column)
    lines.append("    return at")
    return HEADER + "\n".join(lines) + "\n"


def meanings() -> dict[str, str]:
    """Return what the migration that creates the journal says of each column."""
    table = MIGRATION.read_text().partition("create table journal (")[2].partition("\n);")[0]
    return dict(re.findall(r"^    (\w+) .*?-- (.+)$", table, re.MULTILINE))


HOW_HASHED = """
The columns in the order in which they are written and hashed. `hash` is keyed BLAKE2b-128 of the
hash of the wallet's row before, and of the row as binary COPY carries it, without its last field.
"""
LOTS = f"""
## Lots

`lots` and `moved` are arrays of key, amount, key, amount. A key is the last day in days since 1970,
shifted left by 32, and the issuer. Issuers from {codes.PARTNER_BIT} on are partners: that is added
to their id. The day {codes.DEBT_DAY} is that of debts.

## Packed holds

`holds` has one hold after the other, all numbers big-endian.
"""
INVOICE_KEY = f"""Where bit {layout.INVOICE_BIT.bit_length() - 1} of `lots` is set, there follow
the length of an invoice's key in {layout.INVOICE_KEY_LENGTH_SIZE} bytes, and the key.
"""


def page_text() -> str:
    """Return `docs/journal-row.md`: the columns, the key of a lot, the packed hold."""
    said = meanings()
    lines = ["<!-- Made by `python -m tools.generate --write`; not to be edited. -->", ""]
    lines += ["# A row of the journal", HOW_HASHED]
    lines += ["| | column | type | what it is |", "|---|---|---|---|"]
    for at, column in enumerate(JOURNAL):
        type_: str = "bytea" if column.type == "holds" else column.type
        type_ += ", or NULL" if column.nullable else ""
        lines.append(f"| {at} | `{column.name}` | {type_} | {said.get(column.name, '')} |")
    lines += ["", "## Numbers", "", "| kind | | refusals |", "|---|---|---|"]
    for kind, verb in VERBS.items():
        refusals = ", ".join(f"`{refusal.code}`" for refusal in sorted(verb.refusals))
        lines.append(f"| {kind.value} | {kind.name.lower()} | {refusals} |")
    for enum, title in ((Refusal, "refusal"), (Counter, "counter"), (Cause, "cause")):
        lines += ["", f"| {title} | |", "|---|---|"]
        lines += [f"| {member.value} | {member.name.lower()} |" for member in enum]
    lines.append(LOTS)
    lines += hold_lines("Every hold begins with", HOLD)
    bit = layout.ITEM_BIT.bit_length() - 1
    lines += hold_lines(f"Where bit {bit} of `lots` is set, there follow", HOLD_ITEM)
    lines.append(INVOICE_KEY)
    lines += hold_lines("Then, for each lot,", HOLD_LOT)
    return "\n".join(lines).rstrip() + "\n"


def hold_lines(title: str, fields: tuple[HoldField, ...]) -> Iterator[str]:
    """Give the table of some fields of a hold."""
    yield from (f"{title} these {size_of(fields)} bytes:", "", "| at | field | bytes | |")
    yield "|---|---|---|---|"
    at = 0
    for field in fields:
        yield f"| {at} | `{field.name}` | {field.size} | {field.about} |"
        at += field.size
    yield ""


MADE = {
    "ext/codes.pxi": codes_text,
    "ext/layout.pxi": layout_text,
    "docs/journal-row.md": page_text,
}
"""What makes each file."""


def stale() -> list[str]:
    """Return the files that are not as they would be written."""
    return [
        name
        for name, text in MADE.items()
        if not (ROOT / name).exists() or (ROOT / name).read_text() != text()
    ]


def main(arguments: list[str]) -> int:
    """Write the files, or compare them."""
    names = stale()
    if "--write" not in arguments:
        for name in names:
            print(f"{name} is not what `python -m tools.generate --write` makes of the tables")
        return 1 if names else 0
    for name in names:
        (ROOT / name).write_text(MADE[name]())
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""SQL lives in `.sql` files of named blocks; here they are read.

A block starts with `-- its_name --` on a line of its own, then comment lines that describe it, then
its SQL. Migrations, in the folder `migrations`, are whole files and are not read here.

Numbers of the journal are written by name, in both: `{kind:reversal}`, `{refusal:none}`,
`{claim:invoice}`, `{cause:mistake}`, `{counter:coins_issued}`, and `{kinds:earns}` for a list of
the kinds of which that is true. The names are those of `engine/codes.py`. A migration has no list,
for that may grow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from engine.codes import NUMBERS, SETS

FOLDER = Path(__file__).parent
MARKER = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)
DESCRIPTION = re.compile(r"\A(?:\s*--[^\n]*(?:\n|\Z))*")
CODE = re.compile(r"\{(\w+):(\w+)\}")


def with_numbers(sql: str) -> str:
    """Return SQL with the numbers that its names stand for; raises ValueError for other names."""

    def number(match: re.Match[str]) -> str:
        table, name = match.groups()
        try:
            if table == "kinds":
                return ", ".join(map(str, sorted(SETS[name])))
            return str(NUMBERS[table][name])
        except KeyError:
            raise ValueError(f"engine/codes.py has no {match[0]}.") from None

    return CODE.sub(number, sql)


class Queries(Mapping[str, str]):
    """The blocks of one file by name, without their descriptions."""

    def __init__(self, file: Path) -> None:
        preface, *parts = MARKER.split(file.read_text(encoding="utf-8"))
        self._file = file
        self._blocks: dict[str, str] = {}
        if DESCRIPTION.sub("", preface).strip():
            raise ValueError(f"{file.name} has SQL above its first '-- block_name --' line.")
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            sql = DESCRIPTION.sub("", text).strip()
            if name in self._blocks:
                raise ValueError(f"{file.name} has two blocks named {name}. Rename one.")
            if not sql:
                raise ValueError(f"The block {name} of {file.name} has no SQL.")
            self._blocks[name] = with_numbers(sql)

    def __getitem__(self, name: str) -> str:
        if name not in self._blocks:
            known = ", ".join(self._blocks) or "none"
            raise KeyError(f"{self._file.name} has no block '-- {name} --'; it has: {known}.")
        return self._blocks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)


@cache
def queries(name: str) -> Mapping[str, str]:
    """The blocks of `sql/<name>.sql`, read once."""
    return Queries(FOLDER / f"{name}.sql")

"""The rules of the house, as tests. Each failure names the place and what to do instead."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mutants.bugs import BUGS

from tools.generate import stale

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "engine"
MODULES = sorted(ENGINE.rglob("*.py"))
COMPILED = sorted((ROOT / "ext").glob("*.p*x*"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 70

BASE = {"codes", "constants", "errors", "settings", "metrics", "logs", "keyfiles"}
MAY_IMPORT = {
    "postgres": set(),
    "people": {"postgres"},
    "programme": {"people", "postgres"},
    "ledger": {"postgres"},
    "network": {"ledger", "programme", "people", "postgres"},
    "schemas": {"ledger", "programme", "people"},
    "commands": {"schemas", "network", "ledger", "programme", "people", "postgres"},
    "http": {"commands", "schemas", "network", "ledger", "programme", "people", "postgres"},
    "api": {"http", "commands", "schemas", "network", "ledger", "programme", "people", "postgres"},
    "demo": {"people", "postgres"},
    "cli": {"app", "supervisor", "demo", "network", "ledger", "people", "postgres"},
}
"""What the packages of the engine may import besides their own and the BASE: downward only."""

SPEAKS_TO_POSTGRES = re.compile(
    r"(?:connection|pool|_load|_lock|_find|_find_claims|_find_used|_find_paid|_find_voided|_find_taken)\.(fetch|fetchval|fetchrow|execute|"
    r"executemany|prepare|copy_to_table|copy_from_query|copy_records_to_table|transaction)\("
)
MAY_IMPORT_ASYNCPG = {
    "postgres/connections.py",
    "postgres/migrations.py",
    "postgres/pooler.py",
    "ledger/journal.py",
    "ledger/seen.py",
    "ledger/statements.py",
    "ledger/verdicts.py",
    "people/customers.py",
}
MAPS_CASE_YET = {"postgres/sql/migrations/0004_coins.sql"}
"""A migration that was applied is not edited; it maps numbers that are written in capitals."""
NAMELESS = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def place(file: Path, line: int = 0) -> str:
    return f"{file.relative_to(ROOT)}:{line}"


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "format", "--check", "."),
        ("ruff", "check", "."),
        ("mypy",),
        ("cython-lint", "ext"),
        ("codespell",),
    ],
    ids=lambda command: " ".join(command),
)
def test_the_tools_find_nothing(command):
    program = Path(sys.executable).with_name(command[0])
    # cython-lint looks for its own tools on the path.
    path = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    run = subprocess.run(
        [program, *command[1:]],
        cwd=ROOT,
        env=os.environ | path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_imports_run_downward_only():
    wrong = []
    for file in MODULES:
        parts = file.relative_to(ENGINE).parts
        if len(parts) == 1:
            continue
        allowed = MAY_IMPORT[parts[0]] | BASE | {parts[0]}
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                path = name.split(".")
                if path[0] == "engine" and len(path) > 1 and path[1] not in allowed:
                    wrong.append(f"{place(file, node.lineno)} imports {name}")
    assert not wrong


def test_commands_know_no_http():
    knows = re.compile(r"^\s*(?:import|from) (?:aiohttp|multidict|engine\.(?:http|api))\b", re.M)
    found = [
        place(file)
        for file in sorted((ENGINE / "commands").glob("*.py"))
        if knows.search(file.read_text())
    ]
    assert not found, "let the handler in engine/api parse and answer"


def test_operations_are_made_by_the_constructor_of_their_kind():
    makers = {
        str(file.relative_to(ENGINE))
        for file in MODULES
        if re.search(r"\bOperation\(", file.read_text())
    }
    assert makers == {"ledger/operations.py"}


def test_asyncpg_is_known_to_few():
    found = {
        str(file.relative_to(ENGINE))
        for file in MODULES
        if re.search(r"^(import|from) asyncpg", file.read_text(), re.MULTILINE)
    }
    assert found <= MAY_IMPORT_ASYNCPG, "let one of the modules that know asyncpg do it"


def test_every_round_trip_is_marked():
    unmarked = []
    for file in MODULES:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if SPEAKS_TO_POSTGRES.search(line) and "# network op" not in line:
                unmarked.append(place(file, number))
    assert not unmarked, "mark each of these lines with `# network op`"


def test_http_makes_no_round_trip_itself():
    found = [
        place(file, number)
        for file in MODULES
        if file.relative_to(ENGINE).parts[0] in {"api", "http", "schemas"}
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if "# network op" in line or re.search(r"\bqueries\(|\bSQL\b", line)
    ]
    assert not found, "give the statement a function beside its SQL"


def test_no_sql_maps_case_by_the_locale_of_the_database():
    """Turkish maps i to another letter than English: case is mapped in code or by collate "C"."""
    maps_case = re.compile(r"\b(?:lower|upper|initcap)\s*\((?!int|num)|\b(?:ilike|citext)\b|~\*")
    found = [
        place(file, number)
        for file in sorted(ENGINE.rglob("*.sql"))
        if str(file.relative_to(ENGINE)) not in MAPS_CASE_YET
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if maps_case.search(sql := line.partition("--")[0].lower()) and 'collate "c"' not in sql
    ]
    assert not found, 'map case in the code, or add collate "C" in the same line'


NUMBER_OF_A_CODE = re.compile(
    r"""\b(?:kind|refusal|counter|claim|cause)\s*      # a column of codes ...
        (?:(?:=|<>|!=|<=|>=|<|>)\s*|(?:not\s+)?in\s*\(\s*|between\s+)-?\d     # ... compared
      | \bkind\s+when\s+\d | \b\d+\s+as\s+(?:kind|refusal|counter|claim|cause)\b""",
    re.VERBOSE | re.IGNORECASE,
)


def test_no_sql_has_the_number_of_a_code():
    found = [
        f"{place(file)} {match[0]}"
        for file in sorted(ENGINE.rglob("*.sql"))
        for match in NUMBER_OF_A_CODE.finditer(re.sub("--.*", "", file.read_text()))
    ]
    assert not found, "name it: {kind:reversal}, {refusal:none}, {kinds:earns}; see engine/codes.py"


@pytest.mark.parametrize(
    "sql",
    ["j.kind = 16", "refusal=0", "kind in (3, 12)", "case j.kind when 1", "6 as refusal"],
)
def test_the_number_of_a_code_is_found(sql):
    assert NUMBER_OF_A_CODE.search(sql)


def test_no_migration_has_a_set_of_kinds():
    """Sets may grow, and what a migration did to a database may not depend on its age."""
    migrations = ENGINE / "postgres" / "sql" / "migrations"
    assert not [place(file) for file in migrations.glob("*.sql") if "{kinds:" in file.read_text()]


def test_what_is_generated_is_what_the_tables_give():
    assert stale() == [], "run `python -m tools.generate --write`"


def test_codes_are_data_that_imports_nothing_of_the_engine():
    assert "import engine" not in (text := (ENGINE / "codes.py").read_text())
    assert "from engine" not in text


def test_the_journal_alone_knows_its_sql():
    knows = {
        str(file.relative_to(ENGINE))
        for file in MODULES
        if 'queries("journal")' in file.read_text()
    }
    assert knows == {"ledger/journal.py"}


def test_files_are_read_in_one_sitting():
    long = {
        place(file): lines
        for file in (*MODULES, *COMPILED)
        if (lines := len(file.read_text().splitlines())) > FILE_LINES_MAX
    }
    assert not long, "find the second noun in these files, and give it a file"


def test_functions_are_short():
    long = []
    for file in (*MODULES, *TESTS):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    long.append(f"{place(file, node.lineno)} {node.name} has {lines} lines")
    assert not long


def test_every_file_has_a_noun():
    assert not [place(file) for file in MODULES if file.stem in NAMELESS]


def test_the_core_neither_waits_nor_knows_the_time():
    impure = re.compile(
        r"\bawait\b|\basync def\b|import (time|random|os|socket|asyncio)\b|open\(\""
    )
    found = [
        place(file, number)
        for file in COMPILED
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if impure.search(line.split("#")[0])
    ]
    assert not found, "time, ids and randomness are arguments of the core"


def test_nothing_is_left_to_be_fixed():
    leftover = re.compile(r"\b(FIXME|TODO|XXX)\b")
    found = [
        place(file, number)
        for file in (*MODULES, *COMPILED)
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if leftover.search(line)
    ]
    assert not found


def test_every_seeded_bug_can_be_seeded():
    lost = [
        f"{bug.name}: {bug.file}"
        for bug in BUGS
        if (ROOT / bug.file).read_text().count(bug.before) != 1 or bug.before == bug.after
    ]
    assert not lost, "let tests/mutants/bugs.py follow the code: `before` stands once in its file"
    assert len({bug.name for bug in BUGS}) == len(BUGS)


def test_every_module_says_what_lives_in_it():
    assert not [
        place(file) for file in MODULES if not ast.get_docstring(ast.parse(file.read_text()))
    ]


PRESENT = "ask whether it `is None` or `is UNSET`: 0 and an empty text are values too"
SENT = {"body", "read", "document", "principal", "segment"}
"""What bodies and those who send them are called: what is optional of them may be left out."""
MAY_BE_TESTED = {("ledger/statements.py", "before"), ("ledger/statements.py", "days")}
"""Tuples of fixed length."""


def optional_fields(trees):
    """Return (the fields that may be None or UNSET somewhere, those that always may be)."""
    may, must = set(), set()
    for tree in trees:
        for owner in ast.walk(tree):
            for field in owner.body if isinstance(owner, ast.ClassDef) else ():
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    parts = set(ast.unparse(field.annotation).split(" | "))
                    absent = parts & {"None", "UnsetType"}
                    known = absent and "bool" not in parts
                    (may if known else must).add(field.target.id)
    return may, may - must


def truth_tests(tree):
    """Give every expression that is asked whether it is true, or is replaced where it is not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            yield node.test
        elif isinstance(node, ast.BoolOp):
            yield from node.values
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node.operand
        elif isinstance(node, ast.comprehension):
            yield from node.ifs


def truths_for_presence(trees):
    """Return where the truth of a field stands for its presence; `trees` are by file."""
    may, always = optional_fields(trees.values())
    found = set()
    for file, tree in trees.items():
        for test in truth_tests(tree):
            if isinstance(test, ast.Attribute) and (file, test.attr) not in MAY_BE_TESTED:
                owner = ast.unparse(test.value).rpartition(".")[2]
                if test.attr in always or (test.attr in may and owner in SENT):
                    found.add(f"{file}:{test.lineno} {ast.unparse(test)}")
    return found


@pytest.fixture(scope="module")
def trees():
    return {str(file.relative_to(ENGINE)): ast.parse(file.read_text()) for file in MODULES}


def test_presence_is_never_a_truth(trees):
    assert truths_for_presence(trees) == set(), PRESENT


@pytest.mark.parametrize(
    "line",
    [
        "if body.invoice_number: pass",
        "number = body.invoice_number or ''",
        "known = [one for one in rows if one.hold_expires_day or one.details]",
        "while not call.principal.store_id: pass",
        "amount = 1 if body.amount else 0",
        "assert entry.body.occurred_at and ready",
    ],
)
def test_a_truth_that_stands_for_presence_is_found(trees, line):
    assert len(truths_for_presence(trees | {"api/seeded.py": ast.parse(line)})) == 1


@pytest.mark.parametrize(
    "line", ["if body.available: pass", "if body.amount is None: pass", "x = item.coins or 1"]
)
def test_a_test_of_a_value_is_none_of_presence(trees, line):
    assert truths_for_presence(trees | {"api/seeded.py": ast.parse(line)}) == set()

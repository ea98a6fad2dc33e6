"""The documentation: its links, its length, and that it names nothing that does not exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from docs.reference import generate

ROOT = Path(__file__).parent.parent
TRACKED = subprocess.run(
    ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False
).stdout.split()
PAGES = [ROOT / name for name in TRACKED] or [
    page for page in sorted(ROOT.rglob("*.md")) if ".venv" not in page.parts
]

COLUMNS_MAX = 120
LINES_MAX = {
    "README.md": 130,
    "bench/README.md": 100,
    "docs/explanation/overview.md": 60,
}
EXPLANATION_LINES_MAX = 80

CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
METRIC = re.compile(r"\bleal_[a-z_]+(?:_total|_seconds|_max|_open|_rows|_operations|_cached|_up)\b")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
VARIABLE = re.compile(r"\bLEAL_[A-Z_]*[A-Z]\b")


def name_of(page):
    return str(page.relative_to(ROOT))


def prose_of(page):
    """Return the text of a page without its code, so that nothing in code is taken for a link."""
    return CODE.sub("", page.read_text())


def anchors_of(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    found = set()
    for heading in HEADING.findall(text):
        words = re.sub(r"[^\w\- ]", "", LINK.sub("", heading).lower())
        found.add(words.strip().replace(" ", "-"))
    return found


def broken_links_of(page):
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        if not to.exists():
            yield f"{name_of(page)} links to {target}, which does not exist"
        elif anchor and anchor not in anchors_of(to):
            yield f"{name_of(page)} links to {target}, which has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_and_anchor_resolves(page):
    assert not list(broken_links_of(page))


@pytest.mark.parametrize(
    "text",
    [
        "See [this](no-such-page.md).",
        "See [this](README.md#no-such-heading).",
        "See [this](#no-such-heading).",
    ],
)
def test_a_broken_link_is_found(tmp_path, monkeypatch, text):
    monkeypatch.setattr("test_documentation.ROOT", tmp_path)
    page = tmp_path / "README.md"
    page.write_text(f"# A page\n\n{text}\n")
    assert len(list(broken_links_of(page))) == 1
    page.write_text("# A page\n\nSee [this](README.md#a-page), [that](#a-page), `[x](y)`.\n")
    assert not list(broken_links_of(page))


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = (target.partition("#")[0] for target in LINK.findall(prose_of(page)))
        waiting += [(page.parent / to).resolve() for to in targets if to.endswith(".md")]
    assert {name_of(page) for page in PAGES} <= {name_of(page) for page in reached}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_fit_the_column_limit(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    long = [
        line for line in text.splitlines() if len(line) > COLUMNS_MAX and not line.startswith("|")
    ]
    assert not long


def test_pages_are_read_in_one_sitting():
    limits = LINES_MAX | {
        name_of(page): EXPLANATION_LINES_MAX
        for page in (ROOT / "docs" / "explanation").glob("*.md")
        if name_of(page) not in LINES_MAX
    }
    long = {
        name: lines
        for name, most in limits.items()
        if (lines := len((ROOT / name).read_text().splitlines())) > most
    }
    assert not long


@pytest.mark.parametrize("page", generate.PAGES)
def test_the_reference_is_what_the_code_says(page):
    written = (generate.FOLDER / page).read_text()
    assert written == generate.text_of(page), "run `make docs`"


async def test_the_reference_has_every_metric_of_a_running_engine(api):
    reply = await api.anonymous.request("GET", "/metrics")
    running = {
        (family.name + "_total" if family.type == "counter" else family.name, family.type)
        for family in text_string_to_metric_families(reply.json.decode())
        if family.name.startswith("leal_") and not family.name.endswith("_created")
    }
    page = (generate.FOLDER / "metrics.md").read_text()
    listed = set(re.findall(r"^\| `(leal_\w+)` \| (\w+) \|", page, re.MULTILINE))
    assert running <= listed
    assert {name for name, _ in listed - running} <= {"leal_worker_up", *TALLIES}


TALLIES = {"leal_http_express_total", "leal_operations_total", "leal_operation_tries_total"}
"""Counters that have no sample, and then no name that a parser sees, until something happened."""

OTHER_FLAGS = {
    *("--all", "--help", "--inplace", "--dist", "--ui"),
    *("--connections", "--rounds", "--seconds", "--quick", "--full", "--results", "--rate"),
    *("--anchors", "--url", "--other", "--role", "--store-id", "--name", "--securebits"),
}
"""Flags of the benchmarks, of commands other than `serve`, and of other programs."""
OTHER_VARIABLES = {"LEAL_TEST_SEED", "LEAL_LOAD_PAUSE", "LEAL_LOAD_SEED"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_only_metrics_and_settings_that_exist_are_named(page):
    reference = (generate.FOLDER / "metrics.md").read_text() + (
        generate.FOLDER / "settings.md"
    ).read_text()
    text = re.sub(r"--no-(?=[a-z])", "--", page.read_text())
    for known, named in (
        (set(), METRIC),
        (OTHER_FLAGS, FLAG),
        (OTHER_VARIABLES, VARIABLE),
    ):
        assert set(named.findall(text)) - set(named.findall(reference)) <= known

"""`make mutants`: seed one bug after the other into a copy, and see whether the suite notices.

Each copy is a folder of its own under a temporary one, so nothing here touches the working tree. A
bug counts as noticed when its tests fail, and only if the same tests pass without any bug.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import orjson
from rich.console import Console
from rich.progress import track

from tests.mutants.bugs import BUGS, Bug

ROOT = Path(__file__).parent.parent.parent
SECONDS_MAX = 600
LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".venv", "data", "build", "__pycache__", ".*_cache", ".hypothesis", "results")
)


class Copy:
    """A copy of the project in which a bug is seeded and taken out again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "copy"
        shutil.copytree(ROOT, self.folder, ignore=LEFT_OUT)
        self._environment = os.environ | {
            "PYTHONPATH": str(self.folder),
            "HYPOTHESIS_PROFILE": "curt",
        }
        self._build()
        self._sound = {
            library: library.read_bytes() for library in (self.folder / "engine").rglob("*.so")
        }

    def _build(self) -> None:
        """Build the core from the copy's own sources."""
        self._run("setup.py", "-q", "build_ext", "--inplace", "--force").check_returncode()

    def passes(self, tests: tuple[str, ...]) -> bool:
        """Return whether tests pass; a run that hangs has failed."""
        try:
            run = self._run("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests)
        except subprocess.TimeoutExpired:
            return False
        if run.returncode not in (0, 1):
            raise RuntimeError(f"pytest ended with {run.returncode}: {run.stdout[-2000:]}")
        return run.returncode == 0

    def notices(self, bug: Bug) -> bool:
        """Seed a bug, and return whether its tests fail."""
        file = self.folder / bug.file
        sound = file.read_text()
        assert sound.count(bug.before) == 1, bug.name
        file.write_text(sound.replace(bug.before, bug.after))
        try:
            if bug.compiled:
                self._build()
            return not self.passes(bug.tests)
        finally:
            file.write_text(sound)
            for library, content in self._sound.items() if bug.compiled else ():
                library.unlink()
                library.write_bytes(content)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )


def main() -> int:
    """Run all bugs, or those that are named; return how many the suite let live."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the names of the bugs to try")
    parser.add_argument("--report", type=Path, help="where to write the figures as JSON")
    options = parser.parse_args()
    console, started = Console(stderr=True), monotonic()
    bugs = [bug for bug in BUGS if options.only in bug.name]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Copy(Path(folder))
        everything = tuple(sorted({test for bug in bugs for test in bug.tests}))
        if not copy.passes(everything):
            console.print("The tests fail without any bug: mend that first.")
            return 1
        noticed = {}
        for bug in track(bugs, "bugs", console=console):
            noticed[bug.name] = copy.notices(bug)
            console.print(f"{'noticed' if noticed[bug.name] else 'LIVES  '}  {bug.name}")
    alive = [name for name, seen in noticed.items() if not seen]
    seconds = monotonic() - started
    print(f"{len(noticed) - len(alive)} of {len(noticed)} bugs noticed in {seconds:.0f} s")
    if options.report is not None:
        figures = {"at": datetime.now(UTC).isoformat(), "seconds": seconds, "noticed": noticed}
        options.report.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    return len(alive)


if __name__ == "__main__":
    sys.exit(main())

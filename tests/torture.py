"""How much the tests of faults do, and the figures that they leave.

`make test` does a little of each; `make torture` does the long runs, shows how far they are, and
writes `bench/results/torture.json` with a picture.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LONG = os.environ.get("LEAL_TORTURE") == "long"
REPORT = os.environ.get("LEAL_TORTURE_REPORT", "")
ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
SECONDS_MAX = 7200
POLL_S = 0.2


def size(short: int, long: int) -> int:
    """Return how many of something a test does: few in `make test`, many in `make torture`."""
    return long if LONG else short


def record(name: str, **figures: Any) -> None:
    """Leave the figures of a test, where they are wanted; pytest -s shows them too."""
    print(f"{name}: {figures}")
    _write({"figures": name} | figures)


def progress(name: str, done: int, of: int) -> None:
    """Say how far a long test is."""
    _write({"progress": name, "done": done, "of": of})


def _write(line: dict[str, Any]) -> None:
    if REPORT:
        with Path(REPORT).open("a") as file:
            file.write(json.dumps(line) + "\n")


def main() -> int:
    """Run the tests of faults at their full length; return pytest's exit code."""
    chosen = sys.argv[1:] or ["tests/faults"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.ndjson"
        report.touch()
        environment = os.environ | {
            "LEAL_TORTURE": "long",
            "LEAL_TORTURE_REPORT": str(report),
            "HYPOTHESIS_PROFILE": "nightly",
        }
        command = [sys.executable, "-m", "pytest", "-q", "-o", f"timeout={SECONDS_MAX}", *chosen]
        began = time.monotonic()
        with (Path(folder) / "pytest.txt").open("w+") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
            figures = dict(_watched(process, report))
            output.seek(0)
            print(output.read()[-20_000:])
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began),
        "passed": process.returncode == 0,
        "tests": chosen,
        "figures": figures,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "torture.json").write_text(json.dumps(result, indent=1) + "\n")
    _draw(figures)
    print(f"wrote {RESULTS / 'torture.json'} and its picture")
    return process.returncode


def _watched(process: subprocess.Popen[bytes], report: Path) -> Iterator[tuple[str, Any]]:
    """Show how far the tests are until they end; give the figures that they leave."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bars, report.open() as lines:
        tasks: dict[str, Any] = {}
        ended = False
        while not ended:
            ended = process.poll() is not None
            for line in lines:
                told = json.loads(line)
                if "figures" in told:
                    name = told.pop("figures")
                    bars.console.print(f"[green]{name}[/]  {told}")
                    yield name, told
                    continue
                name = told["progress"]
                if name not in tasks:
                    tasks[name] = bars.add_task(name, total=told["of"])
                bars.update(tasks[name], completed=told["done"])
            time.sleep(POLL_S)


def _draw(figures: dict[str, Any]) -> None:
    """Draw what was done and what was lost or doubled, and how long recovery took."""
    try:
        from matplotlib import pyplot
    except ImportError:
        print("no picture: it takes matplotlib, of the extra `bench`")
        return
    counted = {name: each["faults"] for name, each in figures.items() if "faults" in each}
    recovery = {
        name: each["recovery_s"] for name, each in figures.items() if each.get("recovery_s")
    }
    with _figure(pyplot) as (done, slow):
        names = list(counted)
        done.barh(names, [counted[name] for name in names], color="#4477aa")
        done.set_title("faults that really happened")
        done.set_xscale("symlog")
        for at, name in enumerate(names):
            wrong = figures[name].get("wrong", 0)
            done.text(
                counted[name], at, f" {counted[name]}, wrong: {wrong}", va="center", fontsize=8
            )
        names = list(recovery)
        if names:
            found = [recovery[name] for name in names]
            slow.boxplot(found, orientation="horizontal", tick_labels=names)
        slow.set_title("seconds to the first success afterwards")
        slow.set_xlim(left=0)


@contextmanager
def _figure(pyplot: Any) -> Iterator[Any]:
    figure, axes = pyplot.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    yield axes
    figure.savefig(RESULTS / "torture.png", dpi=110)


if __name__ == "__main__":
    sys.exit(main())

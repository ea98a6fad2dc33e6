"""Two builds of the engine side by side: what a flow costs with each, round by round.

Each build is a checkout with a virtual environment of its own (`make .venv/.run`). It serves the
demo network on a PostgreSQL of its own, with fsync on. Both are driven in turn by the same client
with the same requests; what counts is the ratio within a round: CPU a flow, of the engine and of
PostgreSQL together, and flows a second.

    python -m bench.builds --other ../before [--stream accumulations] [--rounds 7] [--seconds 4]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.console import Console

from bench.client import STREAMS
from bench.processes import cpu_seconds, free_port, server

ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Build:
    """A build that serves; `postmaster` is the PostgreSQL that it alone uses."""

    name: str
    url: str
    demo: Path
    engine: int
    postmaster: int

    def run(self, options: argparse.Namespace, seed: int) -> dict[str, float]:
        """Drive it for a while; return flows a second, and microseconds of CPU a flow."""
        command = [
            *(sys.executable, "-m", "bench.client", "--url", self.url, "--demo", str(self.demo)),
            *("--stream", options.stream, "--connections", str(options.connections)),
            *("--seconds", str(options.seconds), "--warm", "0", "--seed", str(seed)),
            *("--invoices", str(options.invoices)),
        ]
        before = cpu_seconds(self.engine), cpu_seconds(self.postmaster)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        after = cpu_seconds(self.engine), cpu_seconds(self.postmaster)
        found = json.loads(done.stdout)
        engine, postgres = (now - then for now, then in zip(after, before, strict=True))
        return {
            "a second": found["per_second"],
            "engine": 1e6 * engine / found["operations"],
            "postgres": 1e6 * postgres / found["operations"],
            "cpu": 1e6 * (engine + postgres) / found["operations"],
        }


@contextlib.contextmanager
def served(name: str, checkout: Path, folder: Path) -> Iterator[Build]:
    """Serve the demo network by the build of a checkout."""
    port, data = free_port(), folder / name
    data.mkdir()
    url = f"http://127.0.0.1:{port}"
    command = [
        *("env", "-C", str(checkout), str(checkout / ".venv/bin/python"), "-m", "engine", "serve"),
        *("--demo", "--port", str(port), "--data-dir", str(data)),
    ]
    with server(command, f"{url}/readyz", folder / f"{name}.log") as process:
        postmaster = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
        yield Build(name, url, data / "demo.json", process.pid, postmaster)


def compared(options: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Drive both builds in turn; return their figures by round."""
    rounds: list[dict[str, Any]] = []
    with TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # the user of the embedded server must reach its cluster
        builds = [
            stack.enter_context(served(label, checkout, folder))
            for label, checkout in (("this", ROOT), ("other", options.other.resolve()))
        ]
        for number in range(options.rounds + 1):
            order = builds if number % 2 else builds[::-1]
            found = {build.name: build.run(options, number) for build in order}
            if number:  # the first round warms both
                rounds.append(found)
                console.print(f"round {number}", {n: round(f["cpu"], 1) for n, f in found.items()})
    return rounds


def main() -> None:
    """Compare, and print the medians of the rounds and of the ratios within rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--other", type=Path, required=True, help="the checkout to compare with")
    parser.add_argument("--stream", choices=STREAMS, default="accumulations")
    parser.add_argument("--invoices", type=float, default=1.0, help="share of sales with a number")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    console = Console(stderr=True)
    rounds = compared(options, console)
    print(f"{options.stream}, {options.connections} connections, {os.cpu_count()} cores")
    for figure in ("cpu", "engine", "postgres", "a second"):
        ratios = [found["this"][figure] / found["other"][figure] for found in rounds]
        sides = [median(found[name][figure] for found in rounds) for name in ("this", "other")]
        print(
            f"{figure}: {sides[0]:.1f} / {sides[1]:.1f},"
            f" ratio {median(ratios):.3f} ({min(ratios):.3f} … {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()

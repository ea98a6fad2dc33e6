"""The micro-benchmarks in one command, and their figures into bench/REPORT.md.

python -m bench.micro
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import figures


def main() -> None:
    """Run `bench_*.py` by pytest-benchmark; write the figures."""
    status = pytest.main(
        [
            str(Path(__file__).parent),
            *("-o", "python_files=bench_*.py", "-o", "python_functions=bench_*"),
            f"--benchmark-json={figures.RESULTS / 'micro.json'}",
        ]
    )
    if status == 0:
        figures.update("micro")
    sys.exit(status)


if __name__ == "__main__":
    main()

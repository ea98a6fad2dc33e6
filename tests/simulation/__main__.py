"""`python -m tests.simulation`: run many seeds, and say which of them fail."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from time import perf_counter

from tests.simulation.run import WORKERS, simulate


def main() -> int:
    """Run the seeds; return how many fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="run this one alone, and say more of it")
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--stop", action="store_true", help="end with the first that fails")
    options = parser.parse_args()
    if options.seed is not None:
        options.first, options.seeds = options.seed, 1
    began, failed = perf_counter(), 0
    counts: Counter[str] = Counter()
    lasted_s = 0.0
    for seed in range(options.first, options.first + options.seeds):
        report = simulate(seed, options.workers)
        counts += report.counts
        lasted_s += report.lasted_s
        if report.faults:
            failed += 1
            print(report, flush=True)
            if options.stop:
                break
        done = seed - options.first + 1
        if done % 100 == 0:
            print(f"{done} seeds, {failed} failed, {perf_counter() - began:.1f} s", flush=True)
    print(f"{lasted_s:.0f} simulated seconds in {perf_counter() - began:.1f} s, {failed} failed")
    print(", ".join(f"{what} {count}" for what, count in sorted(counts.items())))
    if options.seed is not None:
        print(f"digest {report.digest}")
    return min(failed, 100)


if __name__ == "__main__":
    sys.exit(main())

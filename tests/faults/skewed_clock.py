"""An engine whose clock is wrong: `skewed_clock.py 4 serve …` is four seconds ahead.

Run like `python -m engine`, with the seconds before its arguments.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from engine.cli import main

SKEW_S = int(sys.argv.pop(1))
true_time, true_time_ns = time.time, time.time_ns

time.time = lambda: true_time() + SKEW_S
time.time_ns = lambda: true_time_ns() + SKEW_S * 1_000_000_000

if __name__ == "__main__":
    main()

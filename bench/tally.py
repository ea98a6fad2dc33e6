"""What a run came to: answers by status, latencies, CPU time; the figures of every contestant."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hdrh.histogram import HdrHistogram

from bench.processes import cpu_seconds

LATENCY_US_MAX: Final = 60_000_000
SHED: Final = frozenset({b"503", b"504"})
"""What is taken for an answer where an engine may say that it is full; it is no operation."""
PERCENTILES: Final = (50, 90, 99, 99.9)
ERRORS_TOLD_MAX: Final = 10


@dataclass(slots=True)
class Tally:
    """What the answers came to while the clock ran."""

    statuses: Counter[bytes] = field(default_factory=Counter)
    latencies_ns: array[int] = field(default_factory=lambda: array("q"))
    refusals_ns: array[int] = field(default_factory=lambda: array("q"))
    """How long it took to be told that the server is full, in an open loop."""
    replays: int = 0
    answer_bytes: int = 0
    errors: list[str] = field(default_factory=list)

    def figures(self, seconds: float, cpu: Mapping[str, float]) -> dict[str, Any]:
        """Return what a run came to, as plain values; `cpu` is in seconds, by process."""
        operations = len(self.latencies_ns)
        return {
            "operations": operations,
            "seconds": seconds,
            "per_second": operations / seconds,
            "statuses": {status.decode(): count for status, count in self.statuses.items()},
            "shed": sum(self.statuses[status] for status in SHED),
            "replays": self.replays,
            "errors": self.errors[:ERRORS_TOLD_MAX],
            "answer_bytes": self.answer_bytes // max(1, sum(self.statuses.values())),
            "latency_ms": latency_ms(self.latencies_ns),
            "refusal_ms": latency_ms(self.refusals_ns),
            "cpu_us_per_operation": {
                name: spent / max(1, operations) * 1e6 for name, spent in cpu.items()
            },
        }


class CpuWatch:
    """CPU time of processes and of their children, from when it was made; `NAME=PID` each."""

    def __init__(self, watched: Sequence[str]) -> None:
        self._pids = {name: int(pid) for name, _, pid in (one.partition("=") for one in watched)}
        self._pids["client"] = os.getpid()
        self._before = self._now()

    def seconds(self) -> dict[str, float]:
        """Return what each has used since then."""
        return {name: now - self._before[name] for name, now in self._now().items()}

    def _now(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self._pids.items()}


def latency_ms(latencies_ns: Iterable[int]) -> dict[str, float]:
    """Return the percentiles of latencies, and the largest."""
    histogram = HdrHistogram(1, LATENCY_US_MAX, 3)
    for latency in latencies_ns:
        histogram.record_value(min(LATENCY_US_MAX, max(1, latency // 1000)))
    return {f"p{at:g}": histogram.get_value_at_percentile(at) / 1000 for at in PERCENTILES} | {
        "max": histogram.get_max_value() / 1000
    }
